"""Images of more than eight bits: which files hold them, and how far their numbers reach."""

import io
import re
import struct
import sys
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.PpmImagePlugin import PpmImageFile
from PIL.TiffImagePlugin import BITSPERSAMPLE, TiffImageFile

from twofold.data.eight_bits import DEEP_MODES, FULL, sixteen_bits, strips
from twofold.data.formats import is_tiff
from twofold.data.orientation import tags

_MAX_SAMPLE_VALUE: Final = 281  # of TIFF
_PNM: Final = re.compile(
    rb"P([1-6f])(?:\s+|#[^\r\n]*[\r\n])+(\d+)(?:\s+|#[^\r\n]*[\r\n])+(\d+)(?:\s+|#[^\r\n]*[\r\n])+(\d+)"
)
_NATIVE, _OTHER = ("L", "B") if sys.byteorder == "little" else ("B", "L")
# How Pillow unpacks colours of 16 bits to the high byte of each, and what unpacks the same bytes to the low one.
_LOW: Final = {
    f"{colours};16{high}": f"{colours};16{low}"
    for colours in ("RGB", "RGBX", "RGBA")
    for high, low in (("B", "L"), ("L", "B"), ("N", _OTHER))
}
_GREY_ALPHA, _FOUR_BYTES = "LA;16B", "RGBA"  # what the first leaves out, the second gives as its second channel


@dataclass(frozen=True, slots=True)
class Extent:
    """The least and the greatest number of an image that an area of 2 x 2 pixels reaches, so that no hot pixel counts.

    `white` is the greatest number by the file's own word, None where it declares none.
    """

    kind: Literal["deep", "floats"]
    low: float
    high: float
    white: int | None = None


def may_be_deep(data: bytes) -> bool:
    """Whether a file that begins with these bytes may hold more than eight bits; of TIFF files the whole is needed."""
    if data.startswith(b"\x89PNG"):
        return data[24:25] == b"\x10"
    if is_tiff(data):
        return b"+" in data[2:4] or _tiff_bits(data) > 8  # of a BigTIFF nothing is known here
    found = _PNM.match(data)
    return found is not None and (found[1] == b"f" or (found[1] in b"2356" and int(found[4][:9]) > 255))


def _tiff_bits(data: bytes) -> int:
    for order, tag, _, _, value in tags({"exif": data}):
        if tag == BITSPERSAMPLE and len(value) >= 2:
            return int(struct.unpack(f"{order}H", value[:2])[0])
    return 1


def low_half(image: ImageFile.ImageFile, data: bytes) -> ImageFile.ImageFile | None:
    """Another reader of a file with colours of 16 bits, which gives the low byte of each: Pillow's own drops it.

    None where Pillow drops nothing. To be called before `image` is loaded, which then gives the high bytes.
    """
    if not image.tile:
        return None
    if image.tile[0].codec_name == "ppm" and image.tile[0].args == ("RGB", 65535):
        image.tile = [image.tile[0]._replace(codec_name="raw", args=("RGB;16B", 0, 1))]
    rawmode = _rawmode(image.tile[0])
    other = _FOUR_BYTES if rawmode == _GREY_ALPHA else _LOW.get(rawmode)
    if other is None:
        return None
    twin = type(image)(io.BytesIO(data))
    twin.tile = [tile._replace(args=_with_rawmode(tile.args, other)) for tile in image.tile]
    return twin


def load_low(twin: ImageFile.ImageFile) -> Image.Image:
    """The low bytes, in the mode of the high ones."""
    grey_alpha = _rawmode(twin.tile[0]) == _FOUR_BYTES
    twin.load()
    if not grey_alpha:
        return twin
    low = twin.getchannel(1)
    return Image.merge("RGBA", (low, low, low, low))


def _rawmode(tile: Any) -> str:
    return str(tile.args if isinstance(tile.args, str) else tile.args[0])


def _with_rawmode(args: Any, rawmode: str) -> Any:
    return rawmode if isinstance(args, str) else (rawmode, *args[1:])


def measure(image: Image.Image, low: Image.Image | None = None, white: int | None = None) -> Extent | None:
    """How far the numbers of a loaded image reach; None where it has eight bits."""
    if low is not None or image.mode in DEEP_MODES or image.mode == "I":
        kind: Literal["deep", "floats"] = "deep"
    elif image.mode == "F":
        kind = "floats"
    else:
        return None
    pairs = zip(strips(image), strips(low) if low else strips(image), strict=True)
    found = [_reach(sixteen_bits(high, below) if low else np.asarray(high)) for (_, high), (_, below) in pairs]
    least, greatest = min(lows for lows, _ in found), max(highs for _, highs in found)
    return Extent(kind, least, greatest, white) if least <= greatest else None


def measure_array(array: NDArray[Any]) -> Extent | None:
    """The same for numbers handed over in memory, (h, w) or (h, w, channels)."""
    if array.dtype != np.uint16 or array.ndim not in (2, 3) or not array.size:
        return None
    low, high = _reach(array[..., :3] if array.ndim == 3 else array)
    return Extent("deep", low, high)


def _reach(numbers: NDArray[Any]) -> tuple[float, float]:
    if numbers.dtype.kind == "f":
        numbers = np.where(np.isfinite(numbers), numbers, np.nan)
    lows = highs = numbers
    for axis in (0, 1):
        if numbers.shape[axis] > 1:
            first, second = (slice(None),) * axis + (slice(-1),), (slice(None),) * axis + (slice(1, None),)
            lows, highs = np.fmax(lows[first], lows[second]), np.fmin(highs[first], highs[second])
    if numbers.dtype.kind != "f":
        return float(lows.min()), float(highs.max())
    return float(np.fmin.reduce(lows, axis=None, initial=np.inf)), float(
        np.fmax.reduce(highs, axis=None, initial=-np.inf)
    )


def declared_white(image: ImageFile.ImageFile, data: bytes) -> int | None:
    """The greatest number that the file says it uses; None where it says nothing, or that all of 16 bits are used."""
    white = FULL[1]
    if isinstance(image, PngImageFile):
        white = (1 << _significant_bits(data)) - 1
    elif isinstance(image, TiffImageFile):
        bits, stated = (_greatest(image.tag_v2.get(tag)) for tag in (BITSPERSAMPLE, _MAX_SAMPLE_VALUE))
        white = stated or ((1 << bits) - 1 if 8 < bits < 16 else white)
    elif isinstance(image, PpmImageFile) and image.tile and image.tile[0].codec_name != "raw":
        return FULL[1] if image.tile[0].args != ("L", FULL[1]) else None  # Pillow scales by the file's own number
    return white if 0 < white < FULL[1] else None


def _greatest(value: Any) -> int:
    """Of a tag's numbers; 0 where it has none."""
    numbers = value if isinstance(value, tuple) else (value,)
    return max((number for number in numbers if isinstance(number, int)), default=0)


def _significant_bits(data: bytes) -> int:
    """Those of a PNG file's sBIT, the most of any colour; 16 where it has none."""
    at = 8
    while (name := data[at + 4 : at + 8]) not in (b"IDAT", b""):
        length = int.from_bytes(data[at : at + 4], "big")
        if name == b"sBIT":
            bits = data[at + 8 : at + 8 + min(length, 3)]
            return max(bits) if bits and 0 < max(bits) <= 16 else 16
        at += 12 + length
    return 16
