import io

import numpy as np
import pytest
from PIL import Image

from twofold.data.file_metadata import jpeg_quality


def tables(**options: object) -> dict[int, list[int]]:
    file = io.BytesIO()
    Image.new("RGB", (16, 16), "teal").save(file, "JPEG", **options)
    with Image.open(file) as image:
        return image.quantization


def test_every_quality_that_libjpeg_writes_is_read_back() -> None:
    assert [jpeg_quality(tables(quality=quality)) for quality in range(1, 101)] == list(range(1, 101))


def test_a_grey_picture_has_a_quality_too() -> None:
    file = io.BytesIO()
    Image.new("L", (16, 16), 90).save(file, "JPEG", quality=37)
    with Image.open(file) as image:
        assert jpeg_quality(image.quantization) == 37


@pytest.mark.parametrize("quality", [30, 75, 92])
def test_tables_of_other_encoders_get_the_nearest(quality: int) -> None:
    bent = np.maximum(1, np.array(tables(quality=quality)[0]) + np.random.default_rng(0).integers(-1, 2, 64))
    nearest = jpeg_quality({0: bent.tolist()})
    assert nearest is not None
    assert abs(nearest - quality) <= 3


@pytest.mark.parametrize("broken", [{}, {1: [16] * 64}, {0: [16] * 63}, {0: [0] * 64}])
def test_without_a_whole_table_there_is_no_quality(broken: dict[int, list[int]]) -> None:
    assert jpeg_quality(broken) is None
