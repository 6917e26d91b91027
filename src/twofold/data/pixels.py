"""Pixels of any kind to eight bits, grey or RGB."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from twofold.data.refusals import Refusal

_ALPHA: Final = {"RGBA", "RGBa", "LA", "PA"}
_DEEP: Final = {"I;16", "I;16L", "I;16B", "I;16N"}


def eight_bits(image: Image.Image) -> Image.Image:
    """The picture in mode L or RGB: what is transparent becomes white, 16 bits are scaled, not clipped.

    32-bit integers and floats have no known range, so that of the picture itself, least to greatest, is taken.
    Colour profiles are not applied.
    """
    if image.mode in _DEEP:
        return Image.fromarray(_sixteen_to_eight(np.asarray(image)))
    if image.mode in ("I", "F"):
        return Image.fromarray(_stretch(np.asarray(image)))
    if image.mode == "La":
        image = image.convert("LA")  # Pillow knows no shorter way to RGBA
    if image.mode in _ALPHA or "transparency" in image.info:
        return _on_white(image.convert("RGBA"))
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
        return Refusal("not-a-picture", f"Pixels of {array.dtype} must lie between 0 and {top}: scale them.")
    return np.rint(array * (255.0 / top)).astype(np.uint8)


def _on_white(image: Image.Image) -> Image.Image:
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")


def _sixteen_to_eight(deep: NDArray[Any]) -> NDArray[np.uint8]:
    return ((deep.astype(np.uint32) + 128) // 257).astype(np.uint8)


def _stretch(numbers: NDArray[Any]) -> NDArray[np.uint8]:
    finite = numbers[np.isfinite(numbers)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    span = high - low or 1.0
    known = np.nan_to_num(numbers.astype(np.float64), nan=low, posinf=high, neginf=low)
    return np.rint((known - low) * (255.0 / span)).astype(np.uint8)
