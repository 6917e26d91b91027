"""The prevalence among unlabelled images, estimated from their probabilities."""

import math
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np

from twofold.core.arrays import Labels, Probabilities, Reals
from twofold.core.errors import DataError
from twofold.evaluation.groups import Groups, design_effect
from twofold.evaluation.intervals import Interval, Z

_MIN_DISTANCE: Final = 0.02  # between the mean probabilities of the classes


@dataclass(frozen=True, slots=True)
class PrevalenceEstimate:
    """The fraction of positives among this many unlabelled images, with its 95% interval."""

    prevalence: Interval
    images: int

    def as_json(self) -> dict[str, Any]:
        """{"value", "low", "high", "images"}."""
        return {**asdict(self.prevalence), "images": self.images}


def estimate_prevalence(
    unlabelled: Probabilities, labels: Labels, probabilities: Probabilities, groups: Groups | None = None
) -> PrevalenceEstimate:
    """The fraction of positives among unlabelled images (m,), from labelled images (n,) in groups (n,).

    Both have probabilities that hold at the prevalence of the labels. The most likely fraction (Saerens, Latinne and Decaestecker
    2002, the limit of their EM algorithm) gives each image a weight, the derivative of its log-likelihood. The mean weights of
    the two classes among the labelled images correct the fraction for errors of the calibration, and give its standard error.
    Raises DataError where the probabilities hardly differ between the classes.
    """
    positive, fraction = labels == 1, float(np.mean(labels == 1))
    if probabilities[positive].mean() - probabilities[~positive].mean() < _MIN_DISTANCE:
        raise DataError(
            "The prevalence cannot be estimated, because the model hardly distinguishes the classes: give it as a number."
        )
    likely = _most_likely(unlabelled, fraction)
    weights, of_labelled = (_slopes(p, fraction, likely) for p in (unlabelled, probabilities))
    negative_mean, positive_mean = (float(of_labelled[rows].mean()) for rows in (~positive, positive))
    distance = positive_mean - negative_mean
    value = float((weights.mean() - negative_mean) / distance)
    fraction = float(np.clip(value, 0, 1))
    variance = weights.var() / len(weights)
    for rows, factor in ((positive, fraction), (~positive, 1 - fraction)):
        unobserved = distance / rows.sum()  # one further image of the class that looks like the other
        of_class = _variance_of_mean(of_labelled[rows], None if groups is None else groups[rows])
        variance += factor**2 * (of_class + unobserved**2)
    low, high = interval_ends(value, float(variance) / distance**2, len(unlabelled))
    return PrevalenceEstimate(Interval(fraction, min(fraction, low), max(fraction, high)), len(unlabelled))


def _most_likely(probabilities: Probabilities, fraction: float) -> float:
    """The most likely fraction of positives, by bisection, because the likelihood is concave. At least one image of each class is
    assumed: weights grow without limit towards 0 and 1."""
    low, high = 1 / (len(probabilities) + 1), len(probabilities) / (len(probabilities) + 1)
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if _slopes(probabilities, fraction, middle).sum() > 0 else (low, middle)
    return (low + high) / 2


def _slopes(probabilities: Probabilities, fraction: float, prevalence: float) -> Reals:
    """The derivative of each image's log-likelihood by the prevalence, (n,)."""
    positive, negative = probabilities / fraction, (1 - probabilities) / (1 - fraction)
    return np.asarray((positive - negative) / (prevalence * positive + (1 - prevalence) * negative))


def _variance_of_mean(values: Reals, groups: Groups | None) -> float:
    return float(values.var()) / len(values) * design_effect(values - values.mean(), groups)


def interval_ends(value: float, variance: float, images: int) -> tuple[float, float]:
    """The ends of the 95% interval of a fraction of so many images with this variance.

    The upper end is Wilson's with this variance where that is higher, and the lower end likewise: among a few images of which
    none is positive the variance is 0, and still some of the next ones may be.
    """
    shift, half = Z**2 / images, Z * math.sqrt(variance)
    centre = (min(max(value, 0.0), 1.0) + shift / 2) / (1 + shift)
    wide = Z / (1 + shift) * math.sqrt(variance + shift / (4 * images))
    low, high = min(value - half, centre - wide), max(value + half, centre + wide)
    return min(max(low, 0.0), 1.0), min(max(high, 0.0), 1.0)
