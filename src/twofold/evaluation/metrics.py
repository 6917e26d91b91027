"""Metrics of probabilities: pure functions of (labels, probabilities).

Labels are int8 (n,), 1 for the positive class; probabilities of the positive class are float64 (n,). A metric without images to
count is NaN. Metrics of decisions (accuracy, recall, ...) are computed from confusion matrices: `decision.confusion`.
"""

import numpy as np
from numpy.typing import NDArray

from twofold.core.arrays import Labels, Probabilities, Reals

BINS = 15
"""Bins of the calibration error and of the reliability diagram: [0, 1/15), [1/15, 2/15), ..., [14/15, 1]."""


def roc_auc(labels: Labels, probabilities: Probabilities) -> float:
    """The probability that a positive is scored above a negative, a tie counting half; NaN when a class has no images.

    Hanley and McNeil 1982, "The meaning and use of the area under a receiver operating characteristic curve".
    """
    above, _ = placements(labels, probabilities)
    return float(above.mean()) if 0 < len(above) < len(labels) else float("nan")


def placements(labels: Labels, probabilities: Probabilities) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """For each positive the fraction of negatives below it, for each negative the fraction of positives above it.

    A tie counts half; NaN where the other class is empty. The mean of either is the AUC: they are the structural
    components of DeLong, DeLong and Clarke-Pearson 1988.
    """
    positives, negatives = probabilities[labels == 1], probabilities[labels != 1]
    with np.errstate(invalid="ignore"):
        above = _smaller(negatives, than=positives) / np.float64(len(negatives))
        below = 1 - _smaller(positives, than=negatives) / np.float64(len(positives))
    return above, below


def _smaller(values: Probabilities, than: Probabilities) -> NDArray[np.float64]:
    """For each of `than` how many values are smaller, a tie counting half."""
    ascending = np.sort(values)
    return (np.searchsorted(ascending, than, "left") + np.searchsorted(ascending, than, "right")) / 2


def average_precision(labels: Labels, probabilities: Probabilities) -> float:
    """Sum over the thresholds of precision times the recall gained there, not interpolated; NaN without positives.

    The definition of scikit-learn's `average_precision_score`: images of equal probability share a threshold.
    """
    positives, negatives = descending(probabilities[labels == 1]), descending(probabilities[labels != 1])
    if not len(positives):
        return float("nan")
    ones = np.ones((1, len(positives))), np.ones((1, len(negatives)))
    return float(weighted_average_precision(positives, negatives, *ones)[0])


def weighted_average_precision(
    positives: Probabilities, negatives: Probabilities, right: Reals, wrong: Reals
) -> NDArray[np.float64]:
    """Average precision (b,), for probabilities in descending order and each row of their weights, (b, p) and (b, q)."""
    above = len(positives) - np.searchsorted(positives[::-1], positives, "left")  # positives at or above each positive
    over = len(negatives) - np.searchsorted(negatives[::-1], positives, "left")  # negatives at or above it
    tp = np.cumsum(right, axis=1)[:, above - 1]
    fp = np.hstack([np.zeros((len(wrong), 1)), np.cumsum(wrong, axis=1)])[:, over]
    precision = tp / np.maximum(tp + fp, np.finfo(np.float64).tiny)
    return np.asarray(np.sum(right * precision, axis=1) / np.sum(right, axis=1))


def descending(probabilities: Probabilities) -> Probabilities:
    """The probabilities from the highest to the lowest."""
    return np.sort(probabilities)[::-1]


def log_losses(labels: Labels, probabilities: Probabilities) -> NDArray[np.float64]:
    """-log of the probability of the true class, for each image; probabilities are clipped to 2.2e-16 from 0 and 1."""
    tiny = np.finfo(np.float64).eps
    p = np.clip(probabilities, tiny, 1 - tiny)
    return -np.log(np.where(labels == 1, p, 1 - p))


def squared_errors(labels: Labels, probabilities: Probabilities) -> NDArray[np.float64]:
    """(probability - label)^2 for each image; their mean is the Brier score (Brier 1950; 0 to 1 for two classes)."""
    return np.asarray(np.square(probabilities - (labels == 1)))


def log_loss(labels: Labels, probabilities: Probabilities) -> float:
    """Mean of `log_losses`, in nats."""
    return float(log_losses(labels, probabilities).mean())


def brier(labels: Labels, probabilities: Probabilities) -> float:
    """Mean of `squared_errors`."""
    return float(squared_errors(labels, probabilities).mean())


def bin_of(probabilities: Probabilities) -> NDArray[np.int64]:
    """The bin of each probability, 0 to BINS - 1; 1.0 belongs to the last."""
    return np.minimum((probabilities * BINS).astype(np.int64), BINS - 1)


def ece(labels: Labels, probabilities: Probabilities) -> float:
    """Expected calibration error: mean over images of |fraction of positives - mean probability| of their bin.

    Naeini, Cooper and Hauskrecht 2015, for the probability of the positive class, with the 15 bins of `BINS`.
    """
    gaps = np.bincount(bin_of(probabilities), (labels == 1) - probabilities, minlength=BINS)
    return float(np.abs(gaps).sum() / len(labels))
