"""Which way up a picture is: the EXIF tag, or that of XMP, and what to do about it."""

import re
import struct
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, Final

from PIL import Image

_TAG: Final = 0x0112
_INTEGERS: Final = {3: "H", 4: "I", 8: "h", 9: "i"}  # kinds of values, and how struct reads them
_XMP: Final = re.compile(rb"tiff:Orientation\s*(?:=\s*[\"']|>)\s*([0-9])")
_XMP_BYTES: Final = 1_000_000  # that are searched: a file may be made of nothing else
_PROFILES: Final = ("Raw profile type exif", "Raw profile type APP1")  # texts in a PNG file, as ImageMagick writes them
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
    """The orientation, 1 to 8, out of Pillow's `Image.info`: that of EXIF, else of XMP; 1 where none makes sense."""
    for order, tag, kind, _, value in tags(info):
        if tag == _TAG and kind in _INTEGERS:
            layout = order + _INTEGERS[kind]
            if len(value) >= struct.calcsize(layout):
                return _sensible(struct.unpack_from(layout, value)[0])
    found = _XMP.search(_xmp(info))
    return _sensible(int(found[1])) if found else 1


def _sensible(number: int) -> int:
    return number if number in _UPRIGHT else 1


def _xmp(info: Mapping[Any, Any]) -> bytes:
    """The XMP packet: a text in a PNG file, bytes in others."""
    given = info.get("XML:com.adobe.xmp") or info.get("xmp") or b""
    packet = given[:_XMP_BYTES] if isinstance(given, str | bytes) else b""
    return packet.encode("utf-8", "replace") if isinstance(packet, str) else packet


def _exif(info: Mapping[Any, Any]) -> bytes:
    exif = info.get("exif")
    if isinstance(exif, bytes):
        return exif
    for name in _PROFILES:
        profile = info.get(name)
        if isinstance(profile, str):  # three lines of heading, then bytes in hexadecimal
            with suppress(ValueError):
                return bytes.fromhex("".join(profile.split("\n")[3:]))
    return b""


def tags(info: Mapping[Any, Any]) -> Iterator[tuple[str, int, int, int, bytes]]:
    """The first directory of the EXIF data: byte order, tag, kind, count, and the first bytes of the value.

    Read by hand: Pillow's own parser reads every tag, and warns about those of other people's cameras.
    """
    tiff = _exif(info).removeprefix(b"Exif\x00\x00")
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
