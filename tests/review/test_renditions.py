"""Renditions are read with the size limit of the review, as its images were."""

import io

from PIL import Image

from twofold.data import NO_RANGES
from twofold.review.renditions import renderer


def png() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (60, 40), (90, 20, 200)).save(file, "PNG")
    return file.getvalue()


def test_an_image_above_the_size_limit_has_no_rendition_and_one_below_has() -> None:
    assert renderer(lambda row: png(), NO_RANGES, 60 * 40 - 1)(0, 160) is None
    jpeg = renderer(lambda row: png(), NO_RANGES, 60 * 40)(0, 30)
    assert jpeg is not None
    assert Image.open(io.BytesIO(jpeg)).size == (30, 20)
