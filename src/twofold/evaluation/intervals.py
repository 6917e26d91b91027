"""95% intervals: Wilson for rates, DeLong for the area under the ROC curve, and the nearest sound way for the rest.

All hold the numbers of pictures of the two classes fixed, and take the pictures as independent of each other.
docs/decisions/003 has their coverage, by simulation.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twofold.decision.counts import Counts
from twofold.evaluation.metrics import (
    BINS,
    Labels,
    Probabilities,
    Weights,
    average_precision,
    bin_of,
    descending,
    placements,
    weighted_average_precision,
)

Z = 1.959963984540054
"""The 97.5% point of the normal distribution."""

MAX_EXACT = 20_000
"""Images up to which the bootstrap of average precision draws each image."""

AP_BINS = 500
"""Bins of the scores above that."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A value and the ends of its 95% interval; NaN where undefined."""

    value: float
    low: float
    high: float

    def as_json(self) -> dict[str, float | None]:
        """{"value", "low", "high"}, null where undefined."""
        ends = {"value": self.value, "low": self.low, "high": self.high}
        return {name: None if math.isnan(end) else end for name, end in ends.items()}


UNDEFINED = Interval(math.nan, math.nan, math.nan)


def wilson(part: int, whole: int) -> Interval:
    """The share part / whole with Wilson's score interval; undefined for 0 / 0.

    Wilson 1927; Brown, Cai and DasGupta 2001 recommend it.

    >>> wilson(9, 10)
    Interval(value=0.9, low=0.5958499732047615, high=0.9821237869049271)
    """
    if whole == 0:
        return UNDEFINED
    fraction, shrink = part / whole, 1 + Z**2 / whole
    centre = (fraction + Z**2 / (2 * whole)) / shrink
    half = Z / shrink * math.sqrt(fraction * (1 - fraction) / whole + Z**2 / (4 * whole**2))
    return Interval(fraction, min(fraction, max(0.0, centre - half)), max(fraction, min(1.0, centre + half)))


def from_rates(cells: Counts, score: Callable[[Counts], NDArray[np.float64]], seed: int) -> Interval:
    """Any score of one confusion matrix, from 4,000 resamples of its cells.

    A bootstrap within the classes draws the right answers of each from a binomial, and collapses to a point where no
    answer is wrong. So recall and specificity are drawn from their Jeffreys posteriors instead, which have the same
    spread elsewhere (Brown, Cai and DasGupta 2001, section 4.3).
    """
    tn, fp, fn, tp = (int(cell) for cell in (cells.tn, cells.fp, cells.fn, cells.tp))
    value = float(score(cells))
    if math.isnan(value):
        return UNDEFINED
    rng = np.random.default_rng(seed)
    right = (tp + fn) * rng.beta(tp + 0.5, fn + 0.5, 4000)
    true = (tn + fp) * rng.beta(tn + 0.5, fp + 0.5, 4000)
    drawn = score(Counts(tn=true, fp=tn + fp - true, fn=tp + fn - right, tp=right))
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Interval(value, min(value, float(low)), max(value, float(high)))


def standard_error(x: NDArray[np.float64], labels: Labels) -> float:
    """Of the mean of x over the pictures: what a bootstrap within the classes converges to."""
    within = [x[labels == label] for label in (0, 1)]
    return math.sqrt(sum(len(part) * float(part.var()) for part in within if len(part))) / len(x)


def from_losses(losses: NDArray[np.float64], labels: Labels) -> Interval:
    """The mean of losses, each at least 0, with a normal interval on the scale of its logarithm, as losses are skewed."""
    mean = float(losses.mean())
    stretch = math.exp(Z * standard_error(losses, labels) / mean) if mean > 0 else 1.0
    return Interval(mean, mean / stretch, mean * stretch)


def from_resamples(labels: Labels, probabilities: Probabilities, seed: int, *, samples: int = 1000) -> Interval:
    """Average precision with a normal interval on the scale of its logit, as Boyd, Eng and Page 2013 advise.

    The standard error is that of 1,000 bootstrap samples within the classes. Where every positive is above every
    negative nothing varies: the lower end is then the value with half a picture more of each class, at the wrong end.
    """
    value = average_precision(labels, probabilities)
    if math.isnan(value):
        return UNDEFINED
    positives, negatives = descending(probabilities[labels == 1]), descending(probabilities[labels != 1])
    if value == 1.0:
        return Interval(value, _with_half_a_pair(positives, negatives), value)
    error = float(np.std(_resampled(positives, negatives, seed, samples)))
    return _on_the_logit_scale(value, error)


def _with_half_a_pair(positives: Probabilities, negatives: Probabilities) -> float:
    right, wrong = np.append(np.ones(len(positives)), 0.5), np.append(0.5, np.ones(len(negatives)))
    worse = np.append(positives, -1.0), np.append(2.0, negatives)
    return float(weighted_average_precision(*worse, right[None], wrong[None])[0])


