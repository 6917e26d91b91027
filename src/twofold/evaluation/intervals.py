"""95% intervals: Wilson's for rates, DeLong's for the area under the ROC curve, and simulated ones.

All intervals treat the number of images of each class as fixed. `factor` multiplies the variance that independent images would
have: for groups of images (`evaluation.groups`) and for cross-validation (`evaluation.nested`). Coverage, by simulation, is in
docs/decisions/003.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twofold.core.arrays import Labels, Probabilities, Reals
from twofold.decision.confusion import ConfusionMatrix
from twofold.evaluation.metrics import (
    average_precision,
    descending,
    placements,
    weighted_average_precision,
)

Z = 1.959963984540054
"""The 97.5% point of the normal distribution."""

MAX_RESAMPLED = 5_000
"""The largest number of images for which the standard error of average precision comes from a bootstrap."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A value and the ends of its 95% interval; NaN where undefined."""

    value: float
    low: float
    high: float

    def text(self, form: str = ".4f") -> str:
        """The value and the interval, with the digits of `form`.

        >>> Interval(0.99, 0.98051, 0.99492).text()
        '0.9900 [0.9805, 0.9949]'
        """
        if math.isnan(self.value):
            return "undefined"
        return f"{self.value:{form}} [{self.low:{form}}, {self.high:{form}}]"

    def as_json(self) -> dict[str, float | None]:
        """{"value", "low", "high"}, null where undefined."""
        ends = {"value": self.value, "low": self.low, "high": self.high}
        return {name: None if math.isnan(end) else end for name, end in ends.items()}


UNDEFINED = Interval(math.nan, math.nan, math.nan)


def wilson(successes: float, trials: float, factor: float = 1.0) -> Interval:
    """The rate successes / trials with Wilson's score interval (Wilson 1927); undefined for 0 / 0.

    Recommended by Brown, Cai and DasGupta 2001, "Interval estimation for a binomial proportion". A factor divides the trials, as
    survey statistics does (Korn and Graubard 1998).

    >>> wilson(9, 10)
    Interval(value=0.9, low=0.5958499732047615, high=0.9821237869049271)
    """
    if trials == 0:
        return UNDEFINED
    rate, n = successes / trials, trials / factor
    shrink = 1 + Z**2 / n
    centre = (rate + Z**2 / (2 * n)) / shrink
    half = Z / shrink * math.sqrt(rate * (1 - rate) / n + Z**2 / (4 * n**2))
    return Interval(rate, min(rate, max(0.0, centre - half)), max(rate, min(1.0, centre + half)))


def clopper_pearson(successes: int, trials: int, factor: float = 1.0, level: float = 0.95) -> Interval:
    """The rate successes / trials with the exact interval of Clopper and Pearson 1934; undefined for 0 / 0.

    For levels far above 95%, where Wilson's interval of a rate near 0 or 1 is too narrow. A factor divides the trials (Korn and
    Graubard 1998).

    >>> interval = clopper_pearson(9, 10)
    >>> round(interval.low, 4), round(interval.high, 4)
    (0.555, 0.9975)
    """
    from scipy.special import betaincinv  # here, because predictions do not need it

    if trials == 0:
        return UNDEFINED
    rate, n = successes / trials, trials / factor
    right, wrong, tail = rate * n, (1 - rate) * n, (1 - level) / 2
    low = float(betaincinv(right, wrong + 1, tail)) if right > 0 else 0.0
    high = float(betaincinv(right + 1, wrong, 1 - tail)) if wrong > 0 else 1.0
    return Interval(rate, low, high)


def difference(first: Interval, second: Interval) -> Interval:
    """First minus second, of independent values: the distances of the ends from the values add up as variances do.

    Newcombe 1998, "Interval estimation for the difference between independent proportions", method 10; for any intervals, Zou and
    Donner 2008.
    """
    value = first.value - second.value
    below = math.hypot(first.value - first.low, second.high - second.value)
    above = math.hypot(first.high - first.value, second.value - second.low)
    return Interval(value, value - below, value + above)


