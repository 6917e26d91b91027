"""The rule that costs least, for what errors and unsure images cost.

Chow 1970, "On optimum recognition error and reject tradeoff".
"""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from twofold.core.arrays import Labels, Probabilities
from twofold.decision.confusion import ConfusionMatrix
from twofold.decision.policies import weighted_best
from twofold.decision.prevalence import ClassWeights
from twofold.decision.rule import NEVER, POSITIVE, PolicyRecord, Rule


@dataclass(frozen=True, slots=True)
class Costs:
    """What a false positive, a false negative and an unsure image cost; None where every image is to be decided."""

    fp: float
    fn: float
    unsure: float | None = None

    @classmethod
    def of_rule(cls, rule: Rule) -> Self | None:
        """The costs that a rule was chosen for; None for a rule of another policy."""
        parameters = rule.policy.parameters
        if rule.policy.name != "cost":
            return None
        return cls(parameters["fp"], parameters["fn"], parameters["unsure"])

    @property
    def threshold(self) -> float:
        """The probability from which on a positive decision costs less, where probabilities are right."""
        return self.fp / (self.fp + self.fn)

    @property
    def band(self) -> tuple[float, float]:
        """The probabilities between which being unsure costs less than a decision; the threshold, twice, if it never does."""
        if self.unsure is None:
            return self.threshold, self.threshold
        low, high = self.unsure / self.fn, 1 - self.unsure / self.fp
        return (low, high) if low < high else (self.threshold, self.threshold)

    def score(self, confusion: ConfusionMatrix) -> NDArray[np.float64]:
        """Minus the cost per image of decisions without unsure images."""
        images = confusion.tn + confusion.fp + confusion.fn + confusion.tp
        return np.asarray(-(self.fp * confusion.fp + self.fn * confusion.fn) / images, np.float64)

    def decide(
        self, rule: Rule, probabilities: Probabilities, familiarity: NDArray[np.float64] | None = None
    ) -> NDArray[np.int8]:
        """The decisions (n,) that have a cost. Where none is known for undecided images, unfamiliar ones count as answered."""
        return rule.decide(probabilities, None if self.unsure is None else familiarity)

    def of(self, labels: Labels, decisions: NDArray[np.int8]) -> NDArray[np.float64]:
        """The cost of each image, (n,), with this decision, (n,)."""
        wrong = np.where(decisions == POSITIVE, self.fp, self.fn)
        costs = np.where(decisions == labels, 0.0, wrong)
        return np.where(decisions < 0, self.unsure or 0.0, costs)

    def as_json(self) -> dict[str, float | None]:
        """{"fp", "fn", "unsure"}."""
        return {"fp": self.fp, "fn": self.fn, "unsure": self.unsure}


def cost_rule(
    labels: Labels, probabilities: Probabilities, costs: Costs, *, prevalence: float | None = None, seed: int = 0
) -> Rule:
    """The rule that costs least: of theory, unless the best threshold on these scores is better by more than noise.

    `prevalence` is the one at which the probabilities hold, None for that of the labels. With a cost of unsure images the ends of
    the band are those of theory. The evidence has the mean cost per 1,000 images of this
    rule, of the threshold 0.5, and of one answer for all.
    """
    low, high = costs.band
    basis = "theory"
    if low == high:
        best = weighted_best(labels, probabilities, costs.score, low, prevalence, seed)
        if best is not None:
            low, high, basis = best, best, "scores"
    rule = Rule(low, high)
    others = {"always positive": Rule.at(0.0), "always negative": Rule.at(NEVER), "threshold 0.5": Rule.at(0.5)}
    weights = ClassWeights.for_prevalence(labels, prevalence).of(labels)
    per_1000 = {
        name: 1000 * float(np.mean(weights * costs.of(labels, other.decide(probabilities))))
        for name, other in {"this rule": rule, **others}.items()
    }
    evidence: dict[str, Any] = {"images": len(labels), "basis": basis, "cost_per_1000": per_1000}
    return Rule(low, high, prevalence=prevalence, policy=PolicyRecord("cost", costs.as_json(), evidence))
