"""What one look at a file gives, and keeps."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twofold.data import Refusal


@dataclass(frozen=True, slots=True)
class Facts:
    """`pixels` is the hash of what the network sees and of the picture's size: equal for copies that differ in metadata."""

    sha256: str
    pixels: str
    width: int
    height: int
    format: str
    bytes: int


@dataclass(frozen=True, slots=True, eq=False)
class Observation:
    """Either facts and a vector, float32 (d,), or a refusal."""

    facts: Facts | None
    vector: NDArray[np.float32] | None
    refusal: Refusal | None
