"""The encoding metadata of a file: its JPEG quality, from the quantisation tables, and its EXIF data."""

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
    """The quality, 1 to 100: the one of libjpeg's scale with the luminance table nearest to table 0 of `image.quantization`.

    Exact for files of libjpeg; None where table 0 is incomplete. Entries are compared by their ratio, and sorted by size first,
    because the order differs between versions of Pillow.
    """
    table = np.sort(np.asarray(tables.get(0, ()), np.float64))
    if table.shape != (64,) or table[0] < 1:
        return None
    distances = np.abs(np.log(_scaled()) - np.log(table)).sum(axis=1)
    return int(distances.argmin()) + 1


def _scaled() -> NDArray[np.float64]:
    """The sorted table of each quality, (100, 64): libjpeg's jpeg_quality_scaling and jpeg_add_quant_table."""
    quality = np.arange(1, 101)[:, None]
    percent = np.where(quality < 50, 5000 // quality, 200 - 2 * quality)
    return np.asarray(np.clip((np.sort(np.ravel(_LUMINANCE)) * percent + 50) // 100, 1, 255), np.float64)


_CAMERA: Final = (0x010F, 0x0110)  # EXIF tags: maker and model
_ASCII: Final = 2
_LONGEST: Final = 80  # characters of a camera's name


@dataclass(frozen=True, slots=True)
class EncodingMetadata:
    """JPEG `quality`, 1 to 100, None for other formats; whether there is `exif` data; the `camera`, empty where it is unknown.

    `luminance` is the table by which a JPEG file quantises luminance, 64 steps as Pillow orders them; empty for other formats.
    """

    quality: int | None = None
    exif: bool = False
    camera: str = ""
    luminance: tuple[int, ...] = ()


def read_encoding_metadata(image: Image.Image) -> EncodingMetadata:
    """The encoding metadata of an opened file."""
    values = {tag: value for _, tag, kind, _, value in tags(image.info) if tag in _CAMERA and kind == _ASCII}
    words = (values[tag].split(b"\0")[0].decode("latin-1").strip() for tag in _CAMERA if tag in values)
    tables = getattr(image, "quantization", None)
    quality = jpeg_quality(tables) if tables else None
    luminance = tuple(tables[0]) if quality is not None and tables else ()
    return EncodingMetadata(quality, bool(image.info.get("exif")), " ".join(words)[:_LONGEST], luminance)
