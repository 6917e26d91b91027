"""Confusion matrices, of one threshold or of many, and the rates that are computed from them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Rate = NDArray[np.float64]
Cell = Any  # int for one matrix, an array of counts for many: a precise type would need a cast at every use


@dataclass(frozen=True, slots=True, eq=False)
class ConfusionMatrix:
    """The four cells, all of one shape: int for one threshold, (k,) for k thresholds, (b, k) for b samples of k thresholds."""

    tn: Cell
    fp: Cell
    fn: Cell
    tp: Cell

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ConfusionMatrix):
            return NotImplemented
        return all(np.array_equal(getattr(self, cell), getattr(other, cell)) for cell in ("tn", "fp", "fn", "tp"))

    __hash__ = None  # type: ignore[assignment]

    def swap_classes(self) -> "ConfusionMatrix":
        """The matrix with the classes swapped."""
        return ConfusionMatrix(tn=self.tp, fp=self.fn, fn=self.fp, tp=self.tn)


def confusion_matrix(labels: NDArray[np.int8], decisions: NDArray[np.integer | np.bool_]) -> ConfusionMatrix:
    """The matrix of decisions (n,), 1 for positive and 0 for negative; every cell is an int. ValueError for other decisions."""
    predicted, positive = decisions == 1, labels == 1
    if undecided := int(np.sum(~predicted & (decisions != 0))):
        raise ValueError(
            f"A confusion matrix needs a class for every image, {undecided} of {len(labels)} have none: use a rule with one "
            "threshold, and finite probabilities."
        )
    return ConfusionMatrix(
        tn=int(np.sum(~predicted & ~positive)),
        fp=int(np.sum(predicted & ~positive)),
        fn=int(np.sum(~predicted & positive)),
        tp=int(np.sum(predicted & positive)),
    )


def confusion_at(labels: NDArray[np.int8], probabilities: NDArray[np.float64], threshold: float) -> ConfusionMatrix:
    """The matrix of one threshold; images with a probability at or above it are predicted positive."""
    return confusion_matrix(labels, probabilities >= threshold)


def ratio(numerator: ArrayLike, denominator: ArrayLike) -> Rate:
    """numerator / denominator, and NaN where the denominator is 0."""
    dividend, divisor = np.asarray(numerator, np.float64), np.asarray(denominator, np.float64)
    undefined = np.full(np.broadcast_shapes(dividend.shape, divisor.shape), np.nan)
    return np.asarray(np.divide(dividend, divisor, out=undefined, where=divisor != 0))


def accuracy(c: ConfusionMatrix) -> Rate:
    """Fraction of correct predictions; NaN without images."""
    return ratio(c.tp + c.tn, c.tp + c.tn + c.fp + c.fn)


def recall(c: ConfusionMatrix) -> Rate:
    """Fraction of the positives that are predicted positive; NaN without positives."""
    return ratio(c.tp, c.tp + c.fn)


def specificity(c: ConfusionMatrix) -> Rate:
    """Fraction of the negatives that are predicted negative; NaN without negatives."""
    return ratio(c.tn, c.tn + c.fp)


def precision(c: ConfusionMatrix) -> Rate:
    """Fraction of the positive predictions that are correct; NaN without positive predictions."""
    return ratio(c.tp, c.tp + c.fp)


def balanced_accuracy(c: ConfusionMatrix) -> Rate:
    """Mean of recall and specificity; NaN when a class has no images."""
    return (recall(c) + specificity(c)) / 2


def f1(c: ConfusionMatrix) -> Rate:
    """2 tp / (2 tp + fp + fn), harmonic mean of precision and recall; NaN without positives and positive predictions."""
    return ratio(2 * c.tp, 2 * c.tp + c.fp + c.fn)


def mcc(c: ConfusionMatrix) -> Rate:
    """Correlation of prediction and label (Matthews 1975), -1 to 1; NaN when a class has no images or no predictions."""
    tn, fp, fn, tp = (np.asarray(cell, np.float64) for cell in (c.tn, c.fp, c.fn, c.tp))
    return ratio(tp * tn - fp * fn, np.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)))
