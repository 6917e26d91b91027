"""Probe images: generated, and identical on every computer, so that an engine can be compared with that of the training.

They are made of integers and of random bits that NumPy guarantees to be stable, so no library's rounding changes them.
"""

import hashlib
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from twofold.data import ImageArray

PROBES: Final = 32
_SIDE: Final = 64
# Median difference, in standard deviations of the logits. Decision 008: exact computation differs from VNNI and AMX by at most
# 0.03, computation that saturates by at least 0.2.
TOLERANCE: Final = 0.07
_CELLS: Final = (2, 4, 8, 16, 32)  # per side: from large shapes to fine grain
_UNIT: Final = 256  # 1.0 in fixed point


@dataclass(frozen=True, slots=True, eq=False)
class Probes:
    """A model's `logits` for the probe images, (PROBES,), and its head: `weights` (d,) and `bias`."""

    weights: NDArray[np.float32]
    bias: float
    logits: NDArray[np.float64]

    @property
    def digest(self) -> str:
        """A hash of head and logits."""
        arrays = (self.weights, np.float64(self.bias), self.logits)
        return hashlib.sha256(b"".join(np.asarray(array).tobytes() for array in arrays)).hexdigest()

    def agree(self, features: NDArray[np.float32]) -> bool:
        """Whether features (n, d) of the first n images give their logits, up to rounding."""
        differences = np.abs(features.astype(np.float64) @ self.weights + self.bias - self.logits[: len(features)])
        return bool(np.median(differences) <= TOLERANCE * np.std(self.logits))


def probe_images() -> list[ImageArray]:
    """PROBES images (64, 64, 3): textures of various contrasts, half of them grey, every fourth with hard edges."""
    return [_texture(number) for number in range(PROBES)]


def _texture(number: int) -> ImageArray:
    bits = np.random.PCG64(number)
    coarseness, contrast, brightness = 1 + number % 3, 1 + number % 5, 64 + 16 * (number % 9)
    grey = number % 2 == 1
    layers = [_layer(bits, cells, grey=grey) * (16 >> level * coarseness // 2) for level, cells in enumerate(_CELLS)]
    texture = np.sum(layers, axis=0) * contrast // _UNIT
    if number % 4 == 3:
        texture = np.sign(texture) * 25 * contrast
    return np.asarray((texture + brightness).clip(0, 255), np.uint8)


def _layer(bits: np.random.PCG64, cells: int, *, grey: bool) -> NDArray[np.int32]:
    """Random values, -128 to 127, at the corners of cells, and bilinear interpolation between them, (_SIDE, _SIDE, 3)."""
    values = (bits.random_raw((cells + 1) ** 2 * 3) >> np.uint64(56)).astype(np.int32).reshape(cells + 1, cells + 1, 3)
    corners = (values[..., :1] if grey else values) - 128
    cell, fraction = np.divmod(np.arange(_SIDE, dtype=np.int32) * cells * _UNIT // _SIDE, _UNIT)
    down, across = fraction[:, None, None], fraction[None, :, None]
    rows = corners[cell] * (_UNIT - down) + corners[cell + 1] * down
    layer = rows[:, cell] * (_UNIT - across) + rows[:, cell + 1] * across
    return np.broadcast_to(layer // _UNIT**2, (_SIDE, _SIDE, 3))
