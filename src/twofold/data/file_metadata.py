"""JPEG quality: what the quantisation tables of a file say about how it was saved."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from twofold.data.orientation import tags

_LUMINANCE = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
"""Table K.1 of the JPEG standard (ITU-T T.81), which libjpeg scales by the quality."""


def jpeg_quality(tables: Mapping[int, Sequence[int]]) -> int | None:
    """The quality, 1 to 100, of libjpeg's scale whose luminance table is nearest to table 0 of Pillow's `image.quantization`.

    Exact for what libjpeg wrote; None where there is no whole table 0. Entries are compared by their ratio, sorted by
    size, so that it does not matter in which order a version of Pillow gives them.
    """
    table = np.sort(np.asarray(tables.get(0, ()), np.float64))
    if table.shape != (64,) or table[0] < 1:
        return None
    apart = np.abs(np.log(_scaled()) - np.log(table)).sum(axis=1)
    return int(apart.argmin()) + 1


def _scaled() -> NDArray[np.float64]:
    """(100, 64): the table of each quality, its entries sorted: libjpeg's jpeg_quality_scaling and jpeg_add_quant_table."""
    quality = np.arange(1, 101)[:, None]
    percent = np.where(quality < 50, 5000 // quality, 200 - 2 * quality)
    return np.asarray(np.clip((np.sort(np.ravel(_LUMINANCE)) * percent + 50) // 100, 1, 255), np.float64)


_MAKE: Final = (0x010F, 0x0110)  # EXIF tags: maker and model of the camera
_ASCII: Final = 2
_LONGEST: Final = 80


@dataclass(frozen=True, slots=True)
class EncodingMetadata:
    """`quality` is that of a JPEG file, 1 to 100; `camera` is empty where the file names none."""

    quality: int | None = None
    exif: bool = False
    camera: str = ""


def read_encoding_metadata(image: Image.Image) -> EncodingMetadata:
    """The traits of an opened file."""
    named = {tag: value for _, tag, kind, _, value in tags(image.info) if tag in _MAKE and kind == _ASCII}
    words = (named[tag].split(b"\0")[0].decode("latin-1").strip() for tag in _MAKE if tag in named)
    tables = getattr(image, "quantization", None)
    quality = jpeg_quality(tables) if tables else None
    return EncodingMetadata(quality, bool(image.info.get("exif")), " ".join(words)[:_LONGEST])
