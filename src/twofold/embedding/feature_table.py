"""The feature row of an image: metadata, a thumbnail and features; and the feature table of many images."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from twofold.core.arrays import StoredFeatures
from twofold.core.notes import Note
from twofold.data import SMALL, ImageArray, ReadError

_HASH: Final = 64  # hexadecimal digits of a SHA-256
_THUMBNAIL_HASH: Final = 16  # and those that are kept of a thumbnail's


@dataclass(frozen=True, slots=True)
class Metadata:
    """The metadata of an image.

    `pixels` is a hash of each model input with the image's size, and of the thumbnail: equal for files that differ only in their
    metadata.
    """

    sha256: str
    pixels: str
    width: int
    height: int
    format: str
    bytes: int
    quality: int | None = None  # of a JPEG file, 1 to 100
    exif: bool = False
    camera: str = ""

    @property
    def pixel_key(self) -> str:
        """The hash of the pixels that a fingerprint holds, 80 digits for any number of model inputs."""
        hashes, rest = self.pixels[:-_THUMBNAIL_HASH], self.pixels[-_THUMBNAIL_HASH:]
        return self.pixels if len(hashes) == _HASH else hashlib.sha256(hashes.encode()).hexdigest() + rest

    def of_model_inputs(self, numbers: Sequence[int]) -> "Metadata":
        """The metadata that the image would have with these of its model inputs alone."""
        hashes = (self.pixels[number * _HASH : (number + 1) * _HASH] for number in numbers)
        return replace(self, pixels="".join(hashes) + self.pixels[-_THUMBNAIL_HASH:])


@dataclass(frozen=True, slots=True, eq=False)
class FeatureRow:
    """One image: metadata, a thumbnail, uint8 (SMALL, SMALL, 3), and features, float32; or a read error instead.

    `features` (k * d,) are those of the k model inputs of the image, one after the other: `Preprocessing.pool` makes them one.
    """

    metadata: Metadata | None
    thumbnail: ImageArray | None = field(repr=False)
    features: NDArray[np.float32] | None = field(repr=False)
    read_error: ReadError | None


@dataclass(frozen=True, eq=False)
class FeatureTable:
    """Feature rows as arrays. `metadata` and `read_errors` have one row per source, and exactly one of the two is set.

    `features` (used, d) and `thumbnails` (used, SMALL, SMALL, 3) have the usable rows only. `notes` say what went wrong with the
    cache or the dtype of the network.
    """

    metadata: tuple[Metadata | None, ...] = field(repr=False)
    read_errors: tuple[ReadError | None, ...] = field(repr=False)
    features: StoredFeatures = field(repr=False)
    thumbnails: NDArray[np.uint8] = field(repr=False)
    notes: tuple[Note, ...] = field(default=(), repr=False)
    moments: int = (
        1  # d = moments * width: features of the image, then standard deviations over the windows of each grid
    )

    @property
    def image_features(self) -> StoredFeatures:
        """The features of the images without the standard deviations over windows, (used, width)."""
        return self.features[:, : self.features.shape[1] // self.moments]

    @cached_property
    def used(self) -> NDArray[np.intp]:
        """The rows that have features, (used,)."""
        return np.array([row for row, metadata in enumerate(self.metadata) if metadata is not None], dtype=np.intp)


def collect_features(
    rows: Iterable[FeatureRow], count: int, pool: Callable[[NDArray[np.float32]], NDArray[np.float32]] = np.asarray
) -> FeatureTable:
    """The table of a stream of `count` rows, with `pool` of their features, which are in memory only once."""
    metadata: list[Metadata | None] = []
    read_errors: list[ReadError | None] = []
    features, row_count = np.empty((0, 0), np.float32), 0
    thumbnails = np.empty((count, SMALL, SMALL, 3), np.uint8)
    for row in rows:
        metadata.append(row.metadata)
        read_errors.append(row.read_error)
        if row.features is not None and row.thumbnail is not None:
            pooled = pool(row.features)
            if row_count == 0:
                features = np.empty((count, pooled.size), np.float32)
            features[row_count], thumbnails[row_count] = pooled, row.thumbnail
            row_count += 1
    return FeatureTable(tuple(metadata), tuple(read_errors), features[:row_count], thumbnails[:row_count])
