"""Principal axes of vectors, without each fold of them, by subspace iteration on their products."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from twofold.decision.feature_stripes import Matrix

_SPARE: Final = 16  # axes that are computed and dropped: the last ones converge slowly
_ROUNDS: Final = 5


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """Number, sum (w,) and products (w, w) of vectors."""

    count: int
    total: Matrix = field(repr=False)
    products: Matrix = field(repr=False)

    @classmethod
    def of_rows(cls, rows: Matrix) -> Self:
        """The moments of vectors (n, w)."""
        return cls(len(rows), rows.sum(axis=0), rows.T @ rows)

    def without(self, other: Self) -> Self:
        """The moments of these vectors without `other`, which are some of them."""
        return type(self)(self.count - other.count, self.total - other.total, self.products - other.products)

    @property
    def mean(self) -> Matrix:
        """(w,)."""
        return self.total / np.float32(self.count)

    def axes(self, count: int, seed: int = 0) -> Matrix:
        """The first `count` principal axes, orthonormal rows (count, w), from the largest variance down.

        Halko, Martinsson and Tropp 2011, "Finding structure with randomness", algorithm 4.4, on the covariance.
        """
        covariance: Matrix = self.products / np.float32(self.count) - np.outer(self.mean, self.mean)
        width = min(count + _SPARE, len(covariance))
        basis = np.random.default_rng(seed).normal(size=(len(covariance), width)).astype(np.float32)
        for _ in range(_ROUNDS):
            basis = _orthonormal(covariance @ basis)
        _, vectors = np.linalg.eigh(basis.T @ covariance @ basis)
        return np.ascontiguousarray((basis @ vectors[:, ::-1][:, :count]).T)


def _orthonormal(columns: Matrix) -> Matrix:
    """Orthonormal columns (w, k) that span the same space. NumPy's QR takes ten times as long."""
    wide = columns.astype(np.float64)
    variances, directions = np.linalg.eigh(wide.T @ wide)
    scale = np.sqrt(np.maximum(variances, 1e-12 * variances[-1]) + np.finfo(np.float64).tiny)
    return np.asarray(wide @ (directions / scale), np.float32)


def without_each_fold(rows: Matrix, folds: NDArray[np.int64]) -> Iterator[tuple[NDArray[np.bool_], Moments]]:
    """For each fold from 0 on the mask of its vectors, (n,), and the moments of all others; first of no fold, that is of all.

    A negative fold (n,) is in the moments of every other one.
    """
    parts = {int(fold): Moments.of_rows(rows[folds == fold]) for fold in np.unique(folds)}
    everything = Moments(
        len(rows),
        np.sum([part.total for part in parts.values()], axis=0),
        np.sum([part.products for part in parts.values()], axis=0),
    )
    yield np.zeros(len(rows), np.bool_), everything
    for fold, part in parts.items():
        if fold >= 0:
            yield folds == fold, everything.without(part)