def weighted(interval: Interval, weight: float) -> Interval:
    """The interval of a value times a weight of either sign; 0 for a weight of 0, also where the value is undefined."""
    if weight == 0:
        return Interval(0.0, 0.0, 0.0)
    low, high = sorted((weight * interval.low, weight * interval.high))
    return Interval(weight * interval.value, low, high)


def simulated_interval(
    confusion: ConfusionMatrix, score: Callable[[ConfusionMatrix], NDArray[np.float64]], seed: int, factor: float = 1.0
) -> Interval:
    """A score of a confusion matrix with the middle 95% of 4,000 simulated matrices; undefined where the score is.

    A bootstrap within the classes draws the correct predictions of each class from a binomial, and shrinks to a point where no
    prediction is wrong. So recall and specificity are drawn from their Jeffreys posteriors instead, which elsewhere have the
    same standard deviation (Brown, Cai and DasGupta 2001, section 4.3).
    """
    tn, fp, fn, tp = (int(cell) for cell in (confusion.tn, confusion.fp, confusion.fn, confusion.tp))
    value = float(score(confusion))
    if math.isnan(value):
        return UNDEFINED
    rng = np.random.default_rng(seed)
    drawn_tp = (tp + fn) * rng.beta(tp / factor + 0.5, fn / factor + 0.5, 4000)
    drawn_tn = (tn + fp) * rng.beta(tn / factor + 0.5, fp / factor + 0.5, 4000)
    scores = score(ConfusionMatrix(tn=drawn_tn, fp=tn + fp - drawn_tn, fn=tp + fn - drawn_tp, tp=drawn_tp))
    low, high = np.quantile(scores, [0.025, 0.975])
    return Interval(value, min(value, float(low)), max(value, float(high)))


def standard_error(values: NDArray[np.float64], labels: Labels) -> float:
    """The standard error of the mean of values (n,), with the size of each class fixed: the limit of a stratified bootstrap."""
    by_class = [values[labels == label] for label in (0, 1)]
    return math.sqrt(sum(len(part) * float(part.var()) for part in by_class if len(part))) / len(values)


def loss_interval(losses: NDArray[np.float64], labels: Labels, factor: float = 1.0) -> Interval:
    """The mean of losses, each at least 0, with a normal interval on the scale of its logarithm, as losses are skewed."""
    mean = float(losses.mean())
    ratio = math.exp(Z * math.sqrt(factor) * standard_error(losses, labels) / mean) if mean > 0 else 1.0
    return Interval(mean, mean / ratio, mean * ratio)


def average_precision_interval(
    labels: Labels, probabilities: Probabilities, seed: int, factor: float = 1.0, *, samples: int = 1000
) -> Interval:
    """Average precision with a normal interval on the scale of its logit, as Boyd, Eng and Page 2013 advise.

    The standard error comes from 1,000 bootstrap samples within the classes, above `MAX_RESAMPLED` images from the influence
    function. Where every positive is scored above every negative the error is 0: the lower end is then the value with half an
    image more of each class, at the wrong end. Undefined without positives.
    """
    value = average_precision(labels, probabilities)
    if math.isnan(value):
        return UNDEFINED
    positives, negatives = descending(probabilities[labels == 1]), descending(probabilities[labels != 1])
    if value == 1.0:
        return Interval(value, _with_half_a_pair(positives, negatives, factor), value)
    if len(labels) > MAX_RESAMPLED:
        return _on_the_logit_scale(value, math.sqrt(factor) * influence_error(positives, negatives))
    error = float(np.std(_resample(positives, negatives, seed, samples)))
    return _on_the_logit_scale(value, math.sqrt(factor) * error)


def _with_half_a_pair(positives: Probabilities, negatives: Probabilities, factor: float) -> float:
    positive_weights, negative_weights = (
        np.append(np.ones(len(positives)), 0.5 * factor),
        np.append(0.5 * factor, np.ones(len(negatives))),
    )
    scores = np.append(positives, -1.0), np.append(2.0, negatives)
    return float(weighted_average_precision(*scores, positive_weights[None], negative_weights[None])[0])


