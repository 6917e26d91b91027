import io

import numpy as np
import pytest
from PIL import Image

from twofold.data.file_metadata import jpeg_quality


def quantization_tables(**options: object) -> dict[int, list[int]]:
    file = io.BytesIO()
    Image.new("RGB", (16, 16), "teal").save(file, "JPEG", **options)
    with Image.open(file) as image:
        return image.quantization


def test_the_quality_of_files_of_libjpeg_is_exact() -> None:
    assert [jpeg_quality(quantization_tables(quality=quality)) for quality in range(1, 101)] == list(range(1, 101))


def test_a_grey_image_has_a_quality() -> None:
    file = io.BytesIO()
    Image.new("L", (16, 16), 90).save(file, "JPEG", quality=37)
    with Image.open(file) as image:
        assert jpeg_quality(image.quantization) == 37


@pytest.mark.parametrize("quality", [30, 75, 92])
def test_tables_of_other_encoders_get_the_nearest_quality(quality: int) -> None:
    table = np.maximum(
        1, np.array(quantization_tables(quality=quality)[0]) + np.random.default_rng(0).integers(-1, 2, 64)
    )
    nearest = jpeg_quality({0: table.tolist()})
    assert nearest is not None
    assert abs(nearest - quality) <= 3


@pytest.mark.parametrize("tables", [{}, {1: [16] * 64}, {0: [16] * 63}, {0: [0] * 64}])
def test_an_incomplete_table_has_no_quality(tables: dict[int, list[int]]) -> None:
    assert jpeg_quality(tables) is None
