"""Comparison of two models on the same images: paired differences with intervals."""

import math
from dataclasses import dataclass
from typing import Any

from twofold.core.arrays import Labels, Probabilities
from twofold.decision.rule import Rule
from twofold.evaluation.intervals import UNDEFINED, Interval, Z, delong_error, standard_error
from twofold.evaluation.metrics import log_losses, placements, roc_auc


@dataclass(frozen=True, slots=True)
class Comparison:
    """The second model minus the first, on the same images."""

    images: int
    differences: dict[str, Interval]  # accuracy, log_loss, roc_auc: second - first
    only_second_correct: int  # images
    only_first_correct: int
    p_value: float  # of McNemar's exact test of equal accuracy

    def as_json(self) -> dict[str, Any]:
        """The fields, with {"value", "low", "high"} for each difference."""
        return {
            "images": self.images,
            "differences": {name: interval.as_json() for name, interval in self.differences.items()},
            "only_second_correct": self.only_second_correct,
            "only_first_correct": self.only_first_correct,
            "p_value": self.p_value,
        }


def compare(labels: Labels, first: tuple[Probabilities, Rule], second: tuple[Probabilities, Rule]) -> Comparison:
    """The second model minus the first, each as (probabilities, rule), on the images of these labels."""
    (p, rule_1), (q, rule_2) = first, second
    before, after = rule_1.decide(p) == labels, rule_2.decide(q) == labels
    only_second_correct, only_first_correct = int((after & ~before).sum()), int((before & ~after).sum())
    has_both_classes = 0 < int(labels.sum()) < len(labels)
    return Comparison(
        images=len(labels),
        differences={
            "accuracy": difference_of_accuracies(only_second_correct, only_first_correct, len(labels)),
            "log_loss": difference_of_losses(labels, p, q) if has_both_classes else UNDEFINED,
            "roc_auc": difference_of_areas(labels, p, q) if has_both_classes else UNDEFINED,
        },
        only_second_correct=only_second_correct,
        only_first_correct=only_first_correct,
        p_value=mcnemar(only_second_correct, only_first_correct),
    )


def difference_of_accuracies(second: int, first: int, n: int) -> Interval:
    """The difference (second - first) / n, from the counts of images that only one model gets right.

    The interval is the adjusted Wald interval of Bonett and Price 2012, which holds for small counts.
    """
    p, q = (second + 1) / (n + 2), (first + 1) / (n + 2)
    half = Z * math.sqrt((p + q - (p - q) ** 2) / (n + 2))
    return Interval((second - first) / n, max(-1.0, p - q - half), min(1.0, p - q + half))


def difference_of_losses(labels: Labels, first: Probabilities, second: Probabilities) -> Interval:
    """Second minus first log-loss, with the normal interval of the paired differences."""
    differences = log_losses(labels, second) - log_losses(labels, first)
    value, half = float(differences.mean()), Z * standard_error(differences, labels)
    return Interval(value, value - half, value + half)


def difference_of_areas(labels: Labels, first: Probabilities, second: Probabilities) -> Interval:
    """Second minus first area under the ROC curve, with DeLong's paired interval (1988, equation 5).

    Undefined when a class has no images; with one image of a class the interval alone is undefined.
    """
    (above_1, below_1), (above_2, below_2) = placements(labels, first), placements(labels, second)
    value = roc_auc(labels, second) - roc_auc(labels, first)
    half = Z * delong_error(above_2 - above_1, below_2 - below_1)
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
