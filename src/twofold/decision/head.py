"""The head: a standardised L2 logistic regression, folded into one affine map from features to logit."""

from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from twofold.core.arrays import Reals, StoredFeatures
from twofold.decision.logistic_regression import Regressions

CS = tuple(float(10.0 ** (k / 2)) for k in range(-10, 3))
"""The grid of C, as scikit-learn defines it, ascending: half decades from 1e-5 to 10."""

RISE: Final = 1.005
"""The search for C ends where the loss is this many times its minimum."""

MEMORY: Final = 2**27
"""Bytes of float32 features that are fitted in memory, where the features are stored as float16."""

STRIPES: Final = 8
"""Fraction of these bytes that a stripe takes: a processor's cache holds most of it."""


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
        in_memory = max(1, memory // (4 * features.shape[1]))  # rows
        if features.dtype == np.float32 or len(features) <= in_memory:
            return _best_fit(Regressions.from_features(features, labels, folds))[0]
        return _fit_stripes(features, labels, folds, in_memory)


def _fit_stripes(
    features: StoredFeatures, labels: NDArray[np.int8], folds: NDArray[np.int64], in_memory: int
) -> HeadFit:
    """The fit of all images, from C and the coefficients of a sample of so many rows: each pass reads everything."""
    rows = balanced_sample(labels, in_memory)
    sample, start = _best_fit(Regressions.from_features(np.asarray(features[rows]), labels[rows], folds[rows]))
    regressions = Regressions.from_features(features, labels, folds, max(1, in_memory // STRIPES))
    if len(start) != len(regressions.sizes):  # the sample has no image of a small fold
        start = regressions.zeros()
    return _best_fit_near(regressions, start, sample.C)


def _best_fit_near(regressions: Regressions, start: Reals, C: float) -> HeadFit:
    """The best of the fits along the grid from C up or, where that is no better, down, until the loss is above its minimum."""
    coefficients = regressions.fit(start, C)
    best = _head_fit(regressions, coefficients, C)
    losses, first = best.losses, CS.index(C)
    for grid in (CS[first + 1 :], CS[:first][::-1]):
        position = coefficients
        for neighbour in grid:
            position = regressions.fit(position, neighbour)
            fit = _head_fit(regressions, position, neighbour)
            losses = losses | fit.losses
            if losses[neighbour] < losses[best.C]:
                best = fit
            elif losses[neighbour] > RISE * losses[best.C]:
                break
        if best.C != C:
            break
    return replace(best, losses=dict(sorted(losses.items())))


def balanced_sample(labels: NDArray[np.int8], count: int, seed: int = 0) -> NDArray[np.int64]:
    """The rows, ascending, of a random sample of at most `count` images, of both classes as equally as there are images."""
    order = np.random.default_rng(seed).permutation(len(labels))
    by_class = [order[labels[order] == label] for label in (0, 1)]
    fewest = min(count // 2, *map(len, by_class))
    taken = [rows[: max(fewest, count - len(other))] for rows, other in zip(by_class, by_class[::-1], strict=True)]
    return np.sort(np.concatenate(taken))


def _best_fit(regressions: Regressions) -> tuple[HeadFit, Reals]:
    """The best of the fits along the grid, each from the coefficients of the one before, until the loss is above its minimum;
    and its coefficients."""
    coefficients = regressions.zeros()
    losses: dict[float, float] = {}
    best: tuple[HeadFit, Reals] | None = None
    for C in CS:
        coefficients = regressions.fit(coefficients, C)
        fit = _head_fit(regressions, coefficients, C)
        losses |= fit.losses
        if best is None or losses[C] < losses[best[0].C]:
            best = fit, coefficients
        elif losses[C] > RISE * losses[best[0].C]:
            break
    assert best is not None
    return replace(best[0], losses=losses), best[1]


def _head_fit(regressions: Regressions, coefficients: Reals, C: float) -> HeadFit:
    """The head of these coefficients, with the out-of-fold log-loss of this C alone."""
    logits = regressions.held_out_logits(coefficients)
    loss = float(np.mean(np.logaddexp(0.0, logits) - regressions.targets * logits))
    return HeadFit(Head(*regressions.affine(coefficients)), logits, C, {C: loss})
