"""Metrics of probabilities: pure functions of (labels, probabilities).

Labels are int8 (n,), 1 for the positive class; probabilities are float64 (n,), the chance of it. A metric that has nobody to
count among is NaN. Metrics of answers (accuracy, precision, recall, ...) are read off the confusion matrix: `decision.counts`.
"""

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.int8]
Probabilities = NDArray[np.float64]
Weights = NDArray[np.float64]

BINS = 15
"""Bins of the calibration error and of the reliability diagram: [0, 1/15), [1/15, 2/15), ..., [14/15, 1]."""


def roc_auc(labels: Labels, probabilities: Probabilities) -> float:
    """The chance that a positive is scored above a negative, ties counting one half; NaN when a class has no pictures.

    Hanley and McNeil 1982, "The meaning and use of the area under a receiver operating characteristic curve".
    """
    above, _ = placements(labels, probabilities)
    return float(above.mean()) if 0 < len(above) < len(labels) else float("nan")


def placements(labels: Labels, probabilities: Probabilities) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """For each positive the share of negatives below it, for each negative the share of positives above it; ties count half.

    Both have the AUC as their mean; they are the structural components of DeLong 1988. NaN where the other class is empty.
    """
    positives, negatives = np.sort(probabilities[labels == 1]), np.sort(probabilities[labels != 1])
    with np.errstate(invalid="ignore"):
        above = _midrank(negatives, probabilities[labels == 1]) / np.float64(len(negatives))
        below = 1 - _midrank(positives, probabilities[labels != 1]) / np.float64(len(positives))
    return above, below


def _midrank(ascending: Probabilities, values: Probabilities) -> NDArray[np.float64]:
    return (np.searchsorted(ascending, values, "left") + np.searchsorted(ascending, values, "right")) / 2


def average_precision(labels: Labels, probabilities: Probabilities) -> float:
    """Sum over all thresholds of precision times the recall gained there, without interpolation; NaN without positives.

    The definition of scikit-learn's `average_precision_score`; pictures of one probability are one threshold.
    """
    return float(weighted_average_precision(labels, probabilities, np.ones((1, len(labels))))[0])


def weighted_average_precision(labels: Labels, probabilities: Probabilities, weights: Weights) -> NDArray[np.float64]:
    """Average precision for each row of weights: (b, n) -> (b,)."""
    order = np.argsort(-probabilities, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(probabilities[order]) != 0, True))  # the last picture of each probability
    called = np.cumsum(weights[:, order], axis=1)[:, ends]
    right = np.cumsum(weights[:, order] * (labels[order] == 1), axis=1)[:, ends]
    precision = np.divide(right, called, out=np.zeros_like(right), where=called > 0)
    gained = np.diff(right, axis=1, prepend=0)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.sum(gained * precision, axis=1) / right[:, -1])


def log_losses(labels: Labels, probabilities: Probabilities) -> NDArray[np.float64]:
    """-log of the probability given to the true class, of each picture; probabilities are kept 2.2e-16 away from 0 and 1."""
    tiny = np.finfo(np.float64).eps
    p = np.clip(probabilities, tiny, 1 - tiny)
    return -np.log(np.where(labels == 1, p, 1 - p))


def squared_errors(labels: Labels, probabilities: Probabilities) -> NDArray[np.float64]:
    """(probability - label)^2 of each picture; their mean is the Brier score (Brier 1950, for two classes counted once)."""
    return np.asarray(np.square(probabilities - (labels == 1)))


def log_loss(labels: Labels, probabilities: Probabilities) -> float:
    """Mean of `log_losses`, in nats."""
    return float(log_losses(labels, probabilities).mean())


def brier(labels: Labels, probabilities: Probabilities) -> float:
    """Mean of `squared_errors`."""
    return float(squared_errors(labels, probabilities).mean())


def bin_of(probabilities: Probabilities) -> NDArray[np.int64]:
    """The reliability bin of each probability, 0 to BINS - 1; 1.0 belongs to the last."""
    return np.minimum((probabilities * BINS).astype(np.int64), BINS - 1)


def bin_errors(labels: Labels, probabilities: Probabilities) -> NDArray[np.float64]:
    """(n, BINS): label - probability of each picture in the column of its bin, 0 elsewhere."""
    errors = np.zeros((len(labels), BINS))
    errors[np.arange(len(labels)), bin_of(probabilities)] = (labels == 1) - probabilities
    return errors


def ece(labels: Labels, probabilities: Probabilities) -> float:
    """Expected calibration error: the gap between share of positives and mean probability in each bin, weighted by its pictures.

    Naeini, Cooper and Hauskrecht 2015, on the probability of the positive class, 15 bins of equal width; empty bins count 0.
    """
    return float(np.abs(bin_errors(labels, probabilities).sum(axis=0)).sum() / len(labels))
