"""What one look at a file gives, and keeps."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from twofold.data import Picture, Refusal


@dataclass(frozen=True, slots=True)
class Facts:
    """`pixels` is the hash of what the network sees and of the picture's size: equal for copies that differ in metadata."""

    sha256: str
    pixels: str
    width: int
    height: int
    format: str
    bytes: int
    quality: int | None = None  # of a JPEG file, 1 to 100
    exif: bool = False
    camera: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Observation:
    """Either facts, a thumbnail, uint8 (SMALL, SMALL, 3), and a vector, float32 (d,), or a refusal."""

    facts: Facts | None
    thumbnail: Picture | None = field(repr=False)
    vector: NDArray[np.float32] | None = field(repr=False)
    refusal: Refusal | None
