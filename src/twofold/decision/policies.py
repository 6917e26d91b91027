"""Policies: each chooses a threshold on scores, with its rates on them."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from twofold.core.arrays import Labels, Probabilities
from twofold.core.errors import UsageError
from twofold.core.hints import nearest
from twofold.decision.confusion import ConfusionMatrix, accuracy, balanced_accuracy, confusion_at, f1, precision, recall
from twofold.decision.prevalence import ClassWeights, change_prevalence
from twofold.decision.rule import PolicyRecord, Rule
from twofold.decision.sweep import Score, best_threshold, gain_p_value, sweep

Basis = Literal["given", "theory", "scores"]


@dataclass(frozen=True, slots=True)
class Policy:
    """The score that a policy maximises, and the best threshold for calibrated probabilities."""

    score: Score
    theory: Callable[[Labels, Probabilities, ClassWeights], float]


def _half(labels: Labels, probabilities: Probabilities, weights: ClassWeights) -> float:
    return 0.5


def _prevalence(labels: Labels, probabilities: Probabilities, weights: ClassWeights) -> float:
    return weights.positive * float(np.mean(labels == 1))


def _half_of_best_f1(labels: Labels, probabilities: Probabilities, weights: ClassWeights) -> float:
    """Lipton, Elkan and Narayanaswamy 2014, "Optimal thresholding of classifiers to maximize F1 measure"."""
    return float(np.nanmax(f1(weights.confusion(sweep(labels, probabilities).confusion)))) / 2


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
    prevalence: float | None = None,
    seed: int = 0,
) -> Rule:
    """The rule that a policy chooses on out-of-fold probabilities, or the one with the `fixed` threshold.

    `prevalence` is the one at which the probabilities hold, None for that of the labels.

    For calibrated probabilities theory gives the best threshold: 0.5 for accuracy, the prevalence for balanced accuracy, half of
    the best F1 for F1. The best threshold on these scores replaces it only where its gain is significant (p < 0.05): on few
    images the best threshold is mostly noise.

    The candidates of all policies are part of the evidence. Raises UsageError for an unknown policy.
    """
    if policy not in POLICIES:
        raise UsageError(
            f"There is no policy {policy!r}{nearest(policy, POLICIES)}: choose from {', '.join(POLICIES)}."
        )
    scores = _Scores(labels, probabilities, ClassWeights.for_prevalence(labels, prevalence), prevalence, seed)
    candidates = {name: scores.choose(POLICIES[name]) for name in POLICIES}
    name, parameters = policy, dict[str, Any](optimize=policy)
    if fixed is not None:
        name, parameters = "fixed", {"threshold": fixed}
        candidates[name] = scores.candidate(fixed, "given")
    evidence = {
        "images": len(labels),
        "basis": candidates[name].basis,
        "candidates": {name: candidate.as_json() for name, candidate in candidates.items()},
    }
    return replace(Rule.at(candidates[name].value, PolicyRecord(name, parameters, evidence)), prevalence=prevalence)


@dataclass(frozen=True, slots=True, eq=False)
class _Scores:
    """Labelled scores, weighted so that they have the assumed prevalence."""

    labels: Labels
    probabilities: Probabilities
    weights: ClassWeights
    prevalence: float | None
    seed: int

    def choose(self, policy: Policy) -> Candidate:
        theory = policy.theory(self.labels, self.probabilities, self.weights)
        best = weighted_best(self.labels, self.probabilities, policy.score, theory, self.prevalence, self.seed)
        return self.candidate(theory, "theory") if best is None else self.candidate(best, "scores")

    def candidate(self, value: float, basis: Basis) -> Candidate:
        confusion = self.weights.confusion(confusion_at(self.labels, self.probabilities, value))
        return Candidate(value, basis, {name: float(rate(confusion)) for name, rate in RATES.items()})


def weighted_best(
    labels: Labels,
    probabilities: Probabilities,
    score: Score,
    theory: float,
    prevalence: float | None = None,
    seed: int = 0,
) -> float | None:
    """The threshold with the highest score at this prevalence, where it is better than that of theory by more than noise."""
    weights = ClassWeights.for_prevalence(labels, prevalence)

    def weighted(confusion: ConfusionMatrix) -> NDArray[np.float64]:
        return score(weights.confusion(confusion))

    best = best_threshold(labels, probabilities, weighted, theory)
    if best == theory:
        return None
    fraction = float(np.mean(labels == 1))
    truth = probabilities if prevalence is None else change_prevalence(probabilities, prevalence, fraction)
    return best if gain_p_value(labels, probabilities, truth, weighted, theory, seed) < 0.05 else None
