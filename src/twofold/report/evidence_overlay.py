"""The evidence of an image drawn over it: orange for the positive class, blue for the negative class."""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

# Blue and orange are told apart by people with any kind of colour blindness (Okabe and Ito, 2008).
POSITIVE: Final = (230, 120, 0)
NEGATIVE: Final = (0, 114, 178)
_SIDE: Final = 1024
_STRONGEST: Final = 0.75  # opacity at and above the scale
_PERCENTILE: Final = 99.0
_FAINT: Final = 0.45  # contrast of the grey image below
_LUMA: Final = (0.299, 0.587, 0.114)


def evidence_scale(evidence: NDArray[np.float32]) -> float:
    """The strength that is drawn with full opacity: the 99th percentile of the absolute evidence of a map (h, w)."""
    return float(np.percentile(np.abs(evidence), _PERCENTILE))


def overlay(image: NDArray[np.uint8], evidence: NDArray[np.float32], scale: float | None = None) -> NDArray[np.uint8]:
    """An upright image (height, width, 3) in grey with its evidence (h, w) in colour, uint8 (height, width, 3).

    Opacity grows with the strength up to `scale`, by default that of this map.
    """
    height, width = image.shape[:2]
    scale = evidence_scale(evidence) if scale is None else scale
    strength = np.zeros((height, width)) if scale <= 0 else _resize(evidence / scale, width, height).clip(-1, 1)
    grey = image @ np.array(_LUMA)
    grey = (255 - _FAINT * (255 - grey))[..., None]
    colour = np.where(strength[..., None] > 0, np.array(POSITIVE), np.array(NEGATIVE))
    opacity = _STRONGEST * np.abs(strength)[..., None]
    return np.asarray((grey * (1 - opacity) + colour * opacity).round(), np.uint8)


def small_overlay(image: NDArray[np.uint8], evidence: NDArray[np.float32]) -> Image.Image:
    """The overlay of an upright image (height, width, 3), at most 1,024 pixels along its longer side."""
    small = Image.fromarray(image)
    small.thumbnail((_SIDE, _SIDE))
    return Image.fromarray(overlay(np.asarray(small), evidence))


def _resize(values: NDArray[np.float32], width: int, height: int) -> NDArray[np.float32]:
    image = Image.fromarray(np.asarray(values, np.float32))
    return np.asarray(image.resize((width, height), Image.Resampling.BILINEAR))
