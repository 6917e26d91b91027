"""Images with more than eight bits per channel: which files hold them, and the extent of their values."""

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

from twofold.data.eight_bits import FULL, SIXTEEN_BIT_MODES, sixteen_bits, strips
from twofold.data.formats import is_tiff
from twofold.data.orientation import tags

_MAX_SAMPLE_VALUE: Final = 281  # a tag of TIFF
_PNM: Final = re.compile(
    rb"P([1-6f])(?:\s+|#[^\r\n]*[\r\n])+(\d+)(?:\s+|#[^\r\n]*[\r\n])+(\d+)(?:\s+|#[^\r\n]*[\r\n])+(\d+)"
)
_SWAPPED = "B" if sys.byteorder == "little" else "L"
# Pillow's raw mode that unpacks 16-bit colours to their high bytes -> the one that unpacks them to their low bytes.
_LOW: Final = {
    f"{colours};16{high}": f"{colours};16{low}"
    for colours in ("RGB", "RGBX", "RGBA")
    for high, low in (("B", "L"), ("L", "B"), ("N", _SWAPPED))
}
_GREY_ALPHA, _FOUR_BYTES = "LA;16B", "RGBA"  # the second channel of "RGBA" has the bytes that "LA;16B" drops


@dataclass(frozen=True, slots=True)
class Extent:
    """The least and the greatest value of an image over areas of 2 x 2 pixels, which excludes single hot pixels.

    `white` is the greatest value that the file declares, or None.
    """

    kind: Literal["integers", "floats"]
    low: float
    high: float
    white: int | None = None


def may_exceed_eight_bits(data: bytes) -> bool:
    """Whether a file that begins with these bytes may have more than eight bits per channel; needs all bytes of a TIFF file."""
    if data.startswith(b"\x89PNG"):
        return data[24:25] == b"\x10"
    if is_tiff(data):
        return b"+" in data[2:4] or _tiff_bits(data) > 8  # the directory of BigTIFF is not parsed
    header = _PNM.match(data)
    return header is not None and (header[1] == b"f" or (header[1] in b"2356" and int(header[4][:9]) > 255))


def _tiff_bits(data: bytes) -> int:
    for order, tag, _, _, value in tags({"exif": data}):
        if tag == BITSPERSAMPLE and len(value) >= 2:
            return int(struct.unpack(f"{order}H", value[:2])[0])
    return 1


def low_half(image: ImageFile.ImageFile, data: bytes) -> ImageFile.ImageFile | None:
    """A second reader of a file with 16-bit colours, for the low bytes that Pillow drops; None where it drops nothing.

    Call it before `image` is loaded; `image` then has the high bytes.
    """
    if not image.tile:
        return None
    if image.tile[0].codec_name == "ppm" and image.tile[0].args == ("RGB", 65535):
        image.tile = [image.tile[0]._replace(codec_name="raw", args=("RGB;16B", 0, 1))]
    rawmode = _rawmode(image.tile[0])
    low_mode = _FOUR_BYTES if rawmode == _GREY_ALPHA else _LOW.get(rawmode)
    if low_mode is None:
        return None
    low = type(image)(io.BytesIO(data))
    low.tile = [tile._replace(args=_with_rawmode(tile.args, low_mode)) for tile in image.tile]
    return low


def load_low(reader: ImageFile.ImageFile) -> Image.Image:
    """The low bytes from the reader of `low_half`, in the mode of the high bytes."""
    grey_alpha = _rawmode(reader.tile[0]) == _FOUR_BYTES
    reader.load()
    if not grey_alpha:
        return reader
    low = reader.getchannel(1)
    return Image.merge("RGBA", (low, low, low, low))


def _rawmode(tile: Any) -> str:
    return str(tile.args if isinstance(tile.args, str) else tile.args[0])


def _with_rawmode(args: Any, rawmode: str) -> Any:
    return rawmode if isinstance(args, str) else (rawmode, *args[1:])


def measure(image: Image.Image, low: Image.Image | None = None, white: int | None = None) -> Extent | None:
    """The extent of a loaded image with more than eight bits per channel; None where it has eight. `low` has its low bytes."""
    if low is not None or image.mode in SIXTEEN_BIT_MODES or image.mode == "I":
        kind: Literal["integers", "floats"] = "integers"
    elif image.mode == "F":
        kind = "floats"
    else:
        return None
    pairs = zip(strips(image), strips(low) if low else strips(image), strict=True)
    extremes = [
        _extremes(sixteen_bits(high_strip, low_strip) if low else np.asarray(high_strip))
        for (_, high_strip), (_, low_strip) in pairs
    ]
    lowest, highest = min(lows for lows, _ in extremes), max(highs for _, highs in extremes)
    return Extent(kind, lowest, highest, white) if lowest <= highest else None


def measure_array(array: NDArray[Any]) -> Extent | None:
    """The extent of a uint16 array, (h, w) or (h, w, channels); None for any other array."""
    if array.dtype != np.uint16 or array.ndim not in (2, 3) or not array.size:
        return None
    low, high = _extremes(array[..., :3] if array.ndim == 3 else array)
    return Extent("integers", low, high)


def _extremes(values: NDArray[Any]) -> tuple[float, float]:
    if values.dtype.kind == "f":
        values = np.where(np.isfinite(values), values, np.nan)
    lows = highs = values
    for axis in (0, 1):
        if values.shape[axis] > 1:
            first, second = (slice(None),) * axis + (slice(-1),), (slice(None),) * axis + (slice(1, None),)
            lows, highs = np.fmax(lows[first], lows[second]), np.fmin(highs[first], highs[second])
    if values.dtype.kind != "f":
        return float(lows.min()), float(highs.max())
    return float(np.fmin.reduce(lows, axis=None, initial=np.inf)), float(
        np.fmax.reduce(highs, axis=None, initial=-np.inf)
    )


def declared_white(image: ImageFile.ImageFile, data: bytes) -> int | None:
    """The greatest value that the file declares; None where it declares none, or the full range of 16 bits."""
    white = FULL[1]
    if isinstance(image, PngImageFile):
        white = (1 << _significant_bits(data)) - 1
    elif isinstance(image, TiffImageFile):
        bits, maximum = (_greatest(image.tag_v2.get(tag)) for tag in (BITSPERSAMPLE, _MAX_SAMPLE_VALUE))
        white = maximum or ((1 << bits) - 1 if 8 < bits < 16 else white)
    elif isinstance(image, PpmImageFile) and image.tile and image.tile[0].codec_name != "raw":
        return FULL[1] if image.tile[0].args != ("L", FULL[1]) else None  # Pillow scales by the maximum in the file
    return white if 0 < white < FULL[1] else None


def _greatest(value: Any) -> int:
    """The greatest integer of a tag; 0 where it has none."""
    numbers = value if isinstance(value, tuple) else (value,)
    return max((number for number in numbers if isinstance(number, int)), default=0)


def _significant_bits(data: bytes) -> int:
    """The significant bits that the sBIT chunk of a PNG file declares, the most of any colour; 16 without one."""
    at = 8
    while (name := data[at + 4 : at + 8]) not in (b"IDAT", b""):
        length = int.from_bytes(data[at : at + 4], "big")
        if name == b"sBIT":
            bits = data[at + 8 : at + 8 + min(length, 3)]
            return max(bits) if bits and 0 < max(bits) <= 16 else 16
        at += 12 + length
    return 16
