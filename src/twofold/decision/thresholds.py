"""Thresholds: from which probability on the answer is the positive class, and what each choice would give."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from twofold.decision.counts import Counts, accuracy, balanced_accuracy, count, f1, precision, recall
from twofold.errors import UsageError

Labels = NDArray[np.int8]
Probabilities = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Policy:
    """What a threshold is chosen for, and where it lies when the probabilities are true."""

    score: Callable[[Counts], NDArray[np.float64]]
    theory: Callable[[Labels, Probabilities], float]


def _half(labels: Labels, probabilities: Probabilities) -> float:
    return 0.5


def _share_of_positives(labels: Labels, probabilities: Probabilities) -> float:
    return float(np.mean(labels == 1))


def _half_of_best_f1(labels: Labels, probabilities: Probabilities) -> float:
    """Lipton, Elkan, Naryanaswamy 2014, "Optimal thresholding of classifiers to maximize F1 measure", theorem 1."""
    return float(np.nanmax(f1(sweep(labels, probabilities).counts))) / 2


POLICIES: dict[str, Policy] = {
    "accuracy": Policy(accuracy, _half),
    "balanced": Policy(balanced_accuracy, _share_of_positives),
    "f1": Policy(f1, _half_of_best_f1),
}
"""Every policy by its name. A new one is one line here and one name in `options.Optimize`."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A threshold, why it is this one, and what it gives on the out-of-fold scores (NaN: nobody to count among)."""

    value: float
    basis: Literal["given", "theory", "scores"]
    accuracy: float
    balanced_accuracy: float
    f1: float
    precision: float
    recall: float


