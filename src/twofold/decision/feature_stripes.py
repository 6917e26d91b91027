"""Stripes: the standardised features of regressions, some rows at a time, so that more than fit in memory can be read."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from twofold.core.arrays import Reals, StoredFeatures
from twofold.core.errors import DataError
from twofold.core.parallel import prefetch

Matrix = NDArray[np.float32]

FLOOR = 0.1
"""Fraction of the median standard deviation that is added, in square, to each. Without it a channel that is nearly constant in
the training data dominates the logits of images that activate it: a solar cell lay 4,299 deviations out (docs/decisions/002)."""


@dataclass(frozen=True, slots=True, eq=False)
class Stripes:
    """The standardised matrix (n, d) in stripes of `height` rows, a stream that can be read any number of times.

    matrix = (features - mean) / std. A single stripe is kept in memory; several are computed in each pass.
    """

    features: StoredFeatures = field(repr=False)
    height: int
    mean: Reals = field(repr=False)  # (d,)
    std: Reals = field(repr=False)  # (d,)
    matrix: Matrix | None = field(default=None, repr=False)

    @classmethod
    def of_matrix(cls, matrix: Matrix) -> Self:
        """A matrix in memory, as it is."""
        zeros, ones = np.zeros(matrix.shape[1]), np.ones(matrix.shape[1])
        return cls(matrix, len(matrix), zeros, ones, matrix)

    @classmethod
    def standardise(cls, features: StoredFeatures, height: int | None = None) -> Self:
        """The stripes of features (n, d); by default a single one. Raises DataError where a feature is not finite."""
        n, d = features.shape
        height = n if height is None else height
        total, squares = np.zeros(d), np.zeros(d)
        for start in range(0, n, height):
            total += features[start : start + height].sum(axis=0, dtype=np.float64)
        mean = total / n
        if not np.isfinite(mean).all():
            raise DataError("Some features are not finite numbers; train again with `dtype='f32'`.")
        for _, centred in cls(features, height, mean, np.ones(d)):
            squares += np.einsum("nd,nd->d", centred, centred, dtype=np.float64)
        stripes = cls(features, height, mean, with_floor(np.sqrt(squares / n)))
        return replace(stripes, matrix=stripes._load(slice(0, n))) if height >= n else stripes

    @property
    def shape(self) -> tuple[int, int]:
        """(n, d)"""
        n, d = self.features.shape
        return n, d

    def __iter__(self) -> Iterator[tuple[slice, Matrix]]:
        """The rows of each stripe, and its part of the matrix."""
        if self.matrix is not None:
            yield slice(0, len(self.matrix)), self.matrix
            return
        starts = range(0, len(self.features), self.height)
        rows = [slice(start, start + self.height) for start in starts]
        if len(rows) == 1:
            yield rows[0], self._load(rows[0])
            return
        with ThreadPoolExecutor(1, thread_name_prefix="stripe") as pool:  # it computes one ahead
            yield from zip(rows, prefetch(pool, self._load, rows, 1), strict=True)

    def _load(self, rows: slice) -> Matrix:
        stripe = self.features[rows].astype(np.float32)
        stripe -= self.mean.astype(np.float32)
        stripe /= self.std.astype(np.float32)
        return np.asarray(stripe)


def with_floor(deviation: Reals) -> Reals:
    """The standard deviations (d,) with the floor that the head adds to them."""
    positive = deviation[deviation > 0]
    return np.hypot(deviation, FLOOR * np.median(positive) if len(positive) else 1.0)
