"""The metadata and the thumbnail of an image as columns of a part; null where it could not be read."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from twofold.data import SMALL, ImageArray
from twofold.embedding import Metadata

THUMBNAIL_BYTES: Final = SMALL * SMALL * 3
_PLAIN: Final = ("sha256", "width", "height", "format", "bytes", "quality", "exif", "camera")  # fields of Metadata


def fingerprint_fields() -> dict[str, Any]:
    """The columns and their types, pyarrow.DataType: `pixels` is `Metadata.pixel_key`, `thumbnail` the bytes of the array."""
    import pyarrow

    return {
        "sha256": pyarrow.string(),
        "pixels": pyarrow.string(),
        "width": pyarrow.int32(),
        "height": pyarrow.int32(),
        "format": pyarrow.string(),
        "bytes": pyarrow.int64(),
        "quality": pyarrow.int16(),
        "exif": pyarrow.bool_(),
        "camera": pyarrow.string(),
        "thumbnail": pyarrow.binary(THUMBNAIL_BYTES),
    }


def fingerprint_values(
    metadata: Sequence[Metadata | None], thumbnails: Sequence[ImageArray | None]
) -> Mapping[str, list[Any]]:
    """The values of each column, one for each image."""
    plain = {name: [None if row is None else getattr(row, name) for row in metadata] for name in _PLAIN}
    return {
        **plain,
        "pixels": [None if row is None else row.pixel_key for row in metadata],
        "thumbnail": [None if image is None else image.tobytes() for image in thumbnails],
    }


def metadata_of(columns: Mapping[str, Sequence[Any]]) -> list[Metadata | None]:
    """The metadata of each row of these columns of Python values, as of `pyarrow.Table.to_pydict`; None where it has none.

    Its `pixels` is the pixel key, which is its own pixel key.
    """
    names = (*_PLAIN, "pixels")
    rows = zip(*(columns[name] for name in names), strict=True)
    return [None if row[0] is None else Metadata(**dict(zip(names, row, strict=True))) for row in rows]


def thumbnails_of(column: Any) -> NDArray[np.uint8]:
    """The thumbnails (n, SMALL, SMALL, 3) of a pyarrow.ChunkedArray of them, without those that are null."""
    none = np.empty((0, THUMBNAIL_BYTES), np.uint8)
    chunks = [chunk.drop_null() for chunk in column.chunks]
    arrays = [
        np.frombuffer(chunk.buffers()[1], np.uint8).reshape(-1, THUMBNAIL_BYTES) for chunk in chunks if len(chunk)
    ]
    rows = (
        array[chunk.offset : chunk.offset + len(chunk)]
        for array, chunk in zip(arrays, filter(len, chunks), strict=True)
    )
    return np.concatenate([none, *rows]).reshape(-1, SMALL, SMALL, 3)
