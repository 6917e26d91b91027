"""Calibration: from the logit of the head to a calibrated probability."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MINIMAL_SLOPE = 1e-3
"""Per standard deviation of the logits. A head no better than chance out-of-fold would get a slope at or below 0; with this
slope the order of the images is kept, and every probability is close to the prevalence."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """probability = low + (high - low) * sigmoid(slope * logit + intercept), slope > 0."""

    slope: float
    intercept: float
    low: float = 0.0
    high: float = 1.0

    def probabilities(self, logits: NDArray[np.floating]) -> NDArray[np.float64]:
        """The calibrated probability of the positive class, float64 in the shape of the logits."""
        fraction = sigmoid(self.slope * np.asarray(logits, np.float64) + self.intercept)
        return self.low + (self.high - self.low) * fraction


def sigmoid(z: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 / (1 + exp(-z)), without overflow for any z."""
    return np.exp(-np.logaddexp(0.0, -z))


def fit_calibration(logits: NDArray[np.floating], labels: NDArray[np.int8]) -> Calibration:
    """The sigmoid with the lowest log-loss on these out-of-fold logits, by Platt's method.

    Platt 1999, "Probabilistic outputs for support vector machines", with smoothed targets: perfectly separated logits get a
    finite slope. The minimum is found by Newton's method with a line search, as Lin, Lin and Weng 2007, "A note on Platt's
    probabilistic outputs", advise. For logits that are all equal, or that rank the classes in reverse, the slope is
    `MINIMAL_SLOPE`, and every probability is close to the prevalence.

    Probabilities are bounded by the number of images. After N negatives without an exception the probability of an exception is
    estimated as 0.5 / (N + 1) (Krichevsky and Trofimov 1981): this is `low`. `high` is the same for the positives.
    """
    z, targets = np.asarray(logits, np.float64), _smoothed_targets(labels)
    centre, std = float(z.mean()), float(z.std()) or 1.0
    unit = (z - centre) / std
    slope, intercept = _newton(np.stack([unit, np.ones_like(unit)], axis=1), targets)
    if slope <= MINIMAL_SLOPE:
        fraction = float(targets.mean())
        slope, intercept = MINIMAL_SLOPE, np.log(fraction / (1 - fraction))
    positives, negatives = int(np.sum(labels == 1)), int(np.sum(labels == 0))
    low, high = 0.5 / (negatives + 1), 1 - 0.5 / (positives + 1)
    return Calibration(float(slope / std), float(intercept - slope / std * centre), low, high)


def fit_calibration_through(logits: NDArray[np.floating], labels: NDArray[np.int8], neutral: float) -> Calibration:
    """The sigmoid with the lowest log-loss among those with the probability 0.5 at the logit `neutral`."""
    z = np.asarray(logits, np.float64) - neutral
    std = float(np.sqrt(np.mean(z**2))) or 1.0
    slope = max(float(_newton((z / std)[:, None], _smoothed_targets(labels))[0]), MINIMAL_SLOPE) / std
    return Calibration(slope, -slope * neutral)


def _smoothed_targets(labels: NDArray[np.int8]) -> NDArray[np.float64]:
    positives = int(np.sum(labels == 1))
    negatives = len(labels) - positives
    return np.where(labels == 1, (positives + 1) / (positives + 2), 1 / (negatives + 2))


def _newton(design: NDArray[np.float64], targets: NDArray[np.float64]) -> NDArray[np.float64]:
    """The coefficients (k,) of the logistic regression of targets (n,) on a design (n, k)."""
    theta = np.zeros(design.shape[1])
    loss = _loss(design @ theta, targets)
    for _ in range(100):
        p = sigmoid(design @ theta)
        gradient = design.T @ (p - targets)
        if np.abs(gradient).max() < 1e-9 * len(design):
            break
        hessian = (design * (p * (1 - p))[:, None]).T @ design + 1e-12 * np.eye(len(theta))
        step, scale = np.linalg.solve(hessian, gradient), 1.0
        while (new_loss := _loss(design @ (theta - scale * step), targets)) > loss and scale > 1e-10:
            scale /= 2
        theta, loss = theta - scale * step, new_loss
    return theta


def _loss(z: NDArray[np.float64], targets: NDArray[np.float64]) -> float:
    return float(np.sum(np.logaddexp(0.0, z) - targets * z))
