"""How far probabilities are from frequencies: the calibration error, and the slope and intercept of a recalibration."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twofold.core.arrays import Labels, Probabilities, Reals
from twofold.decision.calibration import fit_coefficients, sigmoid
from twofold.evaluation.groups import Groups, design_effect
from twofold.evaluation.intervals import UNDEFINED, Interval, Z
from twofold.evaluation.metrics import BINS, bin_of

_SCALES = np.linspace(0, 2, 81)


def ece_interval(
    labels: Labels, probabilities: Probabilities, seed: int, effect: float = 1.0, factor: float = 1.0
) -> Interval:
    """The expected calibration error without the bias of noise, and its interval.

    The error on the data is a sum of absolute gaps, and noise alone makes it larger than 0 (Bröcker 2012; Kumar, Liang and Ma
    2019). So a test is inverted: the gaps of the bins are scaled by factors from 0 to 2, noise is added (positives of each bin
    from a binomial, 1,000 times), and the value is the error whose median is that of the data; 0 where a calibrated model would
    have such an error half of the time. The interval holds the factors for which the error of the data is among the middle 95%,
    and reaches up to it where it is below the noise. `effect` multiplies the variance of the noise, for groups; the square root
    of `factor` the distance of the ends from the value.
    """
    bins = bin_of(probabilities)
    images = np.bincount(bins, minlength=BINS)
    positives = np.bincount(bins, labels == 1, minlength=BINS)
    gaps = (positives - np.bincount(bins, probabilities, minlength=BINS)) / len(labels)
    noise = math.sqrt(effect) * _noise(images, positives, seed) / len(labels)
    error = float(np.abs(gaps).sum())
    quantiles = np.array(
        [np.quantile(np.abs(scale * gaps + noise).sum(axis=1), [0.025, 0.5, 0.975]) for scale in _SCALES]
    )
    value, low = (error * _largest_scale(quantiles[:, column], error, least=0.0) for column in (1, 2))
    high = error * _largest_scale(quantiles[:, 0], error, least=1.0)
    widening = math.sqrt(factor)
    return Interval(value, max(0.0, value - widening * (value - low)), min(1.0, value + widening * (high - value)))


def _noise(images: NDArray[Any], positives: NDArray[Any], seed: int) -> Reals:
    """Positives of the bins less their expectation, (1000, bins), half of them drawn as if the classes were swapped: so the error
    is the same whichever class is positive."""
    negatives = images - positives
    parts = []
    for count, of_class, order in ((images, positives, 1), (images[::-1], negatives[::-1], -1)):
        fraction = (of_class + 0.5) / (count + 1)
        drawn = np.random.default_rng(seed).binomial(count, fraction, (500, BINS)) - count * fraction
        parts.append(order * drawn[:, ::order])
    return np.concatenate(parts)


def _largest_scale(quantiles: Reals, error: float, *, least: float) -> float:
    """The largest scale whose quantile is at most the error, `least` where none is."""
    return float(_SCALES[quantiles <= error].max()) if (quantiles <= error).any() else least


def recalibration(
    labels: Labels, probabilities: Probabilities, groups: Groups | None = None, factor: float = 1.0
) -> tuple[Interval, Interval]:
    """Slope and intercept of the calibration (Cox 1958): a logistic regression of the labels on the logits of the probabilities.

    A slope below 1 tells overconfidence. The intercept is that of the regression with slope 1, so that it tells whether
    probabilities are too low (above 0) or too high on the whole (Van Calster et al. 2019). The slope is undefined where a
    threshold separates the classes, and where all probabilities are equal. Intervals are normal ones, from the influence of each
    image (White 1982); unlike all others they allow for another prevalence, which the intercept is about.
    """
    tiny = np.finfo(np.float64).eps
    p = np.clip(probabilities, tiny, 1 - tiny)
    z = np.log(p) - np.log1p(-p)
    ones = np.ones_like(z)
    if _separates(labels, z):
        return UNDEFINED, _wald(labels, ones[:, None], z, groups, factor)
    slope = _wald(labels, np.stack([z, ones], axis=1), np.zeros_like(z), groups, factor)
    return slope, _wald(labels, ones[:, None], z, groups, factor)


def _separates(labels: Labels, z: Reals) -> bool:
    positives, negatives = z[labels == 1], z[labels != 1]
    return bool(positives.min() >= negatives.max() or positives.max() <= negatives.min() or np.ptp(z) == 0)


def _wald(labels: Labels, design: NDArray[np.float64], offset: Reals, groups: Groups | None, factor: float) -> Interval:
    """The first coefficient of the logistic regression on a design (n, k) with an offset (n,)."""
    targets = (labels == 1).astype(np.float64)
    theta = fit_coefficients(design, targets, offset)
    p = sigmoid(design @ theta + offset)
    information = (design * (p * (1 - p))[:, None]).T @ design
    inverse = np.linalg.inv(information + 1e-12 * np.eye(len(theta)))
    influence = design @ inverse[0] * (targets - p)
    half = Z * math.sqrt(float(np.sum(influence**2)) * factor * design_effect(influence, groups))
    value = float(theta[0])
    return Interval(value, value - half, value + half)
