"""What a threshold gives, counted: the four cells of a confusion matrix and the rates that are read off them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Rate = NDArray[np.float64]
Cell = NDArray[np.int64] | NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Counts:
    """The four cells, all of one shape: 0-d for one threshold, (k,) for k of them, (b, k) for b samples of k."""

    tn: Cell
    fp: Cell
    fn: Cell
    tp: Cell


def count(labels: NDArray[np.int8], probabilities: NDArray[np.float64], threshold: float) -> Counts:
    """The cells at one threshold; a picture is called positive when its probability is at or above it."""
    return count_decisions(labels, probabilities >= threshold)


def count_decisions(labels: NDArray[np.int8], decisions: NDArray[np.integer | np.bool_]) -> Counts:
    """The cells of decisions (n,), 1 for positive and 0 for negative."""
    called, positive = decisions == 1, labels == 1
    cells = [(~called & ~positive), (called & ~positive), (~called & positive), (called & positive)]
    return Counts(*(np.asarray(cell.sum()) for cell in cells))


def ratio(part: ArrayLike, whole: ArrayLike) -> Rate:
    """part / whole, and NaN where the whole is 0: nobody to count among."""
    numerator, denominator = np.asarray(part, np.float64), np.asarray(whole, np.float64)
    undefined = np.full(np.broadcast_shapes(numerator.shape, denominator.shape), np.nan)
    return np.asarray(np.divide(numerator, denominator, out=undefined, where=denominator != 0))


def accuracy(c: Counts) -> Rate:
    """Share of right answers; NaN without pictures."""
    return ratio(c.tp + c.tn, c.tp + c.tn + c.fp + c.fn)


def recall(c: Counts) -> Rate:
    """Share of the positives that are called positive; NaN without positives."""
    return ratio(c.tp, c.tp + c.fn)


def specificity(c: Counts) -> Rate:
    """Share of the negatives that are called negative; NaN without negatives."""
    return ratio(c.tn, c.tn + c.fp)


def precision(c: Counts) -> Rate:
    """Share of the pictures called positive that are positive; NaN when none is called positive."""
    return ratio(c.tp, c.tp + c.fp)


def balanced_accuracy(c: Counts) -> Rate:
    """Mean of recall and specificity; NaN when a class has no pictures."""
    return (recall(c) + specificity(c)) / 2


def f1(c: Counts) -> Rate:
    """2 tp / (2 tp + fp + fn), harmonic mean of precision and recall; NaN without positives and positive answers."""
    return ratio(2 * c.tp, 2 * c.tp + c.fp + c.fn)


def mcc(c: Counts) -> Rate:
    """Correlation of answer and truth (Matthews 1975), -1 to 1; NaN when a class or an answer does not occur."""
    tn, fp, fn, tp = (np.asarray(cell, np.float64) for cell in (c.tn, c.fp, c.fn, c.tp))
    return ratio(tp * tn - fp * fn, np.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)))
