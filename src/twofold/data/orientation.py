"""The orientation of an image, from EXIF or XMP, and the rotation that puts it upright."""

import re
import struct
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, Final

from PIL import Image

_TAG: Final = 0x0112
_INTEGERS: Final = {3: "H", 4: "I", 8: "h", 9: "i"}  # types of values -> formats of struct
_XMP: Final = re.compile(rb"tiff:Orientation\s*(?:=\s*[\"']|>)\s*([0-9])")
_XMP_BYTES: Final = 1_000_000  # bytes that are searched: a file may consist of XMP only
_PROFILES: Final = ("Raw profile type exif", "Raw profile type APP1")  # text chunks in PNG files by ImageMagick
_BYTES: Final = {3: 2, 4: 4, 5: 8, 9: 4, 10: 8, 12: 8}  # of one value, by type; 1 of the other types
_MAX_BYTES: Final = 256  # bytes that are read of a value: 65,535 tags may each claim a whole long file
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
    """The orientation, 1 to 8, in Pillow's `Image.info`: from EXIF, else from XMP, else 1."""
    for order, tag, kind, _, value in tags(info):
        if tag == _TAG and kind in _INTEGERS:
            layout = order + _INTEGERS[kind]
            if len(value) >= struct.calcsize(layout):
                return _valid(struct.unpack_from(layout, value)[0])
    match = _XMP.search(_xmp(info))
    return _valid(int(match[1])) if match else 1


def _valid(number: int) -> int:
    return number if number in _UPRIGHT else 1


def _xmp(info: Mapping[Any, Any]) -> bytes:
    """The XMP packet, which is text in PNG files and bytes in others."""
    value = info.get("XML:com.adobe.xmp") or info.get("xmp") or b""
    packet = value[:_XMP_BYTES] if isinstance(value, str | bytes) else b""
    return packet.encode("utf-8", "replace") if isinstance(packet, str) else packet


def _exif(info: Mapping[Any, Any]) -> bytes:
    exif = info.get("exif")
    if isinstance(exif, bytes):
        return exif
    for name in _PROFILES:
        profile = info.get(name)
        if isinstance(profile, str):  # three lines of heading, then hexadecimal digits
            with suppress(ValueError):
                return bytes.fromhex("".join(profile.split("\n")[3:]))
    return b""


def tags(info: Mapping[Any, Any]) -> Iterator[tuple[str, int, int, int, bytes]]:
    """Each entry of the first EXIF directory: byte order, tag, type, count, and the first bytes of the value.

    Pillow's own parser reads all directories, and warns about odd tags.
    """
    tiff = _exif(info).removeprefix(b"Exif\x00\x00")
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None:
        return
    try:
        (start,) = struct.unpack_from(order + "I", tiff, 4)
        (count,) = struct.unpack_from(order + "H", tiff, start)
        for at in range(start + 2, start + 2 + 12 * count, 12):
            tag, kind, length, offset = struct.unpack_from(order + "HHII", tiff, at)
            size = min(length * _BYTES.get(kind, 1), _MAX_BYTES)
            yield order, tag, kind, length, tiff[at + 8 : at + 12] if size <= 4 else tiff[offset : offset + size]
    except struct.error:
        return


def swaps_sides(orientation: int) -> bool:
    """Whether width and height are swapped when the image is put upright."""
    return orientation >= 5


def put_upright(image: Image.Image, orientation: int) -> Image.Image:
    """The image, rotated and mirrored according to its orientation, 1 to 8."""
    return image.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else image
