"""Label issues: labels that are possibly wrong, by their out-of-fold scores, and the expected number of wrong labels."""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from twofold.audit.label_noise import NoiseModel, fit_noise_models
from twofold.core.arrays import Reals
from twofold.core.notes import count_text
from twofold.evaluation import Interval

MIN_PROBABILITY = 0.05
"""A label is listed where its probability of an error is at least this: at the end of the list one label in twenty is wrong."""

HIDDEN_FRACTION = 1 / 3
"""Hard images that contradict the curve, at most, for each one that it explains. Chosen on simulated scores, as those of
`bench/label_error_counts.py`: enough for right labels with the tails of Student's t distribution with 3 degrees of freedom."""

LEVELS = (0.025, 0.995)
"""Of the interval. The upper one has a reserve for curves that are steeper at the ends than a logistic one: with 0.975 the
count was too low in one simulation of six where a third of the images is hard."""


@dataclass(frozen=True, slots=True, eq=False)
class LabelIssues:
    """The probability that each label is wrong, and the number of wrong labels, listed or not."""

    p_label_error: Reals = field(repr=False)  # (n,)
    expected: Interval  # number of wrong labels among the n
    p_hard: float = 0.0  # that the label issues are hard images, which look like the other class

    @property
    def hard(self) -> bool:
        """Whether the label issues may well be hard images, so that no label is said to be wrong."""
        return self.p_hard >= 0.25

    @property
    def threshold(self) -> float:
        """The lowest probability of a listed label, at least twice the mean: where scores hardly separate the classes, all
        labels have about the same probability of an error, and none is listed."""
        return max(MIN_PROBABILITY, 2 * float(self.p_label_error.mean()))

    @property
    def rows(self) -> NDArray[np.int64]:
        """The rows of the label issues, the most probable first."""
        order = np.argsort(-self.p_label_error, kind="stable")
        return order[self.p_label_error[order] >= self.threshold]

    @property
    def text(self) -> str:
        """The number of listed labels and the expected number of wrong labels, without a full stop."""
        count, expected = len(self.rows), self.expected
        correct = count - round(expected.high)
        remainder = f"; at least {correct} of those listed are probably correct" if correct > 0 else ""
        if self.hard:
            return (
                f"{count_text(count, 'label')} worth a look (p >= {self.threshold:.2f}), wrong labels or hard images; number of "
                f"wrong labels: {expected.low:.0f} to {expected.high:.0f}{remainder}"
            )
        return (
            f"{count_text(count, 'possible label error')} (p >= {self.threshold:.2f}); expected number of wrong labels: "
            f"{expected.value:.0f} [{expected.low:.0f}, {expected.high:.0f}]{remainder}"
        )


def find_label_issues(logits: NDArray[np.floating], labels: NDArray[np.int8]) -> LabelIssues:
    """The probability that each label (n,), 0 or 1, is wrong, from its out-of-fold logit (n,) or any other increasing score.

    Wrong labels keep the curve from logit to label away from 0 and 1 at its ends, and ambiguous images flatten its middle: the
    label-noise models separate the two. The curve is fitted to the given labels, so it does not depend on a calibration that
    the wrong labels have affected. Both classes must be present. A second fit without the first label issues did not rank
    better, and biased the count.

    Hard images, which look like the other class, contradict a curve as wrong labels do, and no test of the curve's fit tells
    them apart. So the count has a range of assumptions (a sensitivity analysis). At its upper end there are no hard images
    beyond the curve. At its lower end there are as many as `HIDDEN_FRACTION` of those on the curve, and the noise rate of one
    class holds for both: what the other class has in excess are hard images, such as defects that cannot be seen. Where the
    lower end reaches 0, and the curve has more hard images than there are labels that contradict it, these are as probably hard
    images, and their probabilities of an error are halved.
    """
    z = np.asarray(logits, np.float64)
    z = (z - z.mean()) / (float(z.std()) or 1.0)
    p_wrong_mean = np.zeros(len(z))
    counts: list[_Counts] = []
    for model in fit_noise_models(z, labels):  # one after another: all together would be the largest array in memory
        p_wrong = model.p_wrong(z, labels)
        p_wrong_mean += model.weight * p_wrong
        counts.append(_Counts.from_model(model, p_wrong, z, labels))
    weights, wrong, symmetric, excess = (np.array(column) for column in zip(*counts, strict=True))
    lower, upper = _Mixture(weights, *symmetric.T), _Mixture(weights, *wrong.T)
    p_hard = float(lower.cumulative(0) * _Mixture(weights, *excess.T).cumulative(0))
    p_label_error = np.clip(p_wrong_mean * (1 - p_hard / 2), 0.0, 1.0)
    low, high = lower.quantile(LEVELS[0], len(z)), upper.quantile(LEVELS[1], len(z))
    return LabelIssues(
        p_label_error, Interval(float(np.clip(np.round(p_label_error.sum()), low, high)), low, high), p_hard
    )


class _Counts(NamedTuple):
    """Means and variances of counts under one model."""

    weight: float
    wrong: tuple[float, float]  # wrong labels, if all hard images are on the curve
    symmetric: tuple[float, float]  # wrong labels with the lower rate for both classes, less the hidden hard images
    excess: tuple[float, float]  # wrong labels, less the hard images on the curve

    @classmethod
    def from_model(cls, model: NoiseModel, p_wrong: Reals, z: Reals, labels: NDArray[np.int8]) -> "_Counts":
        symmetric, hard = p_wrong * model.symmetric_fraction(labels), model.hard_images(z)
        moments = _moments(p_wrong), _moments(symmetric, HIDDEN_FRACTION * hard), _moments(p_wrong, hard)
        return cls(model.weight, *moments)


def _moments(p: Reals, less: float = 0.0) -> tuple[float, float]:
    """Mean and variance of the number of events with probabilities p (n,), less a number."""
    return float(p.sum()) - less, float(np.sum(p * (1 - p)))


@dataclass(frozen=True, slots=True, eq=False)
class _Mixture:
    """The distribution of a count, as a mixture of normals, (k,) each."""

    weight: Reals
    mean: Reals
    variance: Reals

    def cumulative(self, count: NDArray[np.integer] | int) -> Reals:
        """The probability of at most `count`, a number or (m,)."""
        from scipy.special import ndtr

        ends = np.asarray(count, np.float64)[..., None] + 0.5
        return np.asarray(ndtr((ends - self.mean) / np.sqrt(self.variance + 1e-12)) @ self.weight)

    def quantile(self, level: float, n: int) -> float:
        """The smallest count from 0 to n with at least this cumulative probability."""
        return float(min(int(np.searchsorted(self.cumulative(np.arange(n + 1)), level)), n))
