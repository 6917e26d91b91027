"""What a rule does to images of an assumed prevalence: its decisions per 1,000, coverage, errors and costs."""

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from twofold.core.arrays import Labels, Probabilities, Reals
from twofold.decision.costs import Costs
from twofold.decision.prevalence import ClassWeights
from twofold.decision.rule import NEGATIVE, POSITIVE, Rule
from twofold.evaluation.expected_cost import DecidedImages
from twofold.evaluation.groups import Groups, centred, design_effect, has_groups
from twofold.evaluation.intervals import UNDEFINED, Interval, wilson

RATES: Final = ("missed", "false_alarms", "precision", "npv")
"""The fraction of the positives that are called negative, that of the negatives that are called positive, and the fractions of
positive and of negative decisions that are right. Images without a decision are neither missed nor false alarms."""


@dataclass(frozen=True, slots=True, eq=False)
class RuleSummary:
    """A rule on labelled images, weighted to the assumed prevalence.

    `per_1000` (2, 3) has the images of each class, negative first, that are called negative, have no decision, and are called
    positive. `coverage` is the fraction that is decided, `error` the fraction of these that is wrong. `rates` are those of
    `RATES`. `cost` is the expected cost of 1,000 images, where costs are known.
    """

    rule: Rule
    per_1000: NDArray[np.float64] = field(repr=False)
    coverage: Interval
    error: Interval
    rates: dict[str, Interval] = field(repr=False)
    cost: Interval | None

    def as_json(self) -> dict[str, Any]:
        """{"rule", "per_1000", "coverage", "error", "missed", "false_alarms", "precision", "npv", "cost"}."""
        rates = {"coverage": self.coverage, "error": self.error, **self.rates}
        cells = zip(("negative", "positive"), self.per_1000.tolist(), strict=True)
        return {
            "rule": self.rule.as_json(),
            "per_1000": {
                name: dict(zip(("negative", "undecided", "positive"), row, strict=True)) for name, row in cells
            },
            **{name: rate.as_json() for name, rate in rates.items()},
            "cost": None if self.cost is None else self.cost.as_json(),
        }


@dataclass(frozen=True, slots=True, eq=False)
class RuleSample:
    """Labelled images (n,) in groups (n,), whose probabilities hold at the prevalence that rules assume.

    `prevalence` is None for that of the labels. `factor` is on the variance of rates: that of a cross-validation.
    """

    labels: Labels = field(repr=False)
    probabilities: Probabilities = field(repr=False)
    groups: Groups | None = field(repr=False, default=None)
    prevalence: float | None = None
    factor: float = 1.0
    familiarity: Reals | None = field(repr=False, default=None)

    def summary(self, rule: Rule, costs: Costs | None = None) -> RuleSummary:
        """The rule's summary on these images."""
        decisions, positive = rule.decide(self.probabilities, self.familiarity), self.labels == 1
        called_negative, called_positive = decisions == NEGATIVE, decisions == POSITIVE
        decided, wrong = called_negative | called_positive, np.where(positive, called_negative, called_positive)
        right = decided & ~wrong
        everywhere = np.ones(len(positive), np.bool_)
        return RuleSummary(
            rule,
            self._per_1000(called_negative, called_positive),
            self._rate(decided, everywhere),
            self._rate(wrong, decided),
            {
                "missed": self._rate(wrong, positive),
                "false_alarms": self._rate(wrong, ~positive),
                "precision": self._rate(right, called_positive),
                "npv": self._rate(right, called_negative),
            },
            None if costs is None else self._cost(rule, costs),
        )

    @property
    def _weights(self) -> Reals:
        return ClassWeights.for_prevalence(self.labels, self.prevalence).of(self.labels)

    @property
    def _clusters(self) -> Groups | None:
        return self.groups if has_groups(self.groups) else None

    def _per_1000(self, called_negative: NDArray[np.bool_], called_positive: NDArray[np.bool_]) -> NDArray[np.float64]:
        undecided = ~(called_negative | called_positive)
        weights = 1000 / len(self.labels) * self._weights
        return np.array(
            [
                [
                    float(weights[(self.labels == label) & cell].sum())
                    for cell in (called_negative, undecided, called_positive)
                ]
                for label in (0, 1)
            ]
        )

    def _cost(self, rule: Rule, costs: Costs) -> Interval:
        decisions = costs.decide(rule, self.probabilities, self.familiarity)
        weights = ClassWeights.for_prevalence(self.labels, self.prevalence)
        return DecidedImages(self.labels, decisions, self._clusters, weights, self.factor).cost(costs, seed=0)

    def _rate(self, successes: NDArray[np.bool_], among: NDArray[np.bool_]) -> Interval:
        """The weighted fraction of successes among some images, with Wilson's interval."""
        weights = np.where(among, self._weights, 0.0)
        total, count = float(weights.sum()), int(among.sum())
        if total == 0:
            return UNDEFINED
        value = float(weights[successes].sum()) / total
        residuals = weights * (successes - value)
        if self.prevalence is not None:  # then the number of images of each class is fixed
            residuals = centred(residuals, self.labels)
        independent = value * (1 - value) * total**2 / count
        spread = (
            float(np.sum(residuals**2)) / independent
            if independent > 0
            else count * float(np.sum(weights**2)) / total**2
        )
        return wilson(value * count, count, self.factor * spread * design_effect(residuals, self._clusters))
