"""The head: a standardised L2 logistic regression, folded into one affine map from features to logit."""

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from twofold.core.arrays import StoredFeatures
from twofold.decision.logistic_regression import Regressions
from twofold.decision.penalty_search import best_fit, search, search_stripes

MIN_ROWS: Final = 100
"""Rows that are fitted in memory, however many features they have."""

MEMORY: Final = 2**27
"""Bytes of float32 features that are fitted in memory, where the features are stored as float16."""


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """logit = features @ weights + bias."""

    weights: NDArray[np.float32] = field(repr=False)  # (d,)
    bias: float

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Head):
            return NotImplemented
        return self.bias == other.bias and np.array_equal(self.weights, other.weights)

    __hash__ = None  # type: ignore[assignment]

    def logits(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """The logits of features (n, d), float64 (n,)."""
        # Not `@`: its result for a row depends, in the last digits, on the other rows.
        return np.asarray(np.einsum("nd,d->n", features, self.weights, dtype=np.float64) + self.bias)


@dataclass(frozen=True, slots=True, eq=False)
class HeadFit:
    """The head fitted on all images, and the cross-validation that chose its C."""

    head: Head
    logits: NDArray[np.float64] = field(repr=False)  # (n,) out-of-fold
    C: float
    losses: dict[float, float]  # out-of-fold log-loss of each C of the grid, up to where the search stopped


def fit_head(
    features: StoredFeatures, labels: NDArray[np.int8], folds: NDArray[np.int64], *, memory: int = MEMORY
) -> HeadFit:
    """The head with the C of the lowest out-of-fold log-loss, and the out-of-fold logits of all images for that C.

    features (n, d), labels (n,) 0 or 1, folds (n,) the fold of each image. The logits of a fold come from a head and a
    standardisation that are independent of the fold. Classes have the same weight in the fit whatever their sizes; the bias is
    then moved by the log-odds of the classes.

    Features of float16 that would take more than `memory` bytes as float32 are read in stripes, and the search for C begins at
    that of a sample of this size. Raises DataError where a feature is not finite, or where the images outside a fold are all of
    one class.
    """
    from threadpoolctl import threadpool_limits

    # In products this thin two BLAS threads wait for each other: 4 ms at best, 70 ms when the processor has other work.
    with threadpool_limits(1):
        in_memory = max(MIN_ROWS, memory // (4 * max(features.shape[1], 1)))
        if features.dtype == np.float32 or len(features) <= in_memory:
            regressions = Regressions.from_features(features, labels, folds)
            fits = search(regressions)
        else:
            regressions, fits = search_stripes(features, labels, folds, in_memory)
    best = best_fit(fits)
    losses = {fit.C: fit.loss for fit in sorted(fits, key=lambda fit: fit.C)}
    return HeadFit(Head(*regressions.affine(best.coefficients)), best.logits, best.C, losses)
