"""Calibration: from the logit of the head to a calibrated probability."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MINIMAL_SLOPE = 1e-3
"""Per standard deviation of the logits. A head no better than chance out-of-fold would get a slope at or below 0; with this
slope the order of the images is kept, and every probability is close to the prevalence."""

RATE_PRIOR = (0.5, 100.0)
"""The prior of `low` and of 1 - `high` is the beta distribution with these parameters."""

PRIOR_RATE = RATE_PRIOR[0] / sum(RATE_PRIOR)
"""Its mean: one exception in 201."""

CURVE_PRIOR = 10.0
"""Standard deviation of the normal priors of slope and intercept, for logits of unit variance: where the logits separate the
classes, the probability one deviation from the middle is about 1e-4."""

MAX_RATE = 0.45  # at higher rates the classes cannot be distinguished


@dataclass(frozen=True, slots=True)
class Calibration:
    """probability = low + (high - low) * sigmoid(slope * logit + intercept), slope > 0.

    The probabilities hold at `prevalence`, the fraction of positives among the images that the curve was fitted on.
    """

    slope: float
    intercept: float
    low: float = 0.0
    high: float = 1.0
    prevalence: float = 0.5

    def probabilities(self, logits: NDArray[np.floating]) -> NDArray[np.float64]:
        """The calibrated probability of the positive class, float64 in the shape of the logits."""
        fraction = sigmoid(self.slope * np.asarray(logits, np.float64) + self.intercept)
        return self.low + (self.high - self.low) * fraction

    def at_prevalence(self, prevalence: float | None) -> "Calibration":
        """The calibration whose probabilities hold at another prevalence; itself for None.

        Changing the odds of such a curve by a factor gives a curve of the same form.
        """
        if prevalence is None:
            return self
        ratio = prevalence / (1 - prevalence) * (1 - self.prevalence) / self.prevalence
        below, above = (1 - end + ratio * end for end in (self.low, self.high))
        return Calibration(
            self.slope,
            self.intercept + float(np.log(above / below)),
            ratio * self.low / below,
            ratio * self.high / above,
            prevalence,
        )


def sigmoid(z: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 / (1 + exp(-z)), without overflow for any z."""
    return np.exp(-np.logaddexp(0.0, -z))


def fit_calibration(logits: NDArray[np.floating], labels: NDArray[np.int8]) -> Calibration:
    """The most probable curve from these out-of-fold logits (n,) to the labels (n,), 0 or 1.

    Platt's sigmoid (Platt 1999, "Probabilistic outputs for support vector machines") between two asymptotes: `low` is the rate
    of positive labels among images that are surely negative, and 1 - `high` the other way round. All four parameters are
    estimated together, with the priors below in place of Platt's smoothed targets. Such a curve models item responses (Barton and
    Lord 1981, "An upper asymptote for the three-parameter logistic item-response model") and labels with errors (Copas 1988).

    For logits that are all equal, or that rank the classes in reverse, the slope is `MINIMAL_SLOPE`, and every probability is
    close to the prevalence.
    """
    z = np.asarray(logits, np.float64)
    centre, std = float(z.mean()), float(z.std()) or 1.0
    slope, intercept, *log_rates = _CurvePosterior((z - centre) / std, (labels == 1).astype(np.float64)).maximum()
    if slope <= MINIMAL_SLOPE:
        intercept, log_rates = _log_odds(labels == 1), [np.log(PRIOR_RATE)] * 2
    low, above = np.exp(log_rates)
    return Calibration(
        float(slope / std), float(intercept - slope / std * centre), float(low), float(1 - above), _prevalence(labels)
    )


