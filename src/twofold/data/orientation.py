"""Which way up a picture is: the EXIF tag, and what to do about it."""

import struct
from collections.abc import Iterator, Mapping
from typing import Any, Final

from PIL import Image

_TAG: Final = 0x0112
_SHORT: Final = 3
_BYTES: Final = {3: 2, 4: 4, 5: 8, 9: 4, 10: 8, 12: 8}  # of one value of a kind; 1 of the others
_MOST: Final = 256  # bytes of a value: 65,535 tags may each claim all of a long file
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
    """The EXIF orientation, 1 to 8, out of Pillow's `Image.info`; 1 where there is none or it makes no sense."""
    for order, tag, kind, _, value in tags(info):
        if tag == _TAG and kind == _SHORT and len(value) >= 2:
            number = struct.unpack(order + "H", value[:2])[0]
            return number if number in _UPRIGHT else 1
    return 1


def tags(info: Mapping[Any, Any]) -> Iterator[tuple[str, int, int, int, bytes]]:
    """The first directory of the EXIF data: byte order, tag, kind, count, and the first bytes of the value.

    Read by hand: Pillow's own parser reads every tag, and warns about those of other people's cameras.
    """
    exif = info.get("exif")
    if not isinstance(exif, bytes):
        return
    tiff = exif.removeprefix(b"Exif\x00\x00")
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None:
        return
    try:
        (start,) = struct.unpack_from(order + "I", tiff, 4)
        (count,) = struct.unpack_from(order + "H", tiff, start)
        for at in range(start + 2, start + 2 + 12 * count, 12):
            tag, kind, length, place = struct.unpack_from(order + "HHII", tiff, at)
            size = min(length * _BYTES.get(kind, 1), _MOST)
            yield order, tag, kind, length, tiff[at + 8 : at + 12] if size <= 4 else tiff[place : place + size]
    except struct.error:
        return


def swaps_sides(orientation: int) -> bool:
    """Whether width and height change places when the picture is put upright."""
    return orientation >= 5


def put_upright(image: Image.Image, orientation: int) -> Image.Image:
    return image.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else image
