"""Urns of ranks: conformal p-values of a stream of numbers, each ranked among reference values and all numbers before it.

Where the numbers are exchangeable with the reference values, the next one falls into each of the n + 1 gaps between n reference
values with the same probability, and a gap that a number fell into becomes two: Pólya's urn, with gaps as balls. So the p-values
of a stream are independent and uniform, however long it is (Vovk, Gammerman and Shafer 2005, "Algorithmic Learning in a Random
World", theorem 8.2). p-values from the n fixed values alone are not: a bet wins on the errors of their quantiles after some n
numbers.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from twofold.core.arrays import Reals

Counts = NDArray[np.int64]

_TAIL: Final = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.035)
FRACTIONS: Final = np.array([*_TAIL, *(np.arange(1, 20) / 20), *(1 - fraction for fraction in reversed(_TAIL))])
"""The ranks between which numbers are told apart, finest at both ends: a few strangers are all at one end."""

MIN_VALUES: Final = 20
"""Reference values that an urn needs."""


@dataclass(frozen=True, slots=True, eq=False)
class RankUrn:
    """Reference values in k bins: `edges` (k - 1,) are reference values, ascending, and `gaps` (k,) is the number of gaps between
    reference values in each bin. A number at an edge is in the bin above it."""

    edges: Reals = field(repr=False)
    gaps: Counts = field(repr=False)

    def bins(self, values: Reals) -> Counts:
        """The bin of each number, in the same shape."""
        return np.asarray(np.searchsorted(self.edges, values, "right"), np.int64)

    @property
    def median(self) -> float:
        """The edge nearest to the median of the reference values."""
        below = np.cumsum(self.gaps)[:-1]
        return float(self.edges[np.argmin(np.abs(below - below[-1] / 2 - self.gaps[-1] / 2))])

    def as_json(self) -> dict[str, Any]:
        """{"edges", "gaps"}."""
        return {"edges": self.edges.tolist(), "gaps": self.gaps.tolist()}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Self:
        """The urn of `as_json`. Raises ValueError, TypeError or KeyError where it cannot be one."""
        edges, gaps = np.array(plain["edges"], np.float64), np.array(plain["gaps"], np.int64)
        if edges.ndim != 1 or gaps.shape != (len(edges) + 1,) or not len(edges):
            raise ValueError("the numbers of its edges and gaps do not fit each other")
        if not np.isfinite(edges).all() or not np.all(np.diff(edges) > 0) or not np.all(gaps > 0):
            raise ValueError("its edges must ascend, and its gaps be positive")
        return cls(edges, gaps)


def fit_urn(values: Reals, groups: NDArray[np.int64] | None = None) -> RankUrn | None:
    """The urn of reference values (n,) in groups (n,), of which each counts once, by its first value.

    NaN are left out. None where there are too few values.

    >>> fit_urn(np.arange(99.0)).gaps.sum()
    np.int64(100)
    """
    finite = np.isfinite(values)
    values = values[finite]
    if groups is not None:
        values = values[np.unique(groups[finite], return_index=True)[1]]
    count = len(values)
    if count < MIN_VALUES:
        return None
    ascending = np.sort(values)
    numbers = np.clip(np.rint(FRACTIONS * (count + 1)).astype(np.int64), 1, count)
    edges = np.unique(ascending[numbers - 1])
    below = np.searchsorted(ascending, edges) + 1  # gaps: one more than values
    return RankUrn(edges, np.diff(below, prepend=0, append=count + 1))


def p_values(balls: Counts, bins: Counts, ties: Reals) -> Reals:
    """The p-values of numbers in these bins (n,), one for each urn with these `balls` (n, k): low for a low number.

    `ties` (n,), uniform in [0, 1), place each number within its bin. Vovk, Gammerman and Shafer 2005, equation 2.20.
    """
    rows = np.arange(len(bins))
    own = balls[rows, bins]
    upto = balls.cumsum(axis=1)
    return np.asarray((upto[rows, bins] - own + ties * own) / upto[:, -1])
