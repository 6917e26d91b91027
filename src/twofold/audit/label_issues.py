"""Label issues: labels that are possibly wrong, by their out-of-fold scores, and the expected number of wrong labels."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from twofold.audit.label_noise import fit_noise_models
from twofold.core.arrays import Reals
from twofold.core.notes import count_text
from twofold.evaluation import Interval

MIN_PROBABILITY = 0.05
"""A label is listed where its probability of an error is at least this: at the end of the list one label in twenty is wrong."""


@dataclass(frozen=True, slots=True, eq=False)
class LabelIssues:
    """The probability that each label is wrong, and the number of wrong labels, listed or not."""

    p_label_error: Reals = field(repr=False)  # (n,)
    expected: Interval  # number of wrong labels among the n

    @property
    def threshold(self) -> float:
        """The lowest probability of a listed label, at least twice the mean: where scores hardly separate the classes, all
        labels have about the same probability of an error, and none is listed."""
        return max(MIN_PROBABILITY, 2 * float(self.p_label_error.mean()))

    @property
    def rows(self) -> NDArray[np.int64]:
        """The rows of the possible label errors, the most probable first."""
        order = np.argsort(-self.p_label_error, kind="stable")
        return order[self.p_label_error[order] >= self.threshold]

    @property
    def text(self) -> str:
        """The number of listed labels and the expected number of wrong labels, without a full stop."""
        count, expected = len(self.rows), self.expected
        correct = count - round(expected.high)
        return (
            f"{count_text(count, 'possible label error')} (p >= {self.threshold:.2f}); expected number of wrong labels: "
            f"{expected.value:.0f} [{expected.low:.0f}, {expected.high:.0f}]"
            + (f"; at least {correct} of those listed are probably correct" if correct > 0 else "")
        )


def find_label_issues(logits: NDArray[np.floating], labels: NDArray[np.int8]) -> LabelIssues:
    """The probability that each label (n,), 0 or 1, is wrong, from its out-of-fold logit (n,) or any other increasing score.

    Wrong labels keep the curve from logit to label away from 0 and 1 at its ends, and ambiguous images flatten its middle: the
    label-noise models separate the two. The curve is fitted to the given labels, so it does not depend on a calibration that
    the wrong labels have affected. Both classes must be present. A second fit without the first label issues did not rank
    better, and biased the count.
    """
    z = np.asarray(logits, np.float64)
    z = (z - z.mean()) / (float(z.std()) or 1.0)
    p_label_error = np.zeros(len(z))
    components: list[tuple[float, float, float]] = []
    for model in fit_noise_models(z, labels):  # one after another: all together would be the largest array in memory
        p_wrong = model.p_wrong(z, labels)
        p_label_error += model.weight * p_wrong
        components.append((model.weight, float(p_wrong.sum()), float(np.sum(p_wrong * (1 - p_wrong)))))
    return LabelIssues(np.clip(p_label_error, 0.0, 1.0), _count_interval(np.array(components), len(z)))


def _count_interval(components: Reals, n: int) -> Interval:
    """Median and central 95% interval of a count from 0 to n: a mixture of normals, each (weight, mean, variance)."""
    from scipy.special import ndtr

    weight, mean, variance = components.T[..., None]
    counts = np.arange(n + 1)
    cumulative = np.sum(weight * ndtr((counts + 0.5 - mean) / np.sqrt(variance + 1e-12)), axis=0)
    low, value, high = (float(min(count, n)) for count in np.searchsorted(cumulative, [0.025, 0.5, 0.975]))
    return Interval(value, low, high)
