"""Curves: the points that the figures draw, from (labels, probabilities)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twofold.decision.counts import precision, recall, specificity
from twofold.decision.sweep import sweep
from twofold.evaluation.intervals import Interval, wilson
from twofold.evaluation.metrics import BINS, Labels, Probabilities, bin_of

Points = tuple[NDArray[np.float64], NDArray[np.float64]]


def roc_points(labels: Labels, probabilities: Probabilities) -> Points:
    """(false positive rate, recall) at every threshold, from (0, 0) to (1, 1); NaN where a class has no pictures."""
    cells = sweep(labels, probabilities).counts
    x, y = 1 - specificity(cells), recall(cells)
    return np.concatenate([[0.0], x[::-1], [1.0]]), np.concatenate([[0.0], y[::-1], [1.0]])


def precision_recall_points(labels: Labels, probabilities: Probabilities) -> Points:
    """(recall, precision) at every threshold that calls a picture positive, by rising recall."""
    cells = sweep(labels, probabilities).counts
    x, y = recall(cells)[::-1], precision(cells)[::-1]
    called = ~np.isnan(y)
    return x[called], y[called]


def score_histogram(probabilities: Probabilities, *, bins: int = 50) -> tuple[NDArray[np.int64], Probabilities]:
    """How many probabilities lie in each of the equal bins from 0 to 1, and the edges (bins + 1,) between them."""
    counts, edges = np.histogram(probabilities, bins=bins, range=(0.0, 1.0))
    return counts.astype(np.int64), edges


@dataclass(frozen=True, slots=True)
class Bin:
    """The pictures whose probabilities lie in one bin: mean probability, share of positives, how many."""

    probability: float
    positives: Interval
    images: int


def reliability_bins(labels: Labels, probabilities: Probabilities) -> list[Bin]:
    """The bins of the calibration error that hold pictures, ascending."""
    place = bin_of(probabilities)
    return [_bin(labels[place == k], probabilities[place == k]) for k in range(BINS) if (place == k).any()]


def _bin(labels: Labels, probabilities: Probabilities) -> Bin:
    return Bin(float(probabilities.mean()), wilson(int((labels == 1).sum()), len(labels)), len(labels))


def share_of_positives(labels: Labels) -> float:
    """Of all pictures: the precision of calling every picture positive."""
    return float(np.mean(labels == 1))
