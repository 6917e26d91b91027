"""Thresholds: from which probability on the answer is the positive class, and what each choice would give."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from twofold.core.errors import UsageError
from twofold.core.hints import nearest
from twofold.decision.counts import Counts, accuracy, balanced_accuracy, count, f1, precision, recall
from twofold.decision.sweep import Labels, Probabilities, Score, best_threshold, chance_of_gain, sweep

Basis = Literal["given", "theory", "scores"]


@dataclass(frozen=True, slots=True)
class Policy:
    """What a threshold is chosen for, and where it lies when the probabilities are true."""

    score: Score
    theory: Callable[[Labels, Probabilities], float]


def _half(labels: Labels, probabilities: Probabilities) -> float:
    return 0.5


def _share_of_positives(labels: Labels, probabilities: Probabilities) -> float:
    return float(np.mean(labels == 1))


def _half_of_best_f1(labels: Labels, probabilities: Probabilities) -> float:
    """Lipton, Elkan and Narayanaswamy 2014, "Optimal thresholding of classifiers to maximize F1 measure"."""
    return float(np.nanmax(f1(sweep(labels, probabilities).counts))) / 2


POLICIES: dict[str, Policy] = {
    "accuracy": Policy(accuracy, _half),
    "balanced": Policy(balanced_accuracy, _share_of_positives),
    "f1": Policy(f1, _half_of_best_f1),
}
"""Every policy by its name; a new one is a line here and its name in `options.Optimize`."""

GIVES: dict[str, Callable[[Counts], NDArray[np.float64]]] = {
    "accuracy": accuracy,
    "balanced_accuracy": balanced_accuracy,
    "f1": f1,
    "precision": precision,
    "recall": recall,
}
"""What is told of each threshold."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A threshold, what it rests on, and what it gives on the out-of-fold scores (NaN: nobody to count among)."""

    value: float
    basis: Basis
    gives: dict[str, float]

    def as_json(self) -> dict[str, Any]:
        gives = {name: None if np.isnan(rate) else rate for name, rate in self.gives.items()}
        return asdict(self) | {"gives": gives}

    @classmethod
    def from_json(cls, plain: dict[str, Any]) -> "Choice":
        gives = {name: float("nan") if rate is None else float(rate) for name, rate in plain["gives"].items()}
        return cls(float(plain["value"]), plain["basis"], gives)


@dataclass(frozen=True, slots=True)
class Threshold:
    """The threshold in use, the policy that chose it ("fixed": it was given), and what each policy would choose."""

    value: float
    policy: str
    alternatives: dict[str, Choice] = field(repr=False)

    def as_json(self) -> dict[str, Any]:
        """{"value", "policy", "alternatives": {POLICY: {"value", "basis", "gives": {...}}}}, null where undefined."""
        choices = {name: choice.as_json() for name, choice in self.alternatives.items()}
        return {"value": self.value, "policy": self.policy, "alternatives": choices}

    @classmethod
    def from_json(cls, plain: dict[str, Any]) -> "Threshold":
        """The record that `as_json` wrote; raises KeyError, TypeError or ValueError for anything else."""
        choices = {name: Choice.from_json(choice) for name, choice in plain["alternatives"].items()}
        return cls(float(plain["value"]), str(plain["policy"]), choices)


def choose_threshold(
    labels: Labels,
    probabilities: Probabilities,
    *,
    policy: str = "accuracy",
    fixed: float | None = None,
    seed: int = 0,
) -> Threshold:
    """The threshold that a policy chooses on out-of-fold probabilities, or the fixed one, beside all alternatives.

    For true probabilities theory knows the best threshold: 0.5 for accuracy, the share of positives for balanced
    accuracy, half of the best F1 for F1. A policy starts there, and leaves it for the best threshold on these scores
    only when fewer than 1 in 20 sets of pictures with these very probabilities would gain as much by chance: on few
    pictures the best threshold is mostly luck. Raises UsageError for an unknown policy.
    """
    if policy not in POLICIES:
        raise UsageError(
            f"There is no policy {policy!r}{nearest(policy, POLICIES)}: choose from {', '.join(POLICIES)}."
        )
    choices = {name: _choose(labels, probabilities, POLICIES[name], seed) for name in POLICIES}
    if fixed is None:
        return Threshold(choices[policy].value, policy, choices)
    choices["fixed"] = _choice(labels, probabilities, fixed, "given")
    return Threshold(fixed, "fixed", choices)


def _choose(labels: Labels, probabilities: Probabilities, policy: Policy, seed: int) -> Choice:
    theory = policy.theory(labels, probabilities)
    best = best_threshold(labels, probabilities, policy.score, theory)
    if best != theory and chance_of_gain(labels, probabilities, probabilities, policy.score, theory, seed) < 0.05:
        return _choice(labels, probabilities, best, "scores")
    return _choice(labels, probabilities, theory, "theory")


def _choice(labels: Labels, probabilities: Probabilities, value: float, basis: Basis) -> Choice:
    cells = count(labels, probabilities, value)
    return Choice(value, basis, {name: float(rate(cells)) for name, rate in GIVES.items()})
