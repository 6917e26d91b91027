"""Comparison of two models on the same images: paired differences with intervals."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twofold.core.arrays import Labels, Probabilities
from twofold.decision.rule import Rule
from twofold.evaluation.groups import Groups, centred, design_effect, has_groups
from twofold.evaluation.intervals import UNDEFINED, Interval, Z, delong_error, standard_error
from twofold.evaluation.metrics import log_losses, placements, roc_auc

MAX_EXACT_GROUPS = 5_000
"""The largest number of groups with a gain or a loss for which the test is exact; above, its sum is taken as normal."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """The second model minus the first, on the same images."""

    images: int
    groups: int
    differences: dict[str, Interval]  # accuracy, log_loss, roc_auc: second - first
    only_second_correct: int  # images
    only_first_correct: int
    p_value: float  # of McNemar's exact test of equal accuracy; of groups where there are any

    def as_json(self) -> dict[str, Any]:
        """The fields, with {"value", "low", "high"} for each difference."""
        return {
            "images": self.images,
            "groups": self.groups,
            "differences": {name: interval.as_json() for name, interval in self.differences.items()},
            "only_second_correct": self.only_second_correct,
            "only_first_correct": self.only_first_correct,
            "p_value": self.p_value,
        }


def compare(
    labels: Labels,
    first: tuple[Probabilities, Rule],
    second: tuple[Probabilities, Rule],
    groups: Groups | None = None,
) -> Comparison:
    """The second model minus the first, each as (probabilities, rule), on the images of these labels.

    Images of one group (n,) may depend on each other; by default each image is a group.
    """
    (p, rule_1), (q, rule_2) = first, second
    before, after = rule_1.answer(p) == labels, rule_2.answer(q) == labels
    gains = after.astype(np.int64) - before
    only_second_correct, only_first_correct = int((gains > 0).sum()), int((gains < 0).sum())
    has_both_classes = 0 < int(labels.sum()) < len(labels)
    effect = design_effect(gains - gains.mean(), groups)
    exact = mcnemar(only_second_correct, only_first_correct)
    return Comparison(
        images=len(labels),
        groups=len(labels) if groups is None else len(np.unique(groups)),
        differences={
            "accuracy": difference_of_accuracies(only_second_correct, only_first_correct, len(labels), effect),
            "log_loss": difference_of_losses(labels, p, q, groups) if has_both_classes else UNDEFINED,
            "roc_auc": difference_of_areas(labels, p, q, groups) if has_both_classes else UNDEFINED,
        },
        only_second_correct=only_second_correct,
        only_first_correct=only_first_correct,
        p_value=exact if groups is None or not has_groups(groups) else sign_flip_test(gains, groups),
    )


def difference_of_accuracies(second: int, first: int, n: int, factor: float = 1.0) -> Interval:
    """The difference (second - first) / n, from the counts of images that only one model gets right.

    The interval is the adjusted Wald interval of Bonett and Price 2012, which holds for small counts. The factor on the variance
    divides all counts.
    """
    trials = n / factor
    p, q = (second / factor + 1) / (trials + 2), (first / factor + 1) / (trials + 2)
    half = Z * math.sqrt((p + q - (p - q) ** 2) / (trials + 2))
    return Interval((second - first) / n, max(-1.0, p - q - half), min(1.0, p - q + half))


def difference_of_losses(
    labels: Labels, first: Probabilities, second: Probabilities, groups: Groups | None = None
) -> Interval:
    """Second minus first log-loss, with the normal interval of the paired differences."""
    differences = log_losses(labels, second) - log_losses(labels, first)
    effect = design_effect(centred(differences, labels), groups)
    value, half = float(differences.mean()), Z * math.sqrt(effect) * standard_error(differences, labels)
    return Interval(value, value - half, value + half)


def difference_of_areas(
    labels: Labels, first: Probabilities, second: Probabilities, groups: Groups | None = None
) -> Interval:
    """Second minus first area under the ROC curve, with DeLong's paired interval (1988, equation 5; Obuchowski 1997 for groups).

    Undefined when a class has no images; with one image of a class the interval alone is undefined.
    """
    (above_1, below_1), (above_2, below_2) = placements(labels, first), placements(labels, second)
    above, below = above_2 - above_1, below_2 - below_1
    influences = np.empty(len(labels))
    influences[labels == 1], influences[labels != 1] = above / max(len(above), 1), below / max(len(below), 1)
    value = roc_auc(labels, second) - roc_auc(labels, first)
    half = Z * math.sqrt(design_effect(centred(influences, labels), groups)) * delong_error(above, below)
    return Interval(value, max(value - half, -1.0), min(value + half, 1.0))  # in this order NaN stays NaN


def mcnemar(second: int, first: int) -> float:
    """The two-sided exact p-value of McNemar's test, from the counts of images that only one model gets right.

    Under the null hypothesis each model is equally often the one that is right where they differ.

    >>> round(mcnemar(1, 9), 6)
    0.021484
    """
    n = second + first
    log_all = math.lgamma(n + 1) - n * math.log(2)
    tail = sum(math.exp(log_all - math.lgamma(k + 1) - math.lgamma(n - k + 1)) for k in range(min(second, first) + 1))
    return min(1.0, 2 * tail)


def sign_flip_test(gains: NDArray[np.int64], groups: Groups) -> float:
    """The two-sided exact p-value of McNemar's test for groups (n,), from +1, 0 or -1 for each image.

    Under the null hypothesis the models of any group may be exchanged, so that the sum of its gains has either sign with equal
    probability (a sign-flip test; Fisher 1935). With groups of one image it is McNemar's test.

    >>> round(sign_flip_test(np.array([1] * 9 + [-1]), np.arange(10)), 6)
    0.021484
    """
    sums = np.bincount(np.unique(groups, return_inverse=True)[1], gains).astype(np.int64)
    if np.count_nonzero(sums) > MAX_EXACT_GROUPS:
        return math.erfc(abs(int(sums.sum())) / math.sqrt(2 * float(np.sum(sums.astype(np.float64) ** 2))))
    distribution = _sign_flips(np.abs(sums[sums != 0]).tolist())
    offsets = np.abs(np.arange(len(distribution)) - len(distribution) // 2)
    return float(min(1.0, distribution[offsets >= abs(int(sums.sum()))].sum()))


def _sign_flips(sizes: Iterable[int]) -> NDArray[np.float64]:
    """The probability of each sum from -S to S of numbers of these sizes with random signs; S is the sum of the sizes."""
    distribution = np.ones(1)
    for size in sizes:
        longer = np.zeros(len(distribution) + 2 * size)
        longer[: len(distribution)] += distribution / 2
        longer[2 * size :] += distribution / 2
        distribution = longer
    return distribution
