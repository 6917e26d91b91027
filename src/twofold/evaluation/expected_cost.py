"""The expected cost of a rule's decisions, where its policy has costs."""

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from twofold.core.arrays import Labels, Reals
from twofold.decision.costs import Costs
from twofold.decision.prevalence import ClassWeights
from twofold.decision.rule import NEGATIVE, POSITIVE
from twofold.evaluation.groups import Groups, centred, design_effect
from twofold.evaluation.intervals import Interval

PER: Final = 1000
"""Costs are those of so many images."""

_DRAWS: Final = 4000


@dataclass(frozen=True, slots=True)
class ExpectedCost:
    """The cost per 1,000 images with its 95% interval, and the cost of one answer for all by its class."""

    per_1000: Interval
    always: dict[str, float] = field(repr=False)

    def as_json(self) -> dict[str, Any]:
        """{"per_1000", "always"}."""
        return {"per_1000": self.per_1000.as_json(), "always": self.always}


@dataclass(frozen=True, slots=True, eq=False)
class DecidedImages:
    """Labels (n,) and decisions (n,) of images in groups (n,), weighted to a prevalence; `factor` is on the variance of means."""

    labels: Labels = field(repr=False)
    decisions: NDArray[np.int8] = field(repr=False)
    groups: Groups | None = field(repr=False)
    weights: ClassWeights = ClassWeights()  # noqa: RUF009  # a frozen value
    factor: float = 1.0

    def expected_cost(self, costs: Costs, classes: tuple[str, str], seed: int) -> ExpectedCost:
        """The cost per 1,000 images of the decisions, and that of one answer for all; `classes` are (negative, positive)."""
        answers = {classes[0]: NEGATIVE, classes[1]: POSITIVE}
        always = {
            name: self._mean(costs.of(self.labels, np.full_like(self.decisions, answer)))
            for name, answer in answers.items()
        }
        return ExpectedCost(self.cost(costs, seed), always)

    def cost(self, costs: Costs, seed: int) -> Interval:
        """The mean cost per 1,000 images with the middle 95% of simulated ones.

        The fractions of each class that are right, wrong and undecided are drawn from their Dirichlet posterior with the prior
        1/2 each (Jeffreys), as the rates of `simulated_interval` are: a bootstrap has no cost above 0 where nothing went wrong.
        """
        of_images = costs.of(self.labels, self.decisions)
        residuals = centred(self.weights.of(self.labels) * of_images, self.labels)
        effect = self.factor * design_effect(residuals, self.groups)
        rng, total = np.random.default_rng(seed), np.zeros(_DRAWS)
        for label, weight, cost_wrong in (
            (POSITIVE, self.weights.positive, costs.fn),
            (NEGATIVE, self.weights.negative, costs.fp),
        ):
            decisions = self.decisions[self.labels == label]
            undecided = [int(np.sum(decisions < 0))] if costs.unsure is not None else []
            right = int(np.sum(decisions == label))
            counts = np.array([right, len(decisions) - right - sum(undecided), *undecided])
            prices = np.array([0.0, cost_wrong, costs.unsure or 0.0][: len(counts)])
            total += weight * len(decisions) * rng.dirichlet(counts / effect + 0.5, _DRAWS) @ prices
        value, (low, high) = self._mean(of_images), PER * np.quantile(total / len(self.labels), [0.025, 0.975])
        return Interval(value, min(value, float(low)), max(value, float(high)))

    def _mean(self, costs: Reals) -> float:
        return PER * float(np.mean(self.weights.of(self.labels) * costs))
