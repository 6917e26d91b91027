"""Curves: the points that the figures draw, from (labels, probabilities)."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from twofold.core.arrays import Labels, Probabilities, Reals
from twofold.decision.confusion import precision, recall, specificity
from twofold.decision.sweep import sweep
from twofold.evaluation.intervals import Interval, difference, weighted, wilson
from twofold.evaluation.metrics import bin_of
from twofold.evaluation.sample import Sample

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


@dataclass(frozen=True, slots=True, eq=False)
class Band:
    """A curve with the 95% interval at each of its points, (k,) each."""

    x: Reals = field(repr=False)
    value: Reals = field(repr=False)
    low: Reals = field(repr=False)
    high: Reals = field(repr=False)


def net_benefit_at(sample: Sample, threshold: float) -> Interval:
    """The net benefit of calling images positive from this threshold on, above 0 and below 1.

    That is the fraction of all images that are rightly called positive, less the fraction wrongly called so times t / (1 - t) for
    the threshold t: to whoever acts from this probability on, one wrong action is as bad as so many right ones are good (Vickers
    and Elkin 2006, "Decision curve analysis"). The interval combines Wilson's of both rates; images of a group count together.
    """
    prevalence, odds = prevalence_of(sample.labels), threshold / (1 - threshold)
    missed, called = _error_rates(sample, threshold)
    found = Interval(1 - missed.value, 1 - missed.high, 1 - missed.low)
    return difference(weighted(found, prevalence), weighted(called, (1 - prevalence) * odds))


def net_benefit_curve(sample: Sample) -> Band:
    """The net benefit at the thresholds 0.01, 0.02, ..., 0.99."""
    thresholds = np.arange(1, 100) / 100
    return _band(thresholds, (net_benefit_at(sample, threshold) for threshold in thresholds.tolist()))


def always_positive_benefit(labels: Labels, thresholds: Reals) -> Reals:
    """The net benefit (k,) of calling every image positive, at thresholds (k,)."""
    prevalence = prevalence_of(labels)
    return np.asarray(prevalence - (1 - prevalence) * thresholds / (1 - thresholds))


def probability_cost(labels: Labels, threshold: float) -> float:
    """The probability cost for which this threshold is the best one of calibrated probabilities.

    Drummond and Holte 2006, "Cost curves: an improved method for visualizing classifier performance": the prevalence times the
    cost of a missed positive, as a fraction of its sum with the same product of the negatives.
    """
    prevalence = prevalence_of(labels)
    positive, negative = prevalence * (1 - threshold), (1 - prevalence) * threshold
    return positive / (positive + negative)


def expected_cost_at(sample: Sample, threshold: float, weight: float) -> Interval:
    """The normalised expected cost at the probability cost `weight`, 0 to 1: 1 where every decision is wrong."""
    missed, called = _error_rates(sample, threshold)
    return difference(weighted(missed, weight), weighted(called, weight - 1))


def cost_curve(sample: Sample) -> Band:
    """The normalised expected cost at probability costs of 0.01, 0.02, ..., 0.99, each with the threshold of theory for it.

    The lower envelope of all thresholds, which is often shown, is chosen on these labels, so it is too low. Where both classes
    are equally frequent, the area under this curve is the Brier score (Hernández-Orallo, Flach and Ferri 2011, "Brier curves").
    """
    weights, prevalence = np.arange(1, 100) / 100, prevalence_of(sample.labels)
    positive, negative = prevalence * (1 - weights), (1 - prevalence) * weights
    thresholds = np.divide(positive, positive + negative)
    points = zip(thresholds.tolist(), weights.tolist(), strict=True)
    return _band(weights, (expected_cost_at(sample, threshold, weight) for threshold, weight in points))


def _error_rates(sample: Sample, threshold: float) -> tuple[Interval, Interval]:
    """The fraction of the positives below a threshold, and of the negatives from it on; undefined without images of the class."""
    positive, called = sample.labels == 1, sample.probabilities >= threshold
    decided = replace(sample, decisions=called.astype(np.int8))
    missed = wilson(int(np.sum(positive & ~called)), int(positive.sum()), decided.of_rate(positive))
    wrong = wilson(int(np.sum(~positive & called)), int((~positive).sum()), decided.of_rate(~positive))
    return missed, wrong


def _band(x: Reals, points: Iterable[Interval]) -> Band:
    ends = np.array([(point.value, point.low, point.high) for point in points]).T
    return Band(x, *ends)


def roc_band(sample: Sample) -> Band:
    """Recall with its interval against the false positive rate, at up to 101 of the thresholds of these images."""
    points = [_error_rates(sample, threshold) for threshold in _thresholds(sample)]
    x = np.array([wrong.value for _, wrong in points])
    return _band(x, (Interval(1 - missed.value, 1 - missed.high, 1 - missed.low) for missed, _ in points))


def precision_recall_band(sample: Sample) -> Band:
    """Precision with its interval against recall, at up to 101 of the thresholds of these images."""
    positive, x, points = sample.labels == 1, [], []
    for threshold in _thresholds(sample):
        called = sample.probabilities >= threshold
        decided = replace(sample, decisions=called.astype(np.int8))
        x.append(float(np.mean(called[positive])))
        points.append(wilson(int(np.sum(positive & called)), int(called.sum()), decided.of_rate(called)))
    return _band(np.array(x), points)


def _thresholds(sample: Sample) -> list[float]:
    """Quantiles of the probabilities of each class, from the highest to the lowest: curves bend where these lie."""
    levels = np.linspace(0, 1, 51)
    classes = [sample.probabilities[sample.labels == label] for label in (0, 1)]
    quantiles = [np.quantile(of_class, levels, method="nearest") for of_class in classes if len(of_class)]
    return np.unique(np.concatenate(quantiles))[::-1].tolist()  # type: ignore[no-any-return]
