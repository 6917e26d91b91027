"""The head: a standardised L2 logistic regression, folded into one affine map from vector to logit."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from twofold.decision.logistic_regression import Regressions

CS = tuple(float(10.0 ** (k / 2)) for k in range(-10, 3))
"""Values of C that are tried, weakest first: half decades from 1e-5 to 10, in scikit-learn's sense of C."""


@dataclass(frozen=True, slots=True)
class Head:
    """logit = vector @ weights + bias."""

    weights: NDArray[np.float32] = field(repr=False)  # (d,)
    bias: float

    def logits(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """The logit of each vector: (n, d) -> float64 (n,)."""
        # Not `@`: there a logit depends, in its last digits, on the rows around it.
        return np.asarray(np.einsum("nd,d->n", features, self.weights, dtype=np.float64) + self.bias)


@dataclass(frozen=True, slots=True)
class HeadFit:
    """The head fitted on all vectors, and what cross-validation said on the way."""

    head: Head
    logits: NDArray[np.float64] = field(repr=False)  # (n,) out-of-fold
    C: float  # the C that was chosen
    losses: dict[float, float]  # C -> out-of-fold log-loss, for each C that was tried


def fit_head(features: NDArray[np.float32], labels: NDArray[np.int8], folds: NDArray[np.int64]) -> HeadFit:
    """The head of least out-of-fold log-loss, with the out-of-fold logits of all pictures.

    vectors (n, d) float32, labels (n,) 0 or 1, folds (n,) the fold that holds each picture out. Every logit comes from
    a head and a scaling that saw nothing of its fold. Classes weigh the same in the fit whatever their sizes; the bias
    is then moved by the log-odds of the classes, so that logits speak of the data as it is. Raises DataError when a
    vector is not finite or when the pictures outside a fold are all of one class.
    """
    import scipy.optimize  # noqa: F401  # brings a BLAS of its own, which is limited only once it is loaded
    from threadpoolctl import threadpool_limits

    # Two BLAS threads wait for each other in products this thin: 4 ms at best, 70 ms when the processor has other work.
    with threadpool_limits(1):
        return _best_strength(Regressions.of(features, labels, folds))


def _best_strength(regressions: Regressions) -> HeadFit:
    """The strengths upwards, each fit starting from the one before, until the loss is 0.5% above the least so far."""
    coefficients = regressions.zeros()
    losses: dict[float, float] = {}
    best: HeadFit | None = None
    for C in CS:
        coefficients = regressions.fit(coefficients, C)
        logits = regressions.held_out_logits(coefficients)
        losses[C] = float(np.mean(np.logaddexp(0.0, logits) - regressions.targets * logits))
        if best is None or losses[C] < losses[best.C]:
            best = HeadFit(Head(*regressions.affine(coefficients)), logits, C, losses)
        elif losses[C] > 1.005 * losses[best.C]:
            break
    assert best is not None
    return best
