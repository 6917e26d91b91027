"""The evidence of an image as a transparent layer, to be laid over the image by a page."""

import io
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from twofold.report.evidence_overlay import NEGATIVE, POSITIVE, evidence_scale

_STRONGEST: Final = 0.85  # opacity at and above the scale


def layer_png(evidence: NDArray[np.float32], side: int) -> bytes:
    """A PNG file of evidence (h, w) with the shape of the image, `side` pixels along its longer side."""
    scale, (height, width) = evidence_scale(evidence), evidence.shape
    factor = side / max(height, width)
    size = max(round(width * factor), 1), max(round(height * factor), 1)
    strength = np.zeros(size[::-1]) if scale <= 0 else _resize(evidence / scale, size).clip(-1, 1)
    colour = np.where(strength[..., None] > 0, np.array(POSITIVE), np.array(NEGATIVE))
    layer = np.concatenate([colour, 255 * _STRONGEST * np.abs(strength)[..., None]], axis=2).round().astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(layer).quantize(64).save(file, "PNG", optimize=True)
    return file.getvalue()


def _resize(values: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    return np.asarray(Image.fromarray(np.asarray(values, np.float32)).resize(size, Image.Resampling.BOX))
