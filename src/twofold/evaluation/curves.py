"""Curves: the points that the figures draw, from (labels, probabilities)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twofold.core.arrays import Labels, Probabilities
from twofold.decision.confusion import precision, recall, specificity
from twofold.decision.sweep import sweep
from twofold.evaluation.intervals import Interval, wilson
from twofold.evaluation.metrics import bin_of

Points = tuple[NDArray[np.float64], NDArray[np.float64]]


def roc_points(labels: Labels, probabilities: Probabilities) -> Points:
    """(false positive rate, recall) at every threshold, from (0, 0) to (1, 1); NaN where a class has no images."""
    confusion = sweep(labels, probabilities).confusion
    x, y = 1 - specificity(confusion), recall(confusion)
    return np.concatenate([[0.0], x[::-1], [1.0]]), np.concatenate([[0.0], y[::-1], [1.0]])


def precision_recall_points(labels: Labels, probabilities: Probabilities) -> Points:
    """(recall, precision) at every threshold with positive predictions, by rising recall."""
    confusion = sweep(labels, probabilities).confusion
    x, y = recall(confusion)[::-1], precision(confusion)[::-1]
    defined = ~np.isnan(y)
    return x[defined], y[defined]


def score_histogram(probabilities: Probabilities, *, bins: int = 50) -> tuple[NDArray[np.int64], Probabilities]:
    """The number of probabilities in each of the equal bins from 0 to 1, (bins,), and the edges of the bins, (bins + 1,)."""
    counts, edges = np.histogram(probabilities, bins=bins, range=(0.0, 1.0))
    return counts.astype(np.int64), edges


@dataclass(frozen=True, slots=True)
class Bin:
    """The images whose probabilities lie in one bin: mean probability, fraction of positives, number of images."""

    probability: float
    positives: Interval
    images: int


def reliability_bins(labels: Labels, probabilities: Probabilities) -> list[Bin]:
    """The bins of the calibration error that hold images, ascending."""
    bins = bin_of(probabilities)
    return [_bin(labels[bins == k], probabilities[bins == k]) for k in np.unique(bins)]


def _bin(labels: Labels, probabilities: Probabilities) -> Bin:
    return Bin(float(probabilities.mean()), wilson(int((labels == 1).sum()), len(labels)), len(labels))


def prevalence_of(labels: Labels) -> float:
    """The fraction of positives among all images: the precision of predicting positive for every image."""
    return float(np.mean(labels == 1))
