"""The accuracy among unlabelled images, estimated from their calibrated probabilities.

Images of each class look as the labelled ones do; only their numbers may differ ("label shift").
"""

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from twofold.core.arrays import Labels, Probabilities, Reals
from twofold.decision.prevalence import change_prevalence
from twofold.decision.rule import NEGATIVE, POSITIVE
from twofold.evaluation.groups import Groups, design_effect
from twofold.evaluation.intervals import Interval, Z
from twofold.evaluation.prevalence_estimate import interval_ends

Decisions = NDArray[np.int8]

_FEW_ERRORS: Final = 25


@dataclass(frozen=True, slots=True)
class UnlabelledAccuracy:
    """The fraction of correct decisions among `decided` of the unlabelled images, with its 95% interval."""

    accuracy: Interval
    decided: int

    def as_json(self) -> dict[str, Any]:
        """{"value", "low", "high", "decided"}."""
        return {**self.accuracy.as_json(), "decided": self.decided}


@dataclass(frozen=True, slots=True, eq=False)
class LabelledDecisions:
    """Decisions (n,) on labelled images in groups (n,), with probabilities (n,) that hold at the prevalence of the labels.

    `factor` multiplies the variances of rates.
    """

    labels: Labels
    probabilities: Probabilities
    decisions: Decisions
    groups: Groups | None = None
    factor: float = 1.0


def estimate_accuracy(
    probabilities: Probabilities, decisions: Decisions, prevalence: Interval, labelled: LabelledDecisions
) -> UnlabelledAccuracy | None:
    """The accuracy of decisions (m,) on unlabelled images with probabilities (m,) and an estimated prevalence.

    None where there is no decision.

    Each decision is correct with the probability that it has at this prevalence, so the number of correct ones is
    Poisson-binomial (Kivimäki, Białek, Kuberski and Nurminen 2025, arXiv 2505.05295). The labelled images of each class
    correct the mean for errors of the calibration. The interval is for these images: it has the variance of the Poisson-binomial
    distribution, of the correction, and of the prevalence, with Wilson's form, as errors are few.
    """
    decided = np.isin(decisions, (NEGATIVE, POSITIVE))
    count, base = int(decided.sum()), float(np.mean(labelled.labels == 1))
    if not count:
        return None
    new = float(np.clip(prevalence.value, 1e-6, 1 - 1e-6))
    correct = _correct(probabilities, decisions, base, new)
    residuals = _residuals(labelled, base, new)
    positive, per_image = labelled.labels == 1, len(decisions) / count
    value, realised = float(correct[decided].mean()), _realised(correct[decided], residuals, positive, new, per_image)
    variance, means = realised, []
    for rows, fraction in ((~positive, 1 - new), (positive, new)):
        of_class, groups = residuals[rows], None if labelled.groups is None else labelled.groups[rows]
        means.append(float(of_class.mean()))
        effect = max(labelled.factor, design_effect(of_class - of_class.mean(), groups))
        unobserved = 1 / rows.sum()  # one further image of the class that is decided wrongly
        value += per_image * fraction * means[-1]
        spread = (of_class.var() * effect + unobserved / 4) / rows.sum()
        variance += (per_image * fraction) ** 2 * float(spread)
    of_prevalence = (prevalence.high - prevalence.low) / (2 * Z)
    variance += (per_image * (means[1] - means[0]) * of_prevalence) ** 2
    # The variance of everything else counts as if there were fewer images, but not fewer than labelled ones.
    images = min(count, max(count * realised / variance, len(residuals) / labelled.factor))
    return UnlabelledAccuracy(_interval(value, variance, count, round(images)), count)


def _correct(probabilities: Probabilities, decisions: Decisions, base: float, new: float) -> Reals:
    """The probability that each decision is correct at the prevalence `new`, (n,); 0 where there is none."""
    changed = change_prevalence(probabilities, base, new)
    return np.asarray(np.where(decisions == POSITIVE, changed, np.where(decisions == NEGATIVE, 1 - changed, 0.0)))


def _residuals(labelled: LabelledDecisions, base: float, new: float) -> Reals:
    """Whether each labelled decision is correct, less the probability of that, (n,)."""
    right = (labelled.decisions == labelled.labels).astype(np.float64)
    return np.asarray(right - _correct(labelled.probabilities, labelled.decisions, base, new))


def _realised(correct: Reals, residuals: Reals, positive: NDArray[np.bool_], new: float, per_image: float) -> float:
    """The variance of the fraction of correct decisions: by the probabilities, or by the labelled images where that is larger."""
    by_class = [float(np.mean(residuals[rows] ** 2)) for rows in (~positive, positive)]
    of_labelled = per_image * ((1 - new) * by_class[0] + new * by_class[1])
    return max(float(np.mean(correct * (1 - correct))), of_labelled) / len(correct)


def _interval(value: float, variance: float, count: int, images: int) -> Interval:
    """The interval of a fraction of `count` images, with this variance and the form of that of `images`.

    Where few errors are expected there may be none at all: there it includes the quantiles of a number of errors with this mean
    and variance.
    """
    low, high = interval_ends(value, variance, max(1, images))
    value = min(max(value, 0.0), 1.0)
    errors = count * (1 - value)
    if 0 < errors < _FEW_ERRORS:
        fewest, most = (_quantile(level, errors, count**2 * variance) for level in (0.025, 0.975))
        low, high = min(low, 1 - most / count), max(high, 1 - fewest / count)
    return Interval(value, min(value, max(0.0, low)), max(value, high))


def _quantile(level: float, mean: float, variance: float) -> int:
    """The least number at or below which the negative binomial distribution has this probability; Poisson's where the variance is
    not above the mean, which is wider than the Poisson-binomial one."""
    from scipy.special import betainc, gammaincc  # here, because predictions do not need it

    numbers = np.arange(round(mean + 10 * math.sqrt(max(variance, mean))) + 10)
    if variance > 1.0001 * mean:
        size = mean**2 / (variance - mean)
        below = betainc(size, numbers + 1, mean / variance)
    else:
        below = gammaincc(numbers + 1, mean)
    return int(np.argmax(below >= level))
