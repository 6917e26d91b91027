"""Which way up a picture is: the EXIF tag, and what to do about it."""

import struct
from collections.abc import Mapping
from typing import Any, Final

from PIL import Image

_TAG: Final = 0x0112
_SHORT: Final = 3
_UPRIGHT: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def read_orientation(info: Mapping[Any, Any]) -> int:
    """The EXIF orientation, 1 to 8, out of Pillow's `Image.info`; 1 where there is none or it makes no sense.

    Read by hand: Pillow's own parser reads every tag, and warns about those of other people's cameras.
    """
    exif = info.get("exif")
    if not isinstance(exif, bytes):
        return 1
    try:
        return _orientation(exif.removeprefix(b"Exif\x00\x00"))
    except struct.error:
        return 1


def _orientation(tiff: bytes) -> int:
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None:
        return 1
    (start,) = struct.unpack_from(order + "I", tiff, 4)
    (count,) = struct.unpack_from(order + "H", tiff, start)
    for at in range(start + 2, start + 2 + 12 * count, 12):
        tag, kind, _, value = struct.unpack_from(order + "HHIH", tiff, at)
        if tag == _TAG and kind == _SHORT and value in _UPRIGHT:
            return int(value)
    return 1


def swaps_sides(orientation: int) -> bool:
    """Whether width and height change places when the picture is put upright."""
    return orientation >= 5


def put_upright(image: Image.Image, orientation: int) -> Image.Image:
    return image.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else image