def _resampled(positives: Probabilities, negatives: Probabilities, seed: int, samples: int) -> NDArray[np.float64]:
    """Average precision of bootstrap samples within the classes, (samples,), from probabilities in descending order."""
    rng = np.random.default_rng(seed)
    if len(positives) + len(negatives) > MAX_EXACT:
        return _resampled_in_bins(positives, negatives, rng, samples)
    rows = max(1, 1_000_000 // (len(positives) + len(negatives)))  # at a time, to bound memory
    values = []
    for start in range(0, samples, rows):
        weights = (_times_drawn(rng, min(rows, samples - start), len(scores)) for scores in (positives, negatives))
        values.append(weighted_average_precision(positives, negatives, *weights))
    return np.concatenate(values)


def _resampled_in_bins(
    positives: Probabilities, negatives: Probabilities, rng: np.random.Generator, samples: int
) -> NDArray[np.float64]:
    """The same with the scores in `AP_BINS` bins: a sample is then two draws of multinomial counts.

    The bins hold equal numbers of positives, which are the steps of average precision. The standard error is the same within 2%
    (tests/evaluation/test_intervals.py).
    """
    edges = np.unique(np.quantile(positives, np.linspace(0, 1, AP_BINS + 1)[1:-1]))
    counts = [
        np.bincount(np.searchsorted(edges, scores, "right"), minlength=len(edges) + 1)[::-1]
        for scores in (positives, negatives)
    ]
    right, wrong = (rng.multinomial(count.sum(), count / count.sum(), samples) for count in counts)
    tp, fp = np.cumsum(right, axis=1), np.cumsum(wrong, axis=1)
    # Within a bin recall rises evenly, so its precision is taken in the middle.
    precision = (tp - right / 2) / np.maximum(tp - right / 2 + fp - wrong / 2, 1e-12)
    return np.asarray(np.sum(right * precision, axis=1) / len(positives))


def _times_drawn(rng: np.random.Generator, rows: int, n: int) -> Weights:
    """(rows, n): how often each of n is drawn when n are drawn with replacement."""
    drawn = rng.integers(0, max(n, 1), (rows, n)) + n * np.arange(rows)[:, None]
    return np.bincount(drawn.ravel(), minlength=rows * n).reshape(rows, n).astype(np.float64)


def from_bins(labels: Labels, probabilities: Probabilities, seed: int) -> Interval:
    """The expected calibration error with an interval that knows that noise alone makes it larger than 0.

    Found by turning a test round: the gaps of the bins are scaled by factors from 0 to 2, noise is added (positives of
    each bin from a binomial, 1,000 times), and the interval holds the factors for which the error that was observed is
    among the middle 95%. It reaches down to 0 when perfect calibration would look like this too; since the value itself
    is inflated, the interval lies mostly below it.
    """
    place = bin_of(probabilities)
    images = np.bincount(place, minlength=BINS)
    positives = np.bincount(place, labels == 1, minlength=BINS)
    gaps = (positives - np.bincount(place, probabilities, minlength=BINS)) / len(labels)
    fraction = (positives + 0.5) / (images + 1)
    rng = np.random.default_rng(seed)
    noise = (rng.binomial(images, fraction, (1000, BINS)) - images * fraction) / len(labels)
    value = float(np.abs(gaps).sum())
    factors = np.linspace(0, 2, 81)
    seen = [np.quantile(np.abs(factor * gaps + noise).sum(axis=1), [0.025, 0.975]) for factor in factors]
    inside = factors[[low <= value <= high for low, high in seen]]
    lowest = float(inside.min()) if len(inside) else 0.0  # none: nearer to 0 than chance allows, as where it was fitted
    return Interval(value, value * min(1.0, lowest), min(1.0, value * float(inside.max(initial=1.0))))


def delong(labels: Labels, probabilities: Probabilities) -> Interval:
    """The area under the ROC curve with DeLong's interval on the logit scale; undefined when a class has no pictures.

    DeLong, DeLong and Clarke-Pearson 1988; on the logit scale as Qin and Hotilovac 2008 advise. Where DeLong's variance
    is 0 (every positive above every negative) or unknown (one picture of a class), Newcombe's 2006, method 5 of part 2.
    """
    above, below = placements(labels, probabilities)
    if not len(above) or not len(below):
        return UNDEFINED
    area, error = float(above.mean()), delong_error(above, below)
    if 0 < area < 1 and error > 0:
        return _on_the_logit_scale(area, error)
    return _newcombe(area, len(above), len(below))


def delong_error(above: NDArray[np.float64], below: NDArray[np.float64]) -> float:
    """The standard error of an area, or of a difference of areas, from its placements; NaN for one picture of a class."""
    if min(len(above), len(below)) < 2:
        return math.nan
    return math.sqrt(float(np.var(above, ddof=1)) / len(above) + float(np.var(below, ddof=1)) / len(below))


def _on_the_logit_scale(value: float, error: float) -> Interval:
    odds, stretch = value / (1 - value), math.exp(min(Z * error / (value * (1 - value)), 700.0))
    return Interval(value, odds / stretch / (1 + odds / stretch), 1 / (1 + 1 / (odds * stretch)))


def _newcombe(area: float, positives: int, negatives: int) -> Interval:
    """The areas from which this one is at most Z of their standard errors away."""
    half = (positives + negatives) / 2 - 1
    x = np.linspace(0, 1, 100_001)
    variance = x * (1 - x) * (1 + half * (1 - x) / (2 - x) + half * x / (1 + x)) / (positives * negatives)
    inside = x[np.square(x - area) <= Z**2 * variance + 1e-12]
    return Interval(area, float(inside.min()), float(inside.max()))
