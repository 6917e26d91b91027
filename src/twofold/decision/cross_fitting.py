"""Scores for evaluating a cross-validation: calibrated without the own fold, and by heads fitted without pairs of folds."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Self

import numpy as np
from numpy.typing import NDArray

from twofold.decision.calibration import fit_calibration
from twofold.decision.logistic_regression import Regressions


def cross_fit_probabilities(
    logits: NDArray[np.floating],
    labels: NDArray[np.int8],
    folds: NDArray[np.int64],
    groups: NDArray[np.int64] | None = None,
) -> NDArray[np.float64]:
    """The probability of each out-of-fold logit, (n,), by a calibration that is fitted on the other folds.

    With a single fold, of a validation set, the groups (n,) are dealt to five parts, by class in their order; by default each
    image is a group.
    """
    parts = folds if len(np.unique(folds)) > 1 else _parts(labels, groups)
    probabilities = np.empty(len(labels))
    for part in np.unique(parts):
        held_out = parts == part
        calibration = fit_calibration(logits[~held_out], labels[~held_out])
        probabilities[held_out] = calibration.probabilities(logits[held_out])
    return probabilities


def _parts(labels: NDArray[np.int8], groups: NDArray[np.int64] | None, count: int = 5) -> NDArray[np.int64]:
    """The part of each image, (n,). The class of a group is that of its first image."""
    names = np.arange(len(labels)) if groups is None else groups
    _, first, number = np.unique(names, return_index=True, return_inverse=True)
    parts = np.zeros(len(first), np.int64)
    for label in (0, 1):
        of_class = np.flatnonzero(labels[first] == label)
        parts[of_class] = np.arange(len(of_class)) % count
    return parts[number]


@dataclass(frozen=True, slots=True, eq=False)
class NestedScores:
    """Logits of one shuffle of a nested cross-validation (Bates, Hastie and Tibshirani 2023, algorithm 1).

    `logits[i, k]` is the logit of image i by the head fitted without fold k and without the image's own fold.
    """

    folds: NDArray[np.int64] = field(repr=False)  # (n,) 0 to K - 1
    logits: NDArray[np.float64] = field(repr=False)  # (n, K)

    @classmethod
    def from_pairs(cls, folds: NDArray[np.int64], logits: NDArray[np.float64]) -> Self:
        """From the logits (p, n) of the heads without each of the `_pairs` of folds."""
        matrix = np.empty((len(folds), folds.max() + 1))
        for (a, b), row in zip(_pairs(folds), logits, strict=True):
            matrix[folds == a, b], matrix[folds == b, a] = row[folds == a], row[folds == b]
        return cls(folds, matrix)

    def splits(self) -> Iterator[tuple[NDArray[np.bool_], NDArray[np.float64]]]:
        """For each fold the mask of its images, and logits (n,): out-of-fold for the other folds, and by the head fitted on
        all of these for its own images."""
        for fold in range(self.logits.shape[1]):
            yield self.folds == fold, self.logits[:, fold]


def nested_scores(
    features: NDArray[np.float32], labels: NDArray[np.int8], shuffles: Sequence[NDArray[np.int64]], C: float
) -> list[NestedScores]:
    """The scores for each shuffle, an assignment of folds (n,); all heads are fitted side by side, with this C.

    They have the standardisation of all images, so the products of the images are all that is needed: features (n, d) are
    replaced by (n, n) with the same products, which costs less where d is larger.
    """
    from threadpoolctl import threadpool_limits

    masks = [(folds != a) & (folds != b) for folds in shuffles for a, b in _pairs(folds)]
    with threadpool_limits(1):
        regressions = Regressions.on_products(features, labels, np.array(masks))
        logits = regressions.logits(regressions.fit(regressions.zeros(), C))
    ends = np.cumsum([len(_pairs(folds)) for folds in shuffles])[:-1]
    return [NestedScores.from_pairs(folds, rows) for folds, rows in zip(shuffles, np.split(logits, ends), strict=True)]


def _pairs(folds: NDArray[np.int64]) -> list[tuple[int, int]]:
    """All pairs of folds, and each fold with itself."""
    count = int(folds.max()) + 1
    return [*combinations(range(count), 2), *((fold, fold) for fold in range(count))]
