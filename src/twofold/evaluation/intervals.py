"""95% intervals: Wilson for rates, DeLong for the area under the ROC curve, simulation for the rest."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twofold.decision.counts import Counts
from twofold.evaluation.metrics import Labels, Probabilities, Weights, placements

Z = 1.959963984540054
"""The 97.5% point of the normal distribution."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A value and the ends of its 95% interval; NaN where undefined."""

    value: float
    low: float
    high: float

    def as_json(self) -> dict[str, float | None]:
        """{"value", "low", "high"}, null where undefined."""
        return {name: None if math.isnan(x) else x for name, x in zip(("value", "low", "high"), self.ends, strict=True)}

    @property
    def ends(self) -> tuple[float, float, float]:
        return self.value, self.low, self.high


UNDEFINED = Interval(math.nan, math.nan, math.nan)


def wilson(part: int, whole: int) -> Interval:
    """The share part / whole with Wilson's score interval (Wilson 1927; Brown, Cai and DasGupta 2001); undefined for 0 / 0.

    >>> wilson(9, 10)
    Interval(value=0.9, low=0.5958499732047615, high=0.9821237869049271)
    """
    if whole == 0:
        return UNDEFINED
    share, shrink = part / whole, 1 + Z**2 / whole
    centre = (share + Z**2 / (2 * whole)) / shrink
    half = Z / shrink * math.sqrt(share * (1 - share) / whole + Z**2 / (4 * whole**2))
    return Interval(share, min(share, max(0.0, centre - half)), max(share, min(1.0, centre + half)))


def mean_of_two(a: Interval, b: Interval) -> Interval:
    """The mean of two independent shares, by the square-and-add of their Wilson limits (Newcombe 1998, method 10)."""
    value = (a.value + b.value) / 2
    low = value - math.hypot(a.value - a.low, b.value - b.low) / 2
    return Interval(value, low, value + math.hypot(a.high - a.value, b.high - b.value) / 2)


def from_rates(cells: Counts, score: Callable[[Counts], NDArray[np.float64]], seed: int) -> Interval:
    """Any score of the confusion matrix, the sizes of the two classes held fixed.

    Recall and specificity are drawn 4,000 times from their Jeffreys posteriors, a bootstrap of the pictures that does not
    collapse to a point when an error rate is 0 (Brown, Cai and DasGupta 2001, section 4.3, on such ends).
    """
    tn, fp, fn, tp = (int(cell) for cell in (cells.tn, cells.fp, cells.fn, cells.tp))
    value = float(score(cells))
    if math.isnan(value):
        return UNDEFINED
    rng = np.random.default_rng(seed)
    right = (tp + fn) * rng.beta(tp + 0.5, fn + 0.5, 4000)
    true = (tn + fp) * rng.beta(tn + 0.5, fp + 0.5, 4000)
    return around(value, score(Counts(tn=true, fp=tn + fp - true, fn=tp + fn - right, tp=right)))


def around(value: float, draws: NDArray[np.float64]) -> Interval:
    """A value with the 2.5% and 97.5% points of its draws, widened where they would leave it outside."""
    low, high = np.quantile(draws, [0.025, 0.975])
    return Interval(value, min(value, float(low)), max(value, float(high)))


def delong(labels: Labels, probabilities: Probabilities) -> Interval:
    """The area under the ROC curve with DeLong's interval on the logit scale; undefined when a class has no pictures.

    DeLong, DeLong and Clarke-Pearson 1988; the logit as Qin and Hotilovac 2008 find best. Where DeLong's variance is 0
    (every positive above every negative) or a class has one picture, the interval is Newcombe's (2006, part 2, method 5).
    """
    above, below = placements(labels, probabilities)
    if not len(above) or not len(below):
        return UNDEFINED
    area = float(above.mean())
    variance = _variance_of_mean(above) + _variance_of_mean(below)
    if not 0 < area < 1 or not variance > 0:
        return _newcombe(area, len(above), len(below))
    centre, half = math.log(area / (1 - area)), Z * math.sqrt(variance) / (area * (1 - area))
    return Interval(area, _expit(centre - half), _expit(centre + half))


def _variance_of_mean(x: NDArray[np.float64]) -> float:
    return float(np.var(x, ddof=1) / len(x)) if len(x) > 1 else math.nan


def _expit(z: float) -> float:
    return 1 / (1 + math.exp(-z)) if z > 0 else math.exp(z) / (1 + math.exp(z))


def _newcombe(area: float, positives: int, negatives: int) -> Interval:
    """The areas whose distance from this one is at most Z of their own standard errors."""
    even = (positives + negatives) / 2 - 1

    def within(x: float) -> bool:
        variance = x * (1 - x) * (1 + even * (1 - x) / (2 - x) + even * x / (1 + x)) / (positives * negatives)
        return (x - area) ** 2 <= Z**2 * variance

    return Interval(area, _edge(within, area, 0.0), _edge(within, area, 1.0))


def _edge(within: Callable[[float], bool], inside: float, outside: float) -> float:
    for _ in range(60):
        middle = (inside + outside) / 2
        inside, outside = (middle, outside) if within(middle) else (inside, middle)
    return inside


def bootstrap(
    labels: Labels, statistic: Callable[[Weights], NDArray[np.float64]], seed: int, *, samples: int = 1000
) -> NDArray[np.float64]:
    """A statistic of 1,000 resamples of the pictures, drawn with replacement within each class: (samples, k).

    The statistic takes how often each picture was drawn, (b, n), and gives (b, k). It is called on some rows at a time, so
    that memory stays at about 100 MB for any n.
    """
    rng = np.random.default_rng(seed)
    members = [np.flatnonzero(labels == 1), np.flatnonzero(labels != 1)]
    rows = max(1, 1_000_000 // len(labels))
    parts = []
    for start in range(0, samples, rows):
        weights = np.zeros((min(rows, samples - start), len(labels)))
        for own in members:
            if len(own):
                weights[:, own] = _draws(rng, len(weights), len(own))
        parts.append(statistic(weights))
    return np.concatenate(parts)


def _draws(rng: np.random.Generator, rows: int, n: int) -> NDArray[np.int64]:
    """(rows, n): how often each of n is drawn when n are drawn with replacement."""
    drawn = rng.integers(0, n, (rows, n)) + n * np.arange(rows)[:, None]
    return np.bincount(drawn.ravel(), minlength=rows * n).reshape(rows, n)
