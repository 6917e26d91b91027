"""Label-noise models: the rates of wrong labels, estimated from logits, as logistic curves weighted by their evidence.

The probability that an image is labelled positive is a + (1 - a - b) * sigmoid(slope * z + intercept), where a is the rate of
wrong labels among the true negatives and b among the true positives: logistic regression with label noise (Copas 1988, "Binary
regression models for contaminated data"; Bootkrajang and Kabán 2012, "Label-noise robust logistic regression").

Logits cannot distinguish a wrong label from a hard image, which looks like the other class. Where more images are hard than a
logistic curve has, as in the tails of Student's t distribution with 5 degrees of freedom, the rates are too high.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twofold.core.arrays import Reals
from twofold.decision.calibration import sigmoid

BLOCKS = 100  # of images with neighbouring logits; the curves are fitted to blocks
GRID = 11  # points per rate
MAX_RATE = 0.45  # at a higher rate of wrong labels the classes cannot be distinguished
PRIOR_EXPONENT = 2  # the prior of a rate is proportional to (1 - 2 rate)^2: without evidence labels count as correct
RIDGE = 1 / 20**2  # keeps a curve finite where the logits separate the classes; logits are in standard deviations


@dataclass(frozen=True, slots=True, eq=False)
class NoiseModel:
    """One pair of rates with its curve, and its posterior probability on the grid."""

    negative_rate: float  # of wrong labels among the true negatives
    positive_rate: float  # among the true positives
    slope: float
    intercept: float
    weight: float

    def p_wrong(self, z: Reals, labels: NDArray[np.int8]) -> Reals:
        """The probability that each label (n,) is wrong, given logits (n,) on the scale of the fit."""
        p_positive = sigmoid(self.slope * z + self.intercept)
        p_other = np.where(labels == 1, 1 - p_positive, p_positive)  # of the class that the label does not name
        joint_wrong = np.where(labels == 1, self.negative_rate, self.positive_rate) * p_other
        joint_right = (1 - np.where(labels == 1, self.positive_rate, self.negative_rate)) * (1 - p_other)
        return np.asarray(joint_wrong / np.maximum(joint_wrong + joint_right, np.finfo(np.float64).tiny))

    def symmetric_fraction(self, labels: NDArray[np.int8]) -> Reals:
        """(n,) the fraction of the wrong labels that remains if the lower rate holds for both classes."""
        rates = np.where(labels == 1, self.negative_rate, self.positive_rate)
        lower = min(self.negative_rate, self.positive_rate)
        return np.asarray(lower / np.maximum(rates, np.finfo(np.float64).tiny))

    def hard_images(self, z: Reals) -> float:
        """The expected number of images, by their logits (n,), whose true class is the less probable one on the curve."""
        p_positive = sigmoid(self.slope * z + self.intercept)
        return float(np.minimum(p_positive, 1 - p_positive).sum())


def fit_noise_models(z: Reals, labels: NDArray[np.int8]) -> list[NoiseModel]:
    """The models of labels (n,) given logits (n,) of unit variance, without those of a weight below 1e-6.

    They are on a grid of rates, which is refined twice around the likely ones. The grid is even in the square roots of the
    rates, where the likelihood has the same width everywhere; the prior is flat there, so it favours small rates.
    """
    blocks = _Blocks.from_logits(z, labels)
    low, high = np.zeros(2), np.full(2, np.sqrt(MAX_RATE))
    for _ in range(3):
        axes = np.linspace(low, high, GRID)  # (grid, 2)
        roots = np.stack(np.meshgrid(*axes.T, indexing="ij"), axis=-1).reshape(-1, 2)
        theta, evidence = _fit_curves(blocks, np.square(roots))
        likely_roots, step = roots[evidence > evidence.max() - 8], axes[1] - axes[0]
        low, high = (
            np.maximum(0, likely_roots.min(axis=0) - step),
            np.minimum(np.sqrt(MAX_RATE), likely_roots.max(axis=0) + step),
        )
    weight = np.exp(evidence - evidence.max())
    weight = np.where(weight > 1e-6 * weight.sum(), weight, 0.0) / weight.sum()
    table = np.column_stack([np.square(roots), theta, weight / weight.sum()])
    return [NoiseModel(*row) for row in table[weight > 0].tolist()]


@dataclass(frozen=True, slots=True, eq=False)
class _Blocks:
    """Images with neighbouring logits, (m,) each."""

    design: Reals  # (2, m): mean logit, and ones
    count: Reals
    positive: Reals  # number of positive labels

    @classmethod
    def from_logits(cls, z: Reals, labels: NDArray[np.int8]) -> "_Blocks":
        order, m = np.argsort(z, kind="stable"), min(BLOCKS, len(z))
        starts = np.arange(m) * len(z) // m
        count = np.diff(np.append(starts, len(z))).astype(np.float64)
        positive = np.add.reduceat((labels[order] == 1).astype(np.float64), starts)
        return cls(np.stack([np.add.reduceat(z[order], starts) / count, np.ones(m)]), count, positive)


@dataclass(frozen=True, slots=True, eq=False)
class _Likelihood:
    """Of g pairs of rates, with slopes and intercepts theta (g, 2)."""

    blocks: _Blocks
    rates: Reals  # (g, 2)
    theta: Reals

    def _p_positive(self) -> tuple[Reals, Reals]:
        """The probability of a positive label in each block (g, m), and its derivative by the logit."""
        span = (1 - self.rates.sum(axis=1))[:, None]
        p = sigmoid(self.theta @ self.blocks.design)
        return np.clip(self.rates[:, :1] + span * p, 1e-12, 1 - 1e-12), span * p * (1 - p)

    def value(self) -> Reals:
        """(g,) the penalised log-likelihood."""
        p, _ = self._p_positive()
        positive, negative = self.blocks.positive, self.blocks.count - self.blocks.positive
        penalty = RIDGE / 2 * np.sum(self.theta**2, axis=1)
        return np.asarray(np.log(p) @ positive + np.log1p(-p) @ negative - penalty)

    def derivatives(self) -> tuple[Reals, Reals]:
        """The gradient (g, 2) and the Fisher information (g, 2, 2)."""
        p, derivative = self._p_positive()
        factor = derivative / (p * (1 - p))
        design = self.blocks.design
        gradient = ((self.blocks.positive - self.blocks.count * p) * factor) @ design.T - RIDGE * self.theta
        information = np.einsum("gm,im,jm->gij", self.blocks.count * factor * derivative, design, design, optimize=True)
        return gradient, information + RIDGE * np.eye(2)


def _fit_curves(blocks: _Blocks, rates: Reals) -> tuple[Reals, Reals]:
    """Slope and intercept (g, 2) for each pair of rates (g, 2), and its log evidence (g,), by Fisher scoring."""
    current = _Likelihood(blocks, rates, np.tile([2.0, 0.0], (len(rates), 1)))
    for _ in range(20):
        gradient, information = current.derivatives()
        step = np.asarray(np.linalg.solve(information, gradient[..., None])[..., 0], np.float64)
        following = _take_step(current, step)
        gain, current = float(np.max(following.value() - current.value())), following
        if gain < 0.01:
            break
    return current.theta, current.value() + PRIOR_EXPONENT * np.log1p(-2 * rates).sum(axis=1)


def _take_step(current: _Likelihood, step: Reals) -> _Likelihood:
    """A step that does not lower the likelihood, shortened if needed. Slopes stay above 0, so that the classes cannot swap."""
    before, length = current.value(), np.ones(len(step))
    for _ in range(8):
        theta = current.theta + length[:, None] * step
        theta[:, 0] = np.maximum(theta[:, 0], 1e-3)
        following = _Likelihood(current.blocks, current.rates, theta)
        worse = following.value() < before - 1e-6
        if not worse.any():
            return following
        length = np.where(worse, length / 4, length)
    return _Likelihood(current.blocks, current.rates, np.where(worse[:, None], current.theta, theta))
