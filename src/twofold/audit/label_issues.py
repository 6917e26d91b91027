"""Suspects: pictures whose label the rest of the data contradicts, and how many labels are wrong in all."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from twofold.audit.label_noise import fit_noise_models
from twofold.evaluation import Interval

Reals = NDArray[np.float64]

WORTH_A_LOOK = 0.05
"""Suspicion from which a picture is listed: at this end of the list one label in twenty is wrong."""


@dataclass(frozen=True, slots=True, eq=False)
class LabelIssues:
    """How suspicious each label is, and how many are wrong in all, listed or not."""

    p_label_error: Reals = field(repr=False)  # (n,) the chance that the label is wrong
    expected: Interval  # wrong labels among the n

    @property
    def listed(self) -> NDArray[np.int64]:
        """The pictures worth a look, the most suspicious first.

        Where the logits say little, every label is as suspicious as the next: so it takes twice the mean, too.
        """
        order = np.argsort(-self.p_label_error, kind="stable")
        return order[self.p_label_error[order] >= max(WORTH_A_LOOK, 2 * float(self.p_label_error.mean()))]


def find_label_issues(logits: NDArray[np.floating], labels: NDArray[np.int8]) -> LabelIssues:
    """The suspicion of each label (n,), 0 or 1, by its out-of-fold logit: any score that rises with the positive class.

    Wrong labels lift the ends of the curve from logit to label off 0 and 1, pictures that are hard to tell flatten its
    middle: `contamination` parts the two. The curve is fitted to the labels as they are, so that it does not matter what
    calibration made of the wrong ones. Both classes must be there.
    A second fit without the first suspects ranked no better, and biased the count.
    """
    z = np.asarray(logits, np.float64)
    z = (z - z.mean()) / (float(z.std()) or 1.0)
    curves = fit_noise_models(z, labels)
    p_label_error = np.zeros(len(z))
    parts: list[tuple[float, float, float]] = []
    for curve in curves:  # one by one: side by side they would be the largest thing in memory
        wrong = curve.wrong(z, labels)
        p_label_error += curve.weight * wrong
        parts.append((curve.weight, float(wrong.sum()), float(np.sum(wrong * (1 - wrong)))))
    return LabelIssues(np.clip(p_label_error, 0.0, 1.0), _count(np.array(parts), len(z)))


def _count(parts: Reals, n: int) -> Interval:
    """The median and the middle 95% of a number from 0 to n that is, by each part, of (chance, mean, variance)."""
    from scipy.special import ndtr

    chance, mean, variance = parts.T[..., None]
    numbers = np.arange(n + 1)
    below = np.sum(chance * ndtr((numbers + 0.5 - mean) / np.sqrt(variance + 1e-12)), axis=0)
    low, value, high = (float(min(at, n)) for at in np.searchsorted(below, [0.025, 0.5, 0.975]))
    return Interval(value, low, high)
