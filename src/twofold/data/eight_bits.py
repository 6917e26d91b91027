"""Pixels of any kind to eight bits, grey or RGB."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from twofold.data.read_errors import ReadError

DEEP_MODES: Final = {"I;16", "I;16L", "I;16B", "I;16N"}
FULL: Final = (0, 65_535)
_ALPHA: Final = {"RGBA", "RGBa", "LA", "PA"}
# At a time, in pixels: on the whole, arithmetic would hold up to eight copies of a large picture.
_STRIP: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Ranges:
    """(black, white) among the numbers of images that have more than eight bits, one for all images of a data set.

    `deep` is that of integers, `floats` that of floating-point numbers; None where a data set has none such.
    """

    deep: tuple[int, int] | None = None
    floats: tuple[float, float] | None = None


NO_RANGES: Final = Ranges()


def eight_bits(
    image: Image.Image, ranges: Ranges = NO_RANGES, low: Image.Image | None = None
) -> Image.Image | ReadError:
    """The picture in mode L or RGB: what is transparent becomes white, deeper numbers are scaled by their range, not by the
    image's own, and clipped there. Without one, integers must lie in 0 to 65,535 and floats in 0 to 1.

    `low` has the low bytes of an image of 16 bits a colour, whose high ones are in `image`. Colour profiles are not applied.
    """
    if low is not None:
        image = _colours_to_eight(image, low, ranges.deep or FULL)
    if image.mode in DEEP_MODES or image.mode == "I":
        return _scaled(image, ranges.deep, FULL)
    if image.mode == "F":
        return _scaled(image, ranges.floats, (0.0, 1.0))
    if image.mode == "La":
        image = image.convert("LA")  # Pillow knows no shorter way to RGBA
    if image.mode in _ALPHA or "transparency" in image.info:
        return _by_strips(image, "RGB", lambda strip: _on_white(strip.convert("RGBA")))
    if image.mode in ("L", "RGB"):
        return image
    return image.convert("L" if image.mode == "1" else "RGB")


def from_array(array: NDArray[Any], ranges: Ranges = NO_RANGES) -> Image.Image | ReadError:
    """A picture of (h, w), (h, w, 1), (h, w, 3) or (h, w, 4) numbers.

    uint8 is taken as it is, bool as black and white, uint16 is scaled by its range; other integers must lie in 0 to 255,
    floats in 0 to 1. An array may not say which channel comes first: RGB and RGBA are meant.
    """
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if not (array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (3, 4))) or array.size == 0:
        shape = " x ".join(map(str, array.shape))
        return ReadError(
            "not-a-picture", f"An array of {shape} is no picture: give height x width, or with 3 or 4 channels."
        )
    numbers = _bytes_of(array, ranges.deep or FULL)
    return numbers if isinstance(numbers, ReadError) else Image.fromarray(np.ascontiguousarray(numbers))


def _bytes_of(array: NDArray[Any], deep: tuple[int, int]) -> NDArray[np.uint8] | ReadError:
    if array.dtype == np.uint8:
        return array
    if array.dtype == np.uint16:
        return _with_alpha(_table(*deep)[array], array >> 8)
    if array.dtype.kind not in "biuf":
        return ReadError("not-a-picture", f"An array of {array.dtype} is no picture: give uint8.")
    top = 255 if array.dtype.kind in "iu" else 1
    if not (array.min() >= 0 and array.max() <= top):  # written so that NaN is refused as well
        advice = "scale them" if top == 255 else "divide them by 255 where white is 255, or give uint8"
        found = f"these lie between {array.min():g} and {array.max():g}"
        return ReadError("out-of-range", f"Pixels of {array.dtype} must lie between 0 and {top}, {found}: {advice}.")
    return np.rint(array * (255.0 / top)).astype(np.uint8)


def _by_strips(image: Image.Image, mode: str, convert: Callable[[Image.Image], Image.Image]) -> Image.Image:
    """The picture in another mode, `convert`ed a strip at a time."""
    whole = Image.new(mode, image.size)
    for top, strip in strips(image):
        whole.paste(convert(strip), (0, top))
    return whole


def strips(image: Image.Image) -> Iterator[tuple[int, Image.Image]]:
    """The picture from top to bottom, with where each strip begins."""
    height = max(_STRIP // image.width, 1)
    for top in range(0, image.height, height):
        yield top, image.crop((0, top, image.width, min(top + height, image.height)))


def _on_white(image: Image.Image) -> Image.Image:
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")


def sixteen_bits(high: Image.Image, low: Image.Image) -> NDArray[np.uint16]:
    """The colours of an image of which one has the high bytes and the other the low ones, without alpha, (h, w, 3)."""
    above, below = (np.asarray(half)[..., :3].astype(np.uint16) for half in (high, low))
    return (above << 8 | below).astype(np.uint16, copy=False)


def _colours_to_eight(high: Image.Image, low: Image.Image, deep: tuple[int, int]) -> Image.Image:
    whole = Image.new(high.mode, high.size)
    for (top, above), (_, below) in zip(strips(high), strips(low), strict=True):
        colours = _table(*deep)[sixteen_bits(above, below)]
        alpha = np.asarray(above)[..., 3:]
        whole.paste(Image.fromarray(np.concatenate([colours, alpha], axis=2)), (0, top))
    return whole


def _with_alpha(colours: NDArray[np.uint8], high: NDArray[Any]) -> NDArray[np.uint8]:
    """The colours, with a fourth channel as it was: how much is seen is no brightness."""
    if colours.ndim == 3 and colours.shape[2] == 4:
        colours[..., 3] = high[..., 3]
    return colours


def _scaled(
    image: Image.Image, known: tuple[float, float] | None, default: tuple[float, float]
) -> Image.Image | ReadError:
    black, white = known or default
    if known is None and image.mode not in DEEP_MODES and not _within(image, black, white):
        return ReadError(
            "unsupported-format",
            f"Its numbers lie outside {black:g} to {white:g}, and the model was trained on no such images, so that black and "
            "white are unknown: export it with 8 bits a channel.",
        )
    if image.mode in DEEP_MODES:
        table = _table(int(black), int(white))
        return _by_strips(image, "L", lambda strip: Image.fromarray(table[np.asarray(strip)]))
    return _by_strips(image, "L", lambda strip: Image.fromarray(_scale(np.asarray(strip), black, white)))


def _within(image: Image.Image, least: float, greatest: float) -> bool:
    """Whether all its numbers lie between these; what is infinite or no number does not count."""
    for _, strip in strips(image):
        numbers = np.asarray(strip)
        known = numbers[np.isfinite(numbers)]
        if known.size and not (known.min() >= least and known.max() <= greatest):
            return False
    return True


@lru_cache(8)
def _table(black: int, white: int) -> NDArray[np.uint8]:
    """What each number of 16 bits becomes."""
    return _scale(np.arange(65_536), black, white)


def _scale(numbers: NDArray[Any], black: float, white: float) -> NDArray[np.uint8]:
    known = np.nan_to_num(numbers.astype(np.float64), nan=black, posinf=white, neginf=black).clip(black, white)
    return np.rint((known - black) * (255.0 / (white - black or 1.0))).astype(np.uint8)
