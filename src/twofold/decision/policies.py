"""Policies: each chooses a threshold on scores, with its rates on them."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from twofold.core.arrays import Labels, Probabilities
from twofold.core.errors import UsageError
from twofold.core.hints import nearest
from twofold.decision.confusion import ConfusionMatrix, accuracy, balanced_accuracy, confusion_at, f1, precision, recall
from twofold.decision.rule import PolicyRecord, Rule
from twofold.decision.sweep import Score, best_threshold, gain_p_value, sweep

Basis = Literal["given", "theory", "scores"]


@dataclass(frozen=True, slots=True)
class Policy:
    """The score that a policy maximises, and the best threshold for calibrated probabilities."""

    score: Score
    theory: Callable[[Labels, Probabilities], float]


def _half(labels: Labels, probabilities: Probabilities) -> float:
    return 0.5


def _prevalence(labels: Labels, probabilities: Probabilities) -> float:
    return float(np.mean(labels == 1))


def _half_of_best_f1(labels: Labels, probabilities: Probabilities) -> float:
    """Lipton, Elkan and Narayanaswamy 2014, "Optimal thresholding of classifiers to maximize F1 measure"."""
    return float(np.nanmax(f1(sweep(labels, probabilities).confusion))) / 2


POLICIES: dict[str, Policy] = {
    "accuracy": Policy(accuracy, _half),
    "balanced": Policy(balanced_accuracy, _prevalence),
    "f1": Policy(f1, _half_of_best_f1),
}
"""All policies by name. A new policy is an entry here and a name in `options.Optimize`."""

RATES: dict[str, Callable[[ConfusionMatrix], NDArray[np.float64]]] = {
    "accuracy": accuracy,
    "balanced_accuracy": balanced_accuracy,
    "f1": f1,
    "precision": precision,
    "recall": recall,
}
"""The rates of each candidate."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A threshold, its basis, and its rates on the out-of-fold scores, NaN where undefined."""

    value: float
    basis: Basis
    rates: dict[str, float]

    def as_json(self) -> dict[str, Any]:
        """{"value", "basis", "rates"}, null where undefined."""
        rates = {name: None if np.isnan(rate) else rate for name, rate in self.rates.items()}
        return asdict(self) | {"rates": rates}


def choose_rule(
    labels: Labels,
    probabilities: Probabilities,
    *,
    policy: str = "accuracy",
    fixed: float | None = None,
    seed: int = 0,
) -> Rule:
    """The rule that a policy chooses on out-of-fold probabilities, or the one with the `fixed` threshold.

    For calibrated probabilities theory gives the best threshold: 0.5 for accuracy, the prevalence for balanced accuracy, half of
    the best F1 for F1. The best threshold on these scores replaces it only where its gain is significant (p < 0.05): on few
    images the best threshold is mostly noise.

    The candidates of all policies are part of the evidence. Raises UsageError for an unknown policy.
    """
    if policy not in POLICIES:
        raise UsageError(
            f"There is no policy {policy!r}{nearest(policy, POLICIES)}: choose from {', '.join(POLICIES)}."
        )
    candidates = {name: _choose(labels, probabilities, POLICIES[name], seed) for name in POLICIES}
    name, parameters = policy, dict[str, Any](optimize=policy)
    if fixed is not None:
        name, parameters = "fixed", {"threshold": fixed}
        candidates[name] = _candidate(labels, probabilities, fixed, "given")
    evidence = {
        "images": len(labels),
        "basis": candidates[name].basis,
        "candidates": {name: candidate.as_json() for name, candidate in candidates.items()},
    }
    return Rule.at(candidates[name].value, PolicyRecord(name, parameters, evidence))


def _choose(labels: Labels, probabilities: Probabilities, policy: Policy, seed: int) -> Candidate:
    theory = policy.theory(labels, probabilities)
    best = best_threshold(labels, probabilities, policy.score, theory)
    if best != theory and gain_p_value(labels, probabilities, probabilities, policy.score, theory, seed) < 0.05:
        return _candidate(labels, probabilities, best, "scores")
    return _candidate(labels, probabilities, theory, "theory")


def _candidate(labels: Labels, probabilities: Probabilities, value: float, basis: Basis) -> Candidate:
    confusion = confusion_at(labels, probabilities, value)
    return Candidate(value, basis, {name: float(rate(confusion)) for name, rate in RATES.items()})
