"""Probe images: drawn by rule, the same on every machine, so that an engine can be compared with the one of training.

Whole numbers alone, and random bits that NumPy promises never to change: no library's rounding has a say.
"""

import hashlib
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from twofold.data import ImageArray

PROBES: Final = 32
_SIDE: Final = 64
# Of the deviation of the logits, at the median. Decision 008: exact arithmetic differs from that of VNNI and AMX by 0.03 at most,
# arithmetic that saturates by 0.2 and more.
_TOLERANCE: Final = 0.07
_CELLS: Final = (2, 4, 8, 16, 32)  # along a side: from large shapes to fine grain
_ONE: Final = 256  # a fraction of 1, as a whole number


@dataclass(frozen=True, slots=True, eq=False)
class Probes:
    """What a model says of the probe images: `logits` (PROBES,), of a head with these weights, (d,), and bias."""

    weights: NDArray[np.float32]
    bias: float
    logits: NDArray[np.float64]

    @property
    def digest(self) -> str:
        """A hash of all of it."""
        numbers = (self.weights, np.float64(self.bias), self.logits)
        return hashlib.sha256(b"".join(np.asarray(part).tobytes() for part in numbers)).hexdigest()

    def agree(self, features: NDArray[np.float32]) -> bool:
        """Whether vectors (n, d) of the first n images give their logits, but for how values are rounded."""
        apart = np.abs(features.astype(np.float64) @ self.weights + self.bias - self.logits[: len(features)])
        return bool(np.median(apart) <= _TOLERANCE * np.std(self.logits))


def probe_images() -> list[ImageArray]:
    """PROBES images, (_SIDE, _SIDE, 3): textures of many contrasts, half of them grey, every fourth with hard edges."""
    return [_texture(number) for number in range(PROBES)]


def _texture(number: int) -> ImageArray:
    bits = np.random.PCG64(number)
    coarse, contrast, ground = 1 + number % 3, 1 + number % 5, 64 + 16 * (number % 9)
    grey = number % 2 == 1
    layers = [_layer(bits, cells, grey=grey) * (16 >> level * coarse // 2) for level, cells in enumerate(_CELLS)]
    texture = np.sum(layers, axis=0) * contrast // _ONE
    if number % 4 == 3:
        texture = np.sign(texture) * 25 * contrast
    return np.asarray((texture + ground).clip(0, 255), np.uint8)


def _layer(bits: np.random.PCG64, cells: int, *, grey: bool) -> NDArray[np.int32]:
    """Random values, -128 to 127, at the corners of cells, and between them values in between, (_SIDE, _SIDE, 3)."""
    drawn = (bits.random_raw((cells + 1) ** 2 * 3) >> np.uint64(56)).astype(np.int32).reshape(cells + 1, cells + 1, 3)
    corners = (drawn[..., :1] if grey else drawn) - 128
    place, part = np.divmod(np.arange(_SIDE, dtype=np.int32) * cells * _ONE // _SIDE, _ONE)
    down, across = part[:, None, None], part[None, :, None]
    rows = corners[place] * (_ONE - down) + corners[place + 1] * down
    between = rows[:, place] * (_ONE - across) + rows[:, place + 1] * across
    return np.broadcast_to(between // _ONE**2, (_SIDE, _SIDE, 3))
