"""The search for C, the inverse strength of the penalty: fits along a grid, each from the coefficients of the one before."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from twofold.core.arrays import Reals, StoredFeatures
from twofold.decision.logistic_regression import Regressions

CS = tuple(float(10.0 ** (k / 2)) for k in range(-10, 3))
"""The grid of C, as scikit-learn defines it, ascending: half decades from 1e-5 to 10."""

RISE: Final = 1.005
"""A search ends where the loss is more than this many times its minimum; a C whose loss is not is good."""

BELOW: Final = 2
"""Steps below the least good C of a sample at which the search over all images begins: coefficients grow with C, and where they
separate the classes, a fit that begins with too large ones stops near them."""

PATIENCE: Final = 2
GAIN: Final = 1e-3
"""The search over all images ends where `PATIENCE` steps lower the loss by less than this fraction."""

STRIPES: Final = 8
"""Fraction of the memory for features that a stripe takes: a processor's cache holds most of it."""


@dataclass(frozen=True, slots=True, eq=False)
class PenaltyFit:
    """The fit of the regressions with one C: coefficients, out-of-fold logits (n,), and their log-loss."""

    C: float
    coefficients: Reals = field(repr=False)
    logits: Reals = field(repr=False)
    loss: float


def search(regressions: Regressions) -> list[PenaltyFit]:
    """The fits along the grid from its start on."""
    return _fit_along(regressions, regressions.zeros(), CS)


def search_stripes(
    features: StoredFeatures, labels: NDArray[np.int8], folds: NDArray[np.int64], in_memory: int
) -> tuple[Regressions, list[PenaltyFit]]:
    """The regressions on features that are read in stripes in each pass, and fits around the C that is best for a sample.

    The sample has `in_memory` rows.
    """
    rows = balanced_sample(labels, in_memory)
    sample = Regressions.from_features(np.asarray(features[rows]), labels[rows], folds[rows])
    sample_fits = search(sample)
    level = RISE * best_fit(sample_fits).loss
    first = max(0, next(number for number, fit in enumerate(sample_fits) if fit.loss <= level) - BELOW)
    regressions = Regressions.from_features(features, labels, folds, max(1, in_memory // STRIPES))
    start = sample_fits[first].coefficients
    if len(start) != len(regressions.sizes):  # the sample has no image of a small fold
        start = regressions.zeros()
    fits = _fit_along(regressions, start, CS[first:], patient=False)
    if best_fit(fits) is fits[0]:
        fits += _fit_along(regressions, fits[0].coefficients, CS[:first][::-1], least=fits[0].loss)
    return regressions, fits


def best_fit(fits: Sequence[PenaltyFit]) -> PenaltyFit:
    """The one with the lowest loss, the first among equals."""
    return min(fits, key=lambda fit: fit.loss)


def balanced_sample(labels: NDArray[np.int8], count: int, seed: int = 0) -> NDArray[np.int64]:
    """The rows, ascending, of a random sample of at most `count` images, of both classes as equally as there are images."""
    order = np.random.default_rng(seed).permutation(len(labels))
    by_class = [order[labels[order] == label] for label in (0, 1)]
    fewest = min(count // 2, *map(len, by_class))
    taken = [rows[: max(fewest, count - len(other))] for rows, other in zip(by_class, by_class[::-1], strict=True)]
    return np.sort(np.concatenate(taken))


def _fit_along(
    regressions: Regressions,
    coefficients: Reals,
    grid: Sequence[float],
    *,
    patient: bool = True,
    least: float = np.inf,
) -> list[PenaltyFit]:
    """The fits along the grid, until the loss is `RISE` times its minimum or, where not `patient`, falls no more."""
    fits: list[PenaltyFit] = []
    for C in grid:
        coefficients = regressions.fit(coefficients, C)
        logits = regressions.held_out_logits(coefficients)
        loss = float(np.mean(np.logaddexp(0.0, logits) - regressions.targets * logits))
        fits.append(PenaltyFit(C, coefficients, logits, loss))
        losses = [fit.loss for fit in fits]
        least = min(least, *losses)
        flat = len(losses) > PATIENCE and least > (1 - GAIN) * min(losses[:-PATIENCE])
        if loss > RISE * least or (flat and not patient):
            break
    return fits