@dataclass(frozen=True, slots=True, eq=False)
class _CurvePosterior:
    """The posterior of theta = (slope, intercept, log of low, log of 1 - high), given logits (n,) of unit variance."""

    z: NDArray[np.float64]
    targets: NDArray[np.float64]

    def maximum(self) -> NDArray[np.float64]:
        """theta (4,) by Fisher scoring with a line search, and slope at least `MINIMAL_SLOPE`."""
        theta = np.array([1.0, _log_odds(self.targets == 1), *[np.log(PRIOR_RATE)] * 2])
        value, gain = self._value(theta), np.inf
        for _ in range(100):
            step, length = self._step(theta), 1.0
            while (gain := self._value(following := _bounded(theta + length * step)) - value) < 0 and length > 1e-6:
                length /= 2
            if gain <= 0:
                break
            theta, value = following, value + gain
            if gain < 1e-9:
                break
        return theta

    def _curve(self, theta: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The sigmoid (n,), and the probability of a positive label (n,)."""
        low, above = np.exp(theta[2:])
        fraction = sigmoid(theta[0] * self.z + theta[1])
        return fraction, np.clip(low + (1 - low - above) * fraction, 1e-12, 1 - 1e-12)

    def _value(self, theta: NDArray[np.float64]) -> float:
        """The log posterior density, up to a constant."""
        _, p = self._curve(theta)
        likelihood = self.targets @ np.log(p) + (1 - self.targets) @ np.log1p(-p)
        # Density per unit of the logarithm of a rate.
        rates = np.sum(RATE_PRIOR[0] * theta[2:] + (RATE_PRIOR[1] - 1) * np.log1p(-np.exp(theta[2:])))
        return float(likelihood + rates - np.sum(theta[:2] ** 2) / (2 * CURVE_PRIOR**2))

    def _step(self, theta: NDArray[np.float64]) -> NDArray[np.float64]:
        """The step (4,) of Fisher scoring: the inverse of the information times the gradient."""
        (fraction, p), rates = self._curve(theta), np.exp(theta[2:])
        by_logit = (1 - rates.sum()) * fraction * (1 - fraction)
        jacobian = np.stack([by_logit * self.z, by_logit, rates[0] * (1 - fraction), -rates[1] * fraction])  # (4, n)
        weights, odds = 1 / (p * (1 - p)), rates / (1 - rates)
        prior = np.concatenate([-theta[:2] / CURVE_PRIOR**2, RATE_PRIOR[0] - (RATE_PRIOR[1] - 1) * odds])
        curvature = np.concatenate([np.full(2, CURVE_PRIOR**-2), (RATE_PRIOR[1] - 1) * odds / (1 - rates)])
        information = (jacobian * weights) @ jacobian.T + np.diag(curvature)
        return np.clip(np.linalg.solve(information, jacobian @ ((self.targets - p) * weights) + prior), -3.0, 3.0)


def _prevalence(labels: NDArray[np.int8]) -> float:
    """The fraction of positives, with half an image added to each class, so that its odds are finite."""
    return float((np.sum(labels == 1) + 0.5) / (len(labels) + 1))


def _log_odds(positive: NDArray[np.bool_]) -> float:
    """Of a positive label, with half an image added to each class."""
    return float(np.log((positive.sum() + 0.5) / ((~positive).sum() + 0.5)))


def _bounded(theta: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.concatenate([[max(theta[0], MINIMAL_SLOPE), theta[1]], np.minimum(theta[2:], np.log(MAX_RATE))])


def fit_calibration_through(logits: NDArray[np.floating], labels: NDArray[np.int8], neutral: float) -> Calibration:
    """The sigmoid with the lowest log-loss among those with the probability 0.5 at the logit `neutral`."""
    z = np.asarray(logits, np.float64) - neutral
    std = float(np.sqrt(np.mean(z**2))) or 1.0
    slope = max(float(fit_coefficients((z / std)[:, None], _smoothed_targets(labels))[0]), MINIMAL_SLOPE) / std
    return Calibration(slope, -slope * neutral, prevalence=_prevalence(labels))


def _smoothed_targets(labels: NDArray[np.int8]) -> NDArray[np.float64]:
    positives = int(np.sum(labels == 1))
    negatives = len(labels) - positives
    return np.where(labels == 1, (positives + 1) / (positives + 2), 1 / (negatives + 2))


def fit_coefficients(
    design: NDArray[np.float64], targets: NDArray[np.float64], offset: NDArray[np.float64] | float = 0.0
) -> NDArray[np.float64]:
    """The coefficients (k,) of the logistic regression of targets (n,) on a design (n, k), with an offset (n,) of the logits."""
    theta = np.zeros(design.shape[1])
    loss = _loss(design @ theta + offset, targets)
    for _ in range(100):
        p = sigmoid(design @ theta + offset)
        gradient = design.T @ (p - targets)
        if np.abs(gradient).max() < 1e-9 * len(design):
            break
        hessian = (design * (p * (1 - p))[:, None]).T @ design + 1e-12 * np.eye(len(theta))
        step, scale = np.linalg.solve(hessian, gradient), 1.0
        while (new_loss := _loss(design @ (theta - scale * step) + offset, targets)) > loss and scale > 1e-10:
            scale /= 2
        theta, loss = theta - scale * step, new_loss
    return theta


def _loss(z: NDArray[np.float64], targets: NDArray[np.float64]) -> float:
    return float(np.sum(np.logaddexp(0.0, z) - targets * z))
