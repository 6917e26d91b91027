"""Renditions: the images of a review as browsers show them, whatever their format."""

import io
from collections.abc import Callable
from functools import lru_cache

from twofold.data import IntensityRanges, ReadError, open_image
from twofold.embedding import Source, read_content

SIDES = (160, 320, 1200)
"""The longest sides in pixels that a page may ask for: in a grid, beside an image, alone."""


def renderer(
    source_of: Callable[[int], Source], ranges: IntensityRanges, max_pixels: int
) -> Callable[[int, int], bytes | None]:
    """A function (row, longest side) -> the image as JPEG, upright; None where it cannot be read any more. It keeps a few."""

    @lru_cache(maxsize=256)
    def render(row: int, side: int) -> bytes | None:
        from PIL import Image

        content = read_content(source_of(row))
        if isinstance(content, ReadError):
            return None
        pixels = open_image(content.source, max_pixels=max_pixels, ranges=ranges)
        if isinstance(pixels, ReadError):
            return None
        image = Image.fromarray(pixels)
        image.thumbnail((side, side), Image.Resampling.BILINEAR)
        file = io.BytesIO()
        image.save(file, "JPEG", quality=88)
        return file.getvalue()

    return render
