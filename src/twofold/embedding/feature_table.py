"""What one look at a file gives, and keeps."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from twofold.data import SMALL, ImageArray, ReadError


@dataclass(frozen=True, slots=True)
class Metadata:
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
class FeatureRow:
    """Either facts, a thumbnail, uint8 (SMALL, SMALL, 3), and a vector, float32 (d,), or a refusal."""

    metadata: Metadata | None
    thumbnail: ImageArray | None = field(repr=False)
    features: NDArray[np.float32] | None = field(repr=False)
    read_error: ReadError | None


@dataclass(frozen=True, eq=False)
class FeatureTable:
    """`facts` and `refusals` have a row for every source, and one of the two is set; `vectors` (used, d) and `thumbnails`
    (used, SMALL, SMALL, 3) have the usable rows."""

    metadata: tuple[Metadata | None, ...] = field(repr=False)
    read_errors: tuple[ReadError | None, ...] = field(repr=False)
    features: NDArray[np.float32] = field(repr=False)
    thumbnails: NDArray[np.uint8] = field(repr=False)

    @cached_property
    def used(self) -> NDArray[np.intp]:
        """Rows that have a vector, (used,)."""
        return np.array([row for row, metadata in enumerate(self.metadata) if metadata is not None], dtype=np.intp)


def collect_features(observations: Iterable[FeatureRow], count: int) -> FeatureTable:
    """The table of a stream of `count` observations; holds one copy of the vectors, however many."""
    metadata: list[Metadata | None] = []
    read_errors: list[ReadError | None] = []
    features, filled = np.empty((0, 0), np.float32), 0
    thumbnails = np.empty((count, SMALL, SMALL, 3), np.uint8)
    for seen in observations:
        metadata.append(seen.metadata)
        read_errors.append(seen.read_error)
        if seen.features is not None and seen.thumbnail is not None:
            if filled == 0:
                features = np.empty((count, seen.features.size), np.float32)
            features[filled], thumbnails[filled] = seen.features, seen.thumbnail
            filled += 1
    return FeatureTable(tuple(metadata), tuple(read_errors), features[:filled], thumbnails[:filled])
