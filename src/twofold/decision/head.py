"""The head: a standardised L2 logistic regression, folded into one affine map from features to logit."""

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from twofold.decision.logistic_regression import Regressions

CS = tuple(float(10.0 ** (k / 2)) for k in range(-10, 3))
"""The grid of C, as scikit-learn defines it, ascending: half decades from 1e-5 to 10."""


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


def fit_head(features: NDArray[np.float32], labels: NDArray[np.int8], folds: NDArray[np.int64]) -> HeadFit:
    """The head with the C of the lowest out-of-fold log-loss, and the out-of-fold logits of all images for that C.

    features (n, d) float32, labels (n,) 0 or 1, folds (n,) the fold of each image. The logits of a fold come from a head and a
    standardisation that are independent of the fold. Classes have the same weight in the fit whatever their sizes; the bias is
    then moved by the log-odds of the classes. Raises DataError where a feature is not finite, or where the images outside a fold
    are all of one class.
    """
    from threadpoolctl import threadpool_limits

    # In products this thin two BLAS threads wait for each other: 4 ms at best, 70 ms when the processor has other work.
    with threadpool_limits(1):
        return _best_fit(Regressions.from_features(features, labels, folds))


def _best_fit(regressions: Regressions) -> HeadFit:
    """The fits along the grid, each from the coefficients of the one before, until the loss is 0.5% above its minimum."""
    coefficients = regressions.zeros()
    losses: dict[float, float] = {}
    best: HeadFit | None = None
    for C in CS:
        coefficients = regressions.fit(coefficients, C)
        logits = regressions.held_out_logits(coefficients)
        losses[C] = float(np.mean(np.logaddexp(0.0, logits) - regressions.targets * logits))
        if best is None or losses[C] < losses[best.C]:
            best = HeadFit(Head(*regressions.affine(coefficients)), logits, C, {})
        elif losses[C] > 1.005 * losses[best.C]:
            break
    assert best is not None
    return replace(best, losses=losses)
