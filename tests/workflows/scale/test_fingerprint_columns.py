"""Metadata and thumbnails become columns, and are the same when read again."""

from pathlib import Path

import numpy as np
import pyarrow
import pytest
from PIL import Image

from twofold.embedding import Runtime
from twofold.workflows.scale.fingerprint_columns import (
    fingerprint_fields,
    fingerprint_values,
    metadata_of,
    thumbnails_of,
)


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """A PNG, a JPEG with a camera and an orientation, a file that is no image, and a grey image."""
    random = np.random.default_rng(0)
    exif = Image.Exif()
    exif[0x0112], exif[0x010F], exif[0x0110] = 6, "Maker", "Model 5"
    paths = [tmp_path / name for name in ("a.png", "b.jpg", "c.txt", "d.png")]
    Image.fromarray(random.integers(0, 255, (40, 70, 3), np.uint8)).save(paths[0])
    Image.fromarray(random.integers(0, 255, (64, 50, 3), np.uint8)).save(paths[1], quality=83, exif=exif)
    paths[2].write_text("no image")
    Image.fromarray(random.integers(0, 255, (33, 31), np.uint8)).save(paths[3])
    return paths


def test_columns_hold_metadata_and_thumbnails_to_the_bit(files: list[Path]) -> None:
    scanned = Runtime(Path("/dev/null")).scan(files)
    thumbnails = iter(scanned.thumbnails)
    values = fingerprint_values(
        scanned.metadata, [None if row is None else next(thumbnails) for row in scanned.metadata]
    )
    table = pyarrow.table(dict(values), pyarrow.schema(fingerprint_fields()))
    assert table["pixels"].to_pylist() == [None if row is None else row.pixel_key for row in scanned.metadata]
    assert table["width"].to_pylist() == [70, 64, None, 31]  # the JPEG is turned
    assert table["quality"].to_pylist() == [None, 83, None, None]
    assert table["camera"].to_pylist()[1] == "Maker Model 5"
    assert np.array_equal(thumbnails_of(table["thumbnail"]), scanned.thumbnails)
    again = metadata_of(table.to_pydict())
    assert [row and row.pixel_key for row in again] == table["pixels"].to_pylist()
    others = fingerprint_values(again, [None] * 4)
    assert {name: column for name, column in others.items() if name != "thumbnail"} == {
        name: column for name, column in values.items() if name != "thumbnail"
    }