@dataclass(frozen=True, slots=True)
class Threshold:
    """The threshold in use, the policy that chose it ("fixed" when it was given), and what each policy would choose."""

    value: float
    policy: str
    alternatives: dict[str, Choice]

    def as_json(self) -> dict[str, Any]:
        """{"value", "policy", "alternatives": {POLICY: {...}}}, with null for what is undefined."""
        plain = asdict(self)
        for choice in plain["alternatives"].values():
            choice.update({name: None for name, value in choice.items() if value != value})
        return plain

    @classmethod
    def from_json(cls, plain: dict[str, Any]) -> "Threshold":
        """The record that `as_json` wrote."""
        choices = {
            name: Choice(**{key: float("nan") if value is None else value for key, value in choice.items()})
            for name, choice in plain["alternatives"].items()
        }
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

    For true probabilities theory knows the best threshold: 0.5 for accuracy, the share of positives for balanced accuracy,
    half of the best F1 for F1. A policy starts there, and moves to the best threshold on these scores only when that gains
    more than noise would (`surprising_gain`): on few pictures the best threshold is mostly luck. Raises UsageError for an
    unknown policy.
    """
    if fixed is None and policy not in POLICIES:
        near = get_close_matches(policy, POLICIES, n=1)
        hint = f"; did you mean {near[0]}?" if near else "."
        raise UsageError(f"There is no threshold policy {policy!r}: choose from {', '.join(POLICIES)}{hint}")
    choices = {name: _choose(labels, probabilities, POLICIES[name], seed) for name in POLICIES}
    if fixed is not None:
        choices["fixed"] = _choice(labels, probabilities, fixed, "given")
        return Threshold(fixed, "fixed", choices)
    return Threshold(choices[policy].value, policy, choices)


def _choose(labels: Labels, probabilities: Probabilities, policy: Policy, seed: int) -> Choice:
    theory = policy.theory(labels, probabilities)
    best = best_threshold(labels, probabilities, policy.score, theory)
    if best == theory or surprising_gain(labels, probabilities, probabilities, policy.score, theory, seed) >= 0.05:
        return _choice(labels, probabilities, theory, "theory")
    return _choice(labels, probabilities, best, "scores")


def _choice(
    labels: Labels, probabilities: Probabilities, value: float, basis: Literal["given", "theory", "scores"]
) -> Choice:
    cells = count(labels, probabilities, value)
    gives = (float(rate(cells)) for rate in (accuracy, balanced_accuracy, f1, precision, recall))
    return Choice(value, basis, *gives)


@dataclass(frozen=True, slots=True)
class Sweep:
    """Every threshold that tells these pictures apart, ascending, and what it gives."""

    values: NDArray[np.float64]  # (k,)
    counts: Counts  # of shape (k,)
    below: NDArray[np.int64]  # (k,) pictures with a smaller probability


def sweep(labels: Labels, probabilities: Probabilities) -> Sweep:
    """The thresholds midway between consecutive distinct probabilities (and 0 and 1 as outer neighbours), with their counts."""
    order = np.argsort(probabilities, kind="stable")
    values, below = _thresholds(probabilities[order])
    return Sweep(values, _counts(labels[order] == 1, below), below)


def _thresholds(ascending: Probabilities) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    low = np.concatenate([[0.0], ascending])
    high = np.concatenate([ascending, [1.0]])
    below = np.flatnonzero(low < high)
    low, high = low[below], high[below]
    middle = (low + high) / 2
    return np.where(middle > low, middle, high), below


def _counts(ascending: NDArray[np.bool_], below: NDArray[np.int64]) -> Counts:
    """Labels in the order of their probabilities, (..., n) -> counts (..., k)."""
    n = ascending.shape[-1]
    missed = np.zeros((*ascending.shape[:-1], n + 1), np.int64)
    np.cumsum(ascending, axis=-1, out=missed[..., 1:])
    positives = missed[..., -1:]
    fn = missed[..., below]
    tn = below - fn
    return Counts(tn=tn, fp=(n - positives) - tn, fn=fn, tp=positives - fn)


def best_threshold(
    labels: Labels,
    probabilities: Probabilities,
    score: Callable[[Counts], NDArray[np.float64]],
    reference: float,
) -> float:
    """The threshold of the highest score: the reference itself if none is better, else, among equals, the nearest to it."""
    swept = sweep(labels, probabilities)
    scores = np.nan_to_num(score(swept.counts), nan=-np.inf)
    at_reference = np.nan_to_num(score(count(labels, probabilities, reference)), nan=-np.inf)
    if not len(scores) or scores.max() <= at_reference:
        return reference
    best = swept.values[scores == scores.max()]
    return float(best[np.argmin(np.abs(best - reference))])


def surprising_gain(
    labels: Labels,
    probabilities: Probabilities,
    truth: Probabilities,
    score: Callable[[Counts], NDArray[np.float64]],
    reference: float,
    seed: int,
    *,
    samples: int = 399,
) -> float:
    """The chance of a gain over the reference as large as this data's best, were `truth` the chance of each label.

    A test by simulation (a Monte Carlo p-value, Davison and Hinkley 1997, section 4.2) that includes the search for the best
    threshold: labels are drawn from `truth`, and the best threshold is searched anew for each draw.
    """
    order = np.argsort(probabilities, kind="stable")
    _, below = _thresholds(probabilities[order])
    place = np.searchsorted(below, np.searchsorted(probabilities[order], reference, "left"))
    place = min(int(place), len(below) - 1)
    seen = _gain(labels[order] == 1, below, place, score)
    rng = np.random.default_rng(seed)
    rows = max(1, 1_000_000 // len(labels))
    reached = 0
    for start in range(0, samples, rows):
        drawn = rng.random((min(rows, samples - start), len(labels))) < truth[order]
        reached += int(np.sum(_gain(drawn, below, place, score) >= seen - 1e-12))
    return (reached + 1) / (samples + 1)


def _gain(
    ascending: NDArray[np.bool_],
    below: NDArray[np.int64],
    place: int,
    score: Callable[[Counts], NDArray[np.float64]],
) -> NDArray[np.float64]:
    scores = score(_counts(ascending, below))
    return np.asarray(np.max(np.nan_to_num(scores, nan=0.0), axis=-1) - np.nan_to_num(scores[..., place], nan=0.0))
