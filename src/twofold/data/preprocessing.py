"""Pictures as the network sees them: one function from bytes, images or arrays to a square of RGB, or a refusal."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from twofold.core.options import CropMode, Filter
from twofold.data.decoding import Decoded, adopt, decode
from twofold.data.eight_bits import DEEP_MODES, NO_RANGES, Ranges, from_array
from twofold.data.file_metadata import EncodingMetadata
from twofold.data.orientation import put_upright, swaps_sides
from twofold.data.read_errors import ReadError

ImageArray = NDArray[np.uint8]  # (height, width, 3) RGB

# Of the short side, by crop: the classic evaluation of ImageNet networks, 224 of 256. docs/decisions/005 has what it gains.
CROP_PCT: Final = 224 / 256
MAX_PIXELS: Final = 50_000_000
SMALL: Final = 32  # side of a thumbnail, in pixels
_LONG: Final = 4096  # lines of a narrow picture
# Beside a padded picture; EfficientNet-Lite's normalisation, (x - 127) / 128, turns it into zero.
_GREY: Final = (127, 127, 127)
_FILTERS: Final[dict[Filter, Image.Resampling]] = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
}


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """How a picture becomes the network's input, `size` x `size`.

    stretch: the whole picture, its shape lost. crop: a square in its middle, `kept` of the short side. pad: the whole picture,
    its shape kept, on grey.

    `deep` is (black, white) for images of more than eight bits, `floats` for those of floating-point numbers; None where the
    network learned from none such. Raises ValueError where one is no range.
    """

    size: int
    crop_mode: CropMode = "squash"
    filter: Filter = "bicubic"
    crop_pct: float = CROP_PCT
    deep: tuple[int, int] | None = None
    floats: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if self.deep is not None:  # JSON has lists
            object.__setattr__(self, "deep", _checked_range(self.deep, "deep", (int,), "whole numbers"))
        if self.floats is not None:
            object.__setattr__(self, "floats", _checked_range(self.floats, "floats", (int, float), "finite numbers"))

    @property
    def ranges(self) -> Ranges:
        return Ranges(self.deep, self.floats)

    def ranged(self, ranges: Ranges) -> "Preprocessing":
        """The same, for images of whose numbers these are black and white."""
        return replace(self, deep=ranges.deep, floats=ranges.floats)


def _checked_range(given: Any, name: str, kinds: tuple[type, ...], what: str) -> tuple[float, float]:
    pair = tuple(given) if isinstance(given, list | tuple) else ()
    known = [number for number in pair if type(number) in kinds and math.isfinite(number)]
    if not (len(pair) == len(known) == 2 and pair[0] < pair[1]):
        raise ValueError(f"{name} must be black and white, two {what} in rising order, got {given!r}.")
    return pair[0], pair[1]


@dataclass(frozen=True, slots=True)
class PreprocessedImage:
    """What one look at a picture gives."""

    model_input: ImageArray = field(repr=False)  # (size, size, 3), C-contiguous
    thumbnail: ImageArray = field(repr=False)  # (SMALL, SMALL, 3), the whole picture, upright and stretched
    width: int  # of the whole picture, upright
    height: int
    format: str  # "JPEG", "PNG", ...; "array" for pixels handed over in memory
    traits: EncodingMetadata


def preprocess(
    source: bytes | Image.Image | NDArray[Any], preprocessing: Preprocessing, *, max_pixels: int = MAX_PIXELS
) -> PreprocessedImage | ReadError:
    """The picture fitted to the square, or why it cannot be used; whatever the bytes, nothing is raised.

    Of an animation the first frame is taken, what is transparent becomes white, and the EXIF orientation is followed;
    colour profiles are not applied.
    """
    decoded = _decoded(
        source, lambda width, height: _shrink(width, height, preprocessing), max_pixels, preprocessing.ranges
    )
    if isinstance(decoded, ReadError):
        return decoded
    width, height = decoded.width, decoded.height
    if swaps_sides(decoded.orientation):
        width, height = height, width
    thumbnail = _fit(decoded, Preprocessing(SMALL, "squash", "bilinear"))
    return PreprocessedImage(_fit(decoded, preprocessing), thumbnail, width, height, decoded.format, decoded.traits)


def open_image(source: bytes | Image.Image | NDArray[Any], *, max_pixels: int = MAX_PIXELS) -> ImageArray | ReadError:
    """The whole picture, upright, at its full size, by the same rules as `look`."""
    decoded = _decoded(source, lambda width, height: 1, max_pixels)
    if isinstance(decoded, ReadError):
        return decoded
    return np.array(put_upright(decoded.image, decoded.orientation).convert("RGB"))


def numbers_of(source: Image.Image | NDArray[Any], *, max_pixels: int = MAX_PIXELS) -> NDArray[Any] | ReadError:
    """What tells an image handed over in memory from others: its own numbers, upright, where it has more than eight bits, else
    its pixels."""
    if isinstance(source, np.ndarray):
        return np.ascontiguousarray(source) if source.dtype == np.uint16 else open_image(source, max_pixels=max_pixels)
    if source.mode not in (*DEEP_MODES, "I", "F"):
        return open_image(source, max_pixels=max_pixels)
    decoded = adopt(source, Ranges((0, 1), (0.0, 1.0)))  # any, so that none is refused for its range
    return decoded if isinstance(decoded, ReadError) else np.array(put_upright(source, decoded.orientation))


def _decoded(
    source: bytes | Image.Image | NDArray[Any],
    shrink: Callable[[int, int], float],
    max_pixels: int,
    ranges: Ranges = NO_RANGES,
) -> Decoded | ReadError:
    if isinstance(source, bytes):
        return decode(source, shrink, max_pixels, ranges)
    image = from_array(source, ranges) if isinstance(source, np.ndarray) else source
    return image if isinstance(image, ReadError) else adopt(image, ranges)


def _shrink(width: int, height: int, preprocessing: Preprocessing) -> float:
    """How many times smaller the picture may be decoded, so that along both sides twice as many pixels are left as the square
    has: docs/decisions/001 has what the rest of them is worth."""
    left, top, right, bottom = _area(width, height, preprocessing)
    across, down = _inner(width, height, preprocessing)
    return min((right - left) / across, (bottom - top) / down) / 2


def _area(width: int, height: int, preprocessing: Preprocessing) -> tuple[float, float, float, float]:
    """The part of the picture that is seen: left, top, right, bottom in its own pixels."""
    if preprocessing.crop_mode != "center":
        return 0, 0, width, height
    side = min(width, height) * preprocessing.crop_pct
    return (width - side) / 2, (height - side) / 2, (width + side) / 2, (height + side) / 2


def _inner(width: int, height: int, preprocessing: Preprocessing) -> tuple[int, int]:
    """The width and height that it takes in the square."""
    if preprocessing.crop_mode != "pad":
        return preprocessing.size, preprocessing.size
    if width > height:  # in this order, as ImageOps.pad has it: another may round otherwise
        return preprocessing.size, max(round(height / width * preprocessing.size), 1)
    return max(round(width / height * preprocessing.size), 1), preprocessing.size


def _fit(decoded: Decoded, preprocessing: Preprocessing) -> ImageArray:
    inner = _inner(decoded.width, decoded.height, preprocessing)
    left, top, right, bottom = (edge / decoded.step for edge in _area(decoded.width, decoded.height, preprocessing))
    image, how = decoded.image, _FILTERS[preprocessing.filter]
    if right - left < inner[0] and image.height > _LONG:  # Pillow would first make all of its lines wider
        image, top, bottom = image.resize((image.width, inner[1]), how, (0, top, image.width, bottom)), 0, inner[1]
    seen = image.resize(inner, how, (left, top, right, bottom))
    seen = put_upright(seen, decoded.orientation).convert("RGB")
    if seen.size == (preprocessing.size, preprocessing.size):
        return np.array(seen)
    padded = Image.new("RGB", (preprocessing.size, preprocessing.size), _GREY)
    padded.paste(seen, (round((preprocessing.size - seen.width) / 2), round((preprocessing.size - seen.height) / 2)))
    return np.array(padded)
