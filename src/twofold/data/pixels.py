"""Pixels of any kind to eight bits, grey or RGB."""

from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from twofold.data.refusals import Refusal

_ALPHA: Final = {"RGBA", "RGBa", "LA", "PA"}
_DEEP: Final = {"I;16", "I;16L", "I;16B", "I;16N"}
# At a time, in pixels: on the whole, arithmetic would hold up to eight copies of a large picture.
_STRIP: Final = 1_000_000


def eight_bits(image: Image.Image) -> Image.Image:
    """The picture in mode L or RGB: what is transparent becomes white, 16 bits are scaled, not clipped.

    32-bit integers and floats have no known range, so that of the picture itself, least to greatest, is taken.
    Colour profiles are not applied.
    """
    if image.mode in _DEEP:
        return _by_strips(image, "L", lambda strip: Image.fromarray(_sixteen_to_eight(np.asarray(strip))))
    if image.mode in ("I", "F"):
        return _stretch(image)
    if image.mode == "La":
        image = image.convert("LA")  # Pillow knows no shorter way to RGBA
    if image.mode in _ALPHA or "transparency" in image.info:
        return _by_strips(image, "RGB", lambda strip: _on_white(strip.convert("RGBA")))
    if image.mode in ("L", "RGB"):
        return image
    return image.convert("L" if image.mode == "1" else "RGB")


def from_array(array: NDArray[Any]) -> Image.Image | Refusal:
    """A picture of (h, w), (h, w, 1), (h, w, 3) or (h, w, 4) numbers.

    uint8 is taken as it is, bool as black and white, uint16 is scaled; other integers must lie in 0 to 255, floats in 0
    to 1. An array may not say which channel comes first: RGB and RGBA are meant.
    """
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if not (array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (3, 4))) or array.size == 0:
        shape = " x ".join(map(str, array.shape))
        return Refusal(
            "not-a-picture", f"An array of {shape} is no picture: give height x width, or with 3 or 4 channels."
        )
    numbers = _bytes_of(array)
    return numbers if isinstance(numbers, Refusal) else Image.fromarray(np.ascontiguousarray(numbers))


def _bytes_of(array: NDArray[Any]) -> NDArray[np.uint8] | Refusal:
    if array.dtype == np.uint8:
        return array
    if array.dtype == np.uint16:
        return _sixteen_to_eight(array)
    if array.dtype.kind not in "biuf":
        return Refusal("not-a-picture", f"An array of {array.dtype} is no picture: give uint8.")
    top = 255 if array.dtype.kind in "iu" else 1
    if not (array.min() >= 0 and array.max() <= top):  # written so that NaN is refused as well
        advice = "scale them" if top == 255 else "divide them by 255 where white is 255, or give uint8"
        found = f"these lie between {array.min():g} and {array.max():g}"
        return Refusal("out-of-range", f"Pixels of {array.dtype} must lie between 0 and {top}, {found}: {advice}.")
    return np.rint(array * (255.0 / top)).astype(np.uint8)


def _by_strips(image: Image.Image, mode: str, convert: Callable[[Image.Image], Image.Image]) -> Image.Image:
    """The picture in another mode, `convert`ed a strip at a time."""
    whole = Image.new(mode, image.size)
    for top, strip in _strips(image):
        whole.paste(convert(strip), (0, top))
    return whole


def _strips(image: Image.Image) -> Iterator[tuple[int, Image.Image]]:
    """The picture from top to bottom, with where each strip begins."""
    height = max(_STRIP // image.width, 1)
    for top in range(0, image.height, height):
        yield top, image.crop((0, top, image.width, min(top + height, image.height)))


def _on_white(image: Image.Image) -> Image.Image:
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")


def _sixteen_to_eight(deep: NDArray[Any]) -> NDArray[np.uint8]:
    return ((deep.astype(np.uint32) + 128) // 257).astype(np.uint8)


def _stretch(image: Image.Image) -> Image.Image:
    low, high = _range(image)
    return _by_strips(image, "L", lambda strip: Image.fromarray(_scale(np.asarray(strip), low, high)))


def _range(image: Image.Image) -> tuple[float, float]:
    """Its least and its greatest number; 0 and 0 where all are infinite or none."""
    low, high = np.inf, -np.inf
    for _, strip in _strips(image):
        numbers = np.asarray(strip).astype(np.float64)
        known = numbers[np.isfinite(numbers)]
        low, high = known.min(initial=low), known.max(initial=high)
    return (float(low), float(high)) if low <= high else (0.0, 0.0)


def _scale(numbers: NDArray[Any], low: float, high: float) -> NDArray[np.uint8]:
    known = np.nan_to_num(numbers.astype(np.float64), nan=low, posinf=high, neginf=low)
    return np.rint((known - low) * (255.0 / (high - low or 1.0))).astype(np.uint8)
