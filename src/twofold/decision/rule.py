"""The rule: from calibrated probabilities to decisions, and the record of how it was chosen."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from twofold.decision.prevalence import change_prevalence

NEGATIVE, POSITIVE, UNSURE, UNFAMILIAR = 0, 1, -1, -2
"""Decisions. The first two are indices of `classes`, (negative, positive)."""

NEVER: Final = float(np.nextafter(1.0, 2.0))
"""A threshold that no probability reaches."""


@dataclass(frozen=True, slots=True)
class PolicyRecord:
    """How a rule was chosen: the name of the policy, its parameters and the evidence, all as JSON values."""

    name: str = "fixed"
    parameters: Mapping[str, Any] = field(default_factory=dict, repr=False)
    evidence: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def as_json(self) -> dict[str, Any]:
        """{"name", "parameters", "evidence"}."""
        return {"name": self.name, "parameters": dict(self.parameters), "evidence": dict(self.evidence)}


@dataclass(frozen=True, slots=True)
class Rule:
    """The decision for a probability: negative below `low`, positive at or above `high`, unsure between. With low = high the rule
    is one threshold.

    `gate` is None or has the `level` below which the familiarity of an image leaves it undecided, as JSON. `prevalence` is the
    one that the rule assumes, at which its probabilities hold; None for that of the images that the calibration was fitted on.
    Raises ValueError unless 0 <= low <= high <= 1; `NEVER` is allowed as well.
    """

    low: float
    high: float
    gate: Mapping[str, Any] | None = None
    prevalence: float | None = None
    policy: PolicyRecord = field(default=PolicyRecord(), repr=False)
    neutral: float = field(default=0.5, repr=False)  # not 0.5 only where the rule is restated for another prevalence

    def __post_init__(self) -> None:
        if not 0 <= self.low <= self.high <= NEVER:
            raise ValueError(f"A rule needs 0 <= low <= high <= 1, got low {self.low} and high {self.high}.")

    @classmethod
    def at(cls, threshold: float, policy: PolicyRecord = PolicyRecord()) -> Self:  # a frozen value
        """The rule with a single threshold."""
        return cls(threshold, threshold, policy=policy)

    @property
    def threshold(self) -> float:
        """The lowest probability that is answered by the positive class where every image is answered: 0.5, or the end of the
        unsure band that is nearest to it."""
        return min(max(self.neutral, self.low), self.high)

    @property
    def abstains(self) -> bool:
        """Whether there are probabilities without a decision."""
        return self.low < self.high

    def decide(
        self, probabilities: NDArray[np.float64], familiarity: NDArray[np.float64] | None = None
    ) -> NDArray[np.int8]:
        """The decision for each probability, int8 in the same shape: NEGATIVE, POSITIVE, UNSURE, or UNFAMILIAR where there is a
        gate and the familiarity, in the same shape, is below its level. An image of unknown familiarity, NaN, passes the gate."""
        decisions = np.full(np.shape(probabilities), UNSURE, np.int8)
        decisions[np.asarray(probabilities) < self.low] = NEGATIVE
        decisions[np.asarray(probabilities) >= self.high] = POSITIVE
        if self.gate is not None and familiarity is not None:
            decisions[np.asarray(familiarity) < self.gate["level"]] = UNFAMILIAR
        return decisions

    def answer(self, probabilities: NDArray[np.float64]) -> NDArray[np.int8]:
        """NEGATIVE or POSITIVE for each probability, by the threshold alone, int8 in the same shape."""
        return np.asarray(np.asarray(probabilities) >= self.threshold, np.int8)

    def always_answering(self) -> Self:
        """The rule that decides every image by `answer`."""
        return replace(self, low=self.threshold, high=self.threshold, gate=None)

    def swap_classes(self, probabilities: NDArray[np.float64]) -> "tuple[Rule, NDArray[np.float64]]":
        """The rule with the classes swapped, and the probabilities of the other class: every decision and answer stays the same.

        This includes ties: 1 - p is rounded, so each probability is kept on its side of the threshold.
        """
        prevalence = None if self.prevalence is None else 1 - self.prevalence
        low, high = _swap_threshold(self.high), _swap_threshold(self.low)
        swapped = replace(self, low=low, high=high, prevalence=prevalence, neutral=1 - self.neutral)
        other_probabilities = 1 - probabilities
        ends = (self.high, swapped.low), (self.low, swapped.high), (self.threshold, swapped.threshold)
        for threshold, end in ends:
            other_probabilities = _on_sides(probabilities < threshold, other_probabilities, end)
        return swapped, other_probabilities

    def restate(self, probabilities: NDArray[np.float64], prevalence: float) -> "tuple[Rule, NDArray[np.float64]]":
        """The rule for probabilities (n,) that hold at another prevalence than the rule's, and these probabilities.

        Each image gets the decision and the answer that the rule gives for its changed probability, also where numbers are
        rounded.
        """
        if self.prevalence is None:
            return self, probabilities
        ends = np.array([self.low, self.high, self.neutral])
        low, high, neutral = change_prevalence(ends, self.prevalence, prevalence).tolist()
        rule = replace(self, low=low, high=high, neutral=neutral)
        changed = change_prevalence(probabilities, prevalence, self.prevalence)
        for end, restated in ((self.low, low), (self.high, high), (self.threshold, rule.threshold)):
            probabilities = _on_sides(changed >= end, probabilities, restated)
        return rule, probabilities

    @property
    def original(self) -> Self:
        """The rule before it was restated, but for rounding: its thresholds are those that a bundle has."""
        low, high = change_prevalence(np.array([self.low, self.high]), self.neutral, 0.5).tolist()
        return replace(self, low=low, high=high, neutral=0.5)

    def as_json(self) -> dict[str, Any]:
        """The block "rule" of a bundle."""
        gate = None if self.gate is None else dict(self.gate)
        ends = {"low": self.low, "high": self.high, "gate": gate, "prevalence": self.prevalence}
        return {**ends, "policy": self.policy.as_json()}


def _on_sides(above: NDArray[np.bool_], probabilities: NDArray[np.float64], end: float) -> NDArray[np.float64]:
    """The probabilities (n,), at or above the end of a band where `above` (n,) says so, and below it elsewhere."""
    below_end = np.nextafter(end, -np.inf)
    return np.where(above, np.maximum(probabilities, end), np.minimum(probabilities, below_end))


def _swap_threshold(threshold: float) -> float:
    """The threshold that 1 - p reaches where p is below this one."""
    if threshold == 0:
        return NEVER
    return min(max(float(np.nextafter(1 - threshold, np.inf)), 0.0), 1.0)