def _resample(positives: Probabilities, negatives: Probabilities, seed: int, samples: int) -> NDArray[np.float64]:
    """Average precision of bootstrap samples within the classes, (samples,), from probabilities in descending order."""
    rng = np.random.default_rng(seed)
    rows = max(1, 1_000_000 // (len(positives) + len(negatives)))  # at a time, to bound memory
    values = []
    for start in range(0, samples, rows):
        weights = (_draw_counts(rng, min(rows, samples - start), len(scores)) for scores in (positives, negatives))
        values.append(weighted_average_precision(positives, negatives, *weights))
    return np.concatenate(values)


def _draw_counts(rng: np.random.Generator, rows: int, n: int) -> Reals:
    """(rows, n): how often each of n is drawn when n are drawn with replacement."""
    indices = rng.integers(0, max(n, 1), (rows, n)) + n * np.arange(rows)[:, None]
    return np.bincount(indices.ravel(), minlength=rows * n).reshape(rows, n).astype(np.float64)


def influence_error(positives: Probabilities, negatives: Probabilities) -> float:
    """The standard error of average precision by the delta method, from probabilities in descending order.

    Its agreement with the bootstrap is in docs/decisions/003.
    """
    of_positives, of_negatives = precision_influences(positives, negatives)
    return math.sqrt(float(of_positives.var()) / len(positives) + float(of_negatives.var()) / len(negatives))


def precision_influences(positives: Probabilities, negatives: Probabilities) -> tuple[Reals, Reals]:
    """The influence of each image on average precision, times the size of its class, in the order of descending probabilities.

    Average precision is the mean over the positives i of tp_i / (tp_i + fp_i), the precision at the score of i. An image changes
    tp_i or fp_i of every positive that is scored no higher (Hampel 1974).
    """
    p, q = len(positives), len(negatives)
    tp = p - np.searchsorted(positives[::-1], positives, "left")
    fp = q - np.searchsorted(negatives[::-1], positives, "left")
    precision, squared_counts = tp / (tp + fp), np.square(tp + fp, dtype=np.float64)
    by_tp, by_fp = (
        np.append(np.cumsum(slope[::-1])[::-1], 0.0) for slope in (fp / squared_counts, -tp / squared_counts)
    )
    of_positives = precision + by_tp[p - np.searchsorted(positives[::-1], positives, "right")]
    return of_positives, q / p * by_fp[p - np.searchsorted(positives[::-1], negatives, "right")]


def delong(labels: Labels, probabilities: Probabilities, factor: float = 1.0) -> Interval:
    """The area under the ROC curve with DeLong's interval on the logit scale; undefined when a class has no images.

    DeLong, DeLong and Clarke-Pearson 1988; on the logit scale as Qin and Hotilovac 2008 advise. Where DeLong's variance
    is 0 (every positive above every negative) or unknown (one image of a class), method 5 of Newcombe 2006, part 2, is used.
    """
    above, below = placements(labels, probabilities)
    if not len(above) or not len(below):
        return UNDEFINED
    area, error = float(above.mean()), delong_error(above, below)
    if 0 < area < 1 and error > 0:
        return _on_the_logit_scale(area, math.sqrt(factor) * error)
    return _newcombe(area, len(above) / factor, len(below) / factor)


def delong_error(above: NDArray[np.float64], below: NDArray[np.float64]) -> float:
    """The standard error of an area, or of a difference of areas, from its placements; NaN for one image of a class."""
    if min(len(above), len(below)) < 2:
        return math.nan
    return math.sqrt(float(np.var(above, ddof=1)) / len(above) + float(np.var(below, ddof=1)) / len(below))


def _on_the_logit_scale(value: float, error: float) -> Interval:
    odds, factor = value / (1 - value), math.exp(min(Z * error / (value * (1 - value)), 700.0))
    return Interval(value, odds / factor / (1 + odds / factor), 1 / (1 + 1 / (odds * factor)))


def _newcombe(area: float, positives: float, negatives: float) -> Interval:
    """The areas that lie within Z of their own standard errors of this one."""
    half = (positives + negatives) / 2 - 1
    x = np.linspace(0, 1, 100_001)
    variance = x * (1 - x) * (1 + half * (1 - x) / (2 - x) + half * x / (1 + x)) / (positives * negatives)
    inside = x[np.square(x - area) <= Z**2 * variance + 1e-12]
    return Interval(area, float(inside.min()), float(inside.max()))
