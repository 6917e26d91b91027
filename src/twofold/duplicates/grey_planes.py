"""Grey thumbnails, computed for the rows that are asked for, so that the thumbnails may lie in a file."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from twofold.duplicates.perceptual_hash import ThumbnailArray, greys

_AT_ONCE: Final = 4096


@dataclass(frozen=True, slots=True, eq=False)
class GreyPlanes:
    """The luma of thumbnails, float32 (n, SMALL, SMALL), minus a mean (SMALL, SMALL) where there is one.

    >>> GreyPlanes(np.full((3, 32, 32, 3), 7, np.uint8))[np.array([0, 2])].shape
    (2, 32, 32)
    """

    thumbnails: ThumbnailArray = field(repr=False)
    mean: NDArray[np.float32] | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return len(self.thumbnails)

    def __getitem__(self, rows: slice | NDArray[np.int64]) -> NDArray[np.float32]:
        planes = greys(self.thumbnails[rows])
        return planes if self.mean is None else planes - self.mean

    def centred(self) -> "GreyPlanes":
        """The same planes minus the mean of all."""
        total = np.zeros((), np.float32)
        for chunk in self._chunks():
            # Row after row, as the sum of one array along its first axis is computed: the same to the last bit.
            total = chunk.sum(axis=0) if not total.ndim else np.concatenate([total[None], chunk]).sum(axis=0)
        return replace(self, mean=np.asarray(total / np.float32(len(self)), np.float32))

    def _chunks(self) -> Iterator[NDArray[np.float32]]:
        return (self[start : start + _AT_ONCE] for start in range(0, len(self), _AT_ONCE))
