"""Contamination: the shares of labels that are wrong, from logits alone, as curves weighed by how well they explain the labels.

The chance that a picture is labelled positive is a + (1 - a - b) * sigmoid(slope * z + intercept), where a is the share of wrong
labels among the true negatives and b among the true positives: a logistic regression that knows of wrong labels (Copas 1988,
"Binary regression models for contaminated data"; Bootkrajang and Kabán 2012, "Label-noise robust logistic regression").

Logits cannot tell a wrong label from a picture that truly looks like the other class. Where many do, as with
the tails of Student's t with 5 degrees of freedom, the count is too high and its interval misses the truth.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twofold.decision.calibration import sigmoid

Reals = NDArray[np.float64]

BLOCKS = 100  # of pictures with neighbouring logits, which the curves are fitted to
GRID = 11  # points along each share
WORST = 0.45  # a share of wrong labels beyond which nobody can say which class is which
DOUBT = 2  # the prior of a share falls by (1 - 2 share)^2: labels count as right until something speaks against them
RIDGE = 1 / 20**2  # keeps a curve finite where the logits part the classes; they are in standard deviations


@dataclass(frozen=True, slots=True, eq=False)
class NoiseModel:
    """One way to explain the labels, and the chance that it is the right one of those on the grid."""

    negatives: float  # the share of wrong labels among the true negatives
    positives: float  # among the true positives
    slope: float
    intercept: float
    weight: float

    def wrong(self, z: Reals, labels: NDArray[np.int8]) -> Reals:
        """The chance that each label (n,) is wrong, given logits (n,) in the unit that the curve was fitted in."""
        positive = sigmoid(self.slope * z + self.intercept)
        other = np.where(labels == 1, 1 - positive, positive)  # the chance of the class that the label does not name
        swapped = np.where(labels == 1, self.negatives, self.positives) * other
        kept = (1 - np.where(labels == 1, self.positives, self.negatives)) * (1 - other)
        return np.asarray(swapped / np.maximum(swapped + kept, np.finfo(np.float64).tiny))


def fit_noise_models(z: Reals, labels: NDArray[np.int8]) -> list[NoiseModel]:
    """The curves that explain the labels (n,) by logits (n,) of unit variance, all that have a chance above 1e-6.

    They lie on a grid of shares that closes in on the likely ones twice. It is even in the square roots of the shares,
    where the likelihood is equally wide everywhere; the prior is flat there, so that it favours small shares.
    """
    blocks = _Blocks.of(z, labels)
    low, high = np.zeros(2), np.full(2, np.sqrt(WORST))
    for _ in range(3):
        axes = np.linspace(low, high, GRID)  # (grid, 2)
        roots = np.stack(np.meshgrid(*axes.T, indexing="ij"), axis=-1).reshape(-1, 2)
        theta, evidence = _fitted(blocks, np.square(roots))
        likely, step = roots[evidence > evidence.max() - 8], axes[1] - axes[0]
        low, high = np.maximum(0, likely.min(axis=0) - step), np.minimum(np.sqrt(WORST), likely.max(axis=0) + step)
    weight = np.exp(evidence - evidence.max())
    weight = np.where(weight > 1e-6 * weight.sum(), weight, 0.0) / weight.sum()
    table = np.column_stack([np.square(roots), theta, weight / weight.sum()])
    return [NoiseModel(*row) for row in table[weight > 0].tolist()]


@dataclass(frozen=True, slots=True, eq=False)
class _Blocks:
    """Pictures with neighbouring logits, (m,) each."""

    design: Reals  # (2, m) mean logit, and ones
    count: Reals
    positive: Reals  # labelled so

    @classmethod
    def of(cls, z: Reals, labels: NDArray[np.int8]) -> "_Blocks":
        order, m = np.argsort(z, kind="stable"), min(BLOCKS, len(z))
        starts = np.arange(m) * len(z) // m
        count = np.diff(np.append(starts, len(z))).astype(np.float64)
        positive = np.add.reduceat((labels[order] == 1).astype(np.float64), starts)
        return cls(np.stack([np.add.reduceat(z[order], starts) / count, np.ones(m)]), count, positive)


@dataclass(frozen=True, slots=True, eq=False)
class _Likelihood:
    """Of g pairs of shares, at the slopes and intercepts theta (g, 2)."""

    blocks: _Blocks
    fractions: Reals  # (g, 2)
    theta: Reals

    def _chance(self) -> tuple[Reals, Reals]:
        """The chance of a positive label in each block, (g, m), and how it rises with the logit."""
        span = (1 - self.fractions.sum(axis=1))[:, None]
        p = sigmoid(self.theta @ self.blocks.design)
        return np.clip(self.fractions[:, :1] + span * p, 1e-12, 1 - 1e-12), span * p * (1 - p)

    def value(self) -> Reals:
        """(g,) the penalised log-likelihood."""
        chance, _ = self._chance()
        labelled, rest = self.blocks.positive, self.blocks.count - self.blocks.positive
        penalty = RIDGE / 2 * np.sum(self.theta**2, axis=1)
        return np.asarray(np.log(chance) @ labelled + np.log1p(-chance) @ rest - penalty)

    def slopes(self) -> tuple[Reals, Reals]:
        """The gradient (g, 2) and Fisher's information (g, 2, 2)."""
        chance, rise = self._chance()
        pull = rise / (chance * (1 - chance))
        design = self.blocks.design
        gradient = ((self.blocks.positive - self.blocks.count * chance) * pull) @ design.T - RIDGE * self.theta
        information = np.einsum("gm,im,jm->gij", self.blocks.count * pull * rise, design, design, optimize=True)
        return gradient, information + RIDGE * np.eye(2)


def _fitted(blocks: _Blocks, fractions: Reals) -> tuple[Reals, Reals]:
    """The best slope and intercept (g, 2) for each pair of shares (g, 2), and its evidence (g,), by Fisher scoring."""
    at = _Likelihood(blocks, fractions, np.tile([2.0, 0.0], (len(fractions), 1)))
    for _ in range(20):
        gradient, information = at.slopes()
        after = _climbed(at, np.asarray(np.linalg.solve(information, gradient[..., None])[..., 0], np.float64))
        gained, at = float(np.max(after.value() - at.value())), after
        if gained < 0.01:
            break
    return at.theta, at.value() + DOUBT * np.log1p(-2 * fractions).sum(axis=1)


def _climbed(at: _Likelihood, step: Reals) -> _Likelihood:
    """One step upwards, shortened where it would lead down; a slope stays above 0: the classes are not to change places."""
    before, length = at.value(), np.ones(len(step))
    for _ in range(8):
        theta = at.theta + length[:, None] * step
        theta[:, 0] = np.maximum(theta[:, 0], 1e-3)
        after = _Likelihood(at.blocks, at.fractions, theta)
        worse = after.value() < before - 1e-6
        if not worse.any():
            return after
        length = np.where(worse, length / 4, length)
    return _Likelihood(at.blocks, at.fractions, np.where(worse[:, None], at.theta, theta))
