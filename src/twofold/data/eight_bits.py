"""Pixels of any mode to eight bits, grey or RGB: the first step of preprocessing."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from twofold.data.read_errors import ReadError

SIXTEEN_BIT_MODES: Final = {"I;16", "I;16L", "I;16B", "I;16N"}
FULL: Final = (0, 65_535)
_ALPHA: Final = {"RGBA", "RGBa", "LA", "PA"}
# Pixels at a time: computing on all of a large image would take up to eight times its memory.
_STRIP: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class IntensityRanges:
    """(black, white) of images with more than eight bits per channel: one pair for all images of a dataset.

    `integer_range` is that of integers, `float_range` that of floating-point values; None where a dataset has no such images.
    """

    integer_range: tuple[int, int] | None = None
    float_range: tuple[float, float] | None = None


NO_RANGES: Final = IntensityRanges()


def eight_bits(
    image: Image.Image, ranges: IntensityRanges = NO_RANGES, low: Image.Image | None = None
) -> Image.Image | ReadError:
    """The image in mode L or RGB, on white where it is transparent, or a read error where its range is unknown.

    Values of more than eight bits are scaled by the range of the dataset, never of the image, and clipped. Without a range,
    integers must lie in 0 to 65,535 and floats in 0 to 1. `low` has the low bytes of an image with 16 bits per colour, `image`
    then the high bytes.
    Colour profiles are not applied.
    """
    if low is not None:
        image = _colours_to_eight(image, low, ranges.integer_range or FULL)
    if image.mode in SIXTEEN_BIT_MODES or image.mode == "I":
        return _scale_image(image, ranges.integer_range, FULL)
    if image.mode == "F":
        return _scale_image(image, ranges.float_range, (0.0, 1.0))
    if image.mode == "La":
        image = image.convert("LA")  # Pillow converts La to RGBA only by way of LA
    if image.mode in _ALPHA or "transparency" in image.info:
        return _by_strips(image, "RGB", lambda strip: _on_white(strip.convert("RGBA")))
    if image.mode in ("L", "RGB"):
        return image
    return image.convert("L" if image.mode == "1" else "RGB")


def from_array(array: NDArray[Any], ranges: IntensityRanges = NO_RANGES) -> Image.Image | ReadError:
    """The image of an array (h, w), (h, w, 1), (h, w, 3) or (h, w, 4), or a read error.

    uint8 is unchanged, bool is black and white, uint16 is scaled by its range; other integers must lie in 0 to 255,
    floats in 0 to 1. Channels are RGB or RGBA.
    """
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if not (array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (3, 4))) or array.size == 0:
        shape = " x ".join(map(str, array.shape))
        return ReadError(
            "not-an-image", f"An array of {shape} is not an image: give height x width, or with 3 or 4 channels."
        )
    pixels = _to_uint8(array, ranges.integer_range or FULL)
    return pixels if isinstance(pixels, ReadError) else Image.fromarray(np.ascontiguousarray(pixels))


def _to_uint8(array: NDArray[Any], integer_range: tuple[int, int]) -> NDArray[np.uint8] | ReadError:
    if array.dtype == np.uint8:
        return array
    if array.dtype == np.uint16:
        return _with_alpha(_table(*integer_range)[array], array >> 8)
    if array.dtype.kind not in "biuf":
        return ReadError("not-an-image", f"An array of {array.dtype} is not an image: give uint8.")
    white = 255 if array.dtype.kind in "iu" else 1
    if not (array.min() >= 0 and array.max() <= white):  # in this form NaN is out of range, too
        advice = "scale them" if white == 255 else "divide them by 255 where white is 255, or give uint8"
        extremes = f"these lie between {array.min():g} and {array.max():g}"
        return ReadError(
            "out-of-range", f"Pixels of {array.dtype} must lie between 0 and {white}, {extremes}: {advice}."
        )
    return np.rint(array * (255.0 / white)).astype(np.uint8)


def _by_strips(image: Image.Image, mode: str, convert: Callable[[Image.Image], Image.Image]) -> Image.Image:
    """The image in another mode, converted strip by strip."""
    output = Image.new(mode, image.size)
    for top, strip in strips(image):
        output.paste(convert(strip), (0, top))
    return output


def strips(image: Image.Image) -> Iterator[tuple[int, Image.Image]]:
    """(top, strip) for each strip of the image, from top to bottom."""
    height = max(_STRIP // image.width, 1)
    for top in range(0, image.height, height):
        yield top, image.crop((0, top, image.width, min(top + height, image.height)))


def _on_white(image: Image.Image) -> Image.Image:
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")


def sixteen_bits(high: Image.Image, low: Image.Image) -> NDArray[np.uint16]:
    """The colours, (h, w, 3), without alpha, of an image whose high and low bytes are separate."""
    high_bytes, low_bytes = (np.asarray(half)[..., :3].astype(np.uint16) for half in (high, low))
    return (high_bytes << 8 | low_bytes).astype(np.uint16, copy=False)


def _colours_to_eight(high: Image.Image, low: Image.Image, integer_range: tuple[int, int]) -> Image.Image:
    output = Image.new(high.mode, high.size)
    for (top, high_strip), (_, low_strip) in zip(strips(high), strips(low), strict=True):
        colours = _table(*integer_range)[sixteen_bits(high_strip, low_strip)]
        alpha = np.asarray(high_strip)[..., 3:]
        output.paste(Image.fromarray(np.concatenate([colours, alpha], axis=2)), (0, top))
    return output


def _with_alpha(colours: NDArray[np.uint8], high: NDArray[Any]) -> NDArray[np.uint8]:
    """The colours with the alpha channel, which is not scaled because it is no brightness."""
    if colours.ndim == 3 and colours.shape[2] == 4:
        colours[..., 3] = high[..., 3]
    return colours


def _scale_image(
    image: Image.Image, limits: tuple[float, float] | None, default: tuple[float, float]
) -> Image.Image | ReadError:
    black, white = limits or default
    if limits is None and image.mode not in SIXTEEN_BIT_MODES and not _lies_within(image, black, white):
        return ReadError(
            "unsupported-format",
            f"Its values lie outside {black:g} to {white:g}, and the training data had no such images, so black and white "
            "are unknown: export it with 8 bits per channel.",
        )
    if image.mode in SIXTEEN_BIT_MODES:
        table = _table(int(black), int(white))
        return _by_strips(image, "L", lambda strip: Image.fromarray(table[np.asarray(strip)]))
    return _by_strips(image, "L", lambda strip: Image.fromarray(_scale(np.asarray(strip), black, white)))


def _lies_within(image: Image.Image, low: float, high: float) -> bool:
    """Whether all finite values lie between these."""
    for _, strip in strips(image):
        values = np.asarray(strip)
        values = values[np.isfinite(values)]
        if values.size and not (values.min() >= low and values.max() <= high):
            return False
    return True


@lru_cache(8)
def _table(black: int, white: int) -> NDArray[np.uint8]:
    """The eight-bit value of each 16-bit value, (65536,)."""
    return _scale(np.arange(65_536), black, white)


def _scale(values: NDArray[Any], black: float, white: float) -> NDArray[np.uint8]:
    values = np.nan_to_num(values.astype(np.float64), nan=black, posinf=white, neginf=black).clip(black, white)
    return np.rint((values - black) * (255.0 / (white - black or 1.0))).astype(np.uint8)
