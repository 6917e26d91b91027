"""Promises: rules that keep a rate at a confidence, such as "recall at least 0.98, at 95%".

A rate that a threshold orders (recall, specificity and their complements) has an exact bound: the threshold moves until one
more failure would be too many. Precision, negative predictive value and error are not ordered; bands are tested one after
another, from the one where the test is most likely to succeed towards more decisions, until one fails: a fixed sequence, so the
confidence holds for the last that succeeds (Angelopoulos et al. 2021, "Learn then test"; Bauer 1991). Where it starts is
predicted from probabilities alone, so no label is looked at twice.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from twofold.core.arrays import Labels, Probabilities
from twofold.core.errors import DataError, UsageError
from twofold.core.hints import nearest
from twofold.decision.bounds import (
    MAX_SIMULTANEOUS_RATE,
    allowed_failures,
    needed_trials,
    simultaneous_confidence,
    tail,
    upper_bound,
)
from twofold.decision.rule import NEVER, PolicyRecord, Rule
from twofold.decision.units import Bands, Failure, Units, failure_counts, observed, units_of

RATES: Final[dict[str, tuple[str, Failure]]] = {
    "recall": (">=", "missed"),
    "fnr": ("<=", "missed"),
    "specificity": (">=", "false alarms"),
    "fpr": ("<=", "false alarms"),
    "precision": (">=", "precision"),
    "npv": (">=", "npv"),
    "accuracy": (">=", "error"),
    "error": ("<=", "error"),
}
"""The rates that can be promised, the direction of each, and what fails."""

_FORM = re.compile(r"\s*([\w-]+)\s*(>=|<=|>|<|=)\s*(\S+)\s*")
_CANDIDATES: Final = 2_000
_MANY_TIMES: Final = 20  # the images, from which on more of them are no advice


@dataclass(frozen=True, slots=True)
class Promise:
    """A rate and its bound. Unsure images count as no failure: a person decides about them."""

    rate: str
    bound: float

    def __str__(self) -> str:
        return f"{self.rate}{RATES[self.rate][0]}{self.bound:.12g}"

    @property
    def failure(self) -> Failure:
        """What breaks the promise."""
        return RATES[self.rate][1]

    @property
    def is_ordered(self) -> bool:
        """Whether the rate only gets worse as a threshold moves one way."""
        return self.failure in ("missed", "false alarms")

    @property
    def max_failure_rate(self) -> float:
        """The largest fraction that may fail."""
        return self.bound if RATES[self.rate][0] == "<=" else 1 - self.bound

    def with_failure_rate(self, rate: float) -> "Promise":
        """The same promise with another fraction that may fail."""
        return replace(self, bound=rate if RATES[self.rate][0] == "<=" else 1 - rate)


def parse_promise(text: str) -> Promise:
    """The promise of a text such as 'recall>=0.98'. Raises UsageError for any other text, with the legal values."""
    match = _FORM.fullmatch(text)
    if match is None:
        raise UsageError(f"`promise` takes RATE>=NUMBER or RATE<=NUMBER, as in 'recall>=0.98', got {text!r}.")
    rate = match[1].replace("-", "_").lower()
    if rate not in RATES:
        raise UsageError(
            f"`promise`: there is no rate {match[1]!r}{nearest(rate, RATES)}: choose from {', '.join(RATES)}."
        )
    operator = RATES[rate][0]
    if match[2] != operator:
        raise UsageError(f"`promise` {text!r}: {rate} is promised with {operator}, as in '{rate}{operator}{match[3]}'.")
    try:
        bound = float(match[3])
    except ValueError:
        raise UsageError(f"`promise`: {match[3]!r} is not a number; write '{rate}{operator}0.95'.") from None
    if not 1e-6 <= bound <= 1 - 1e-6:
        raise UsageError(f"`promise`: {rate} must lie between 0 and 1, got {match[3]}; 95 percent is written 0.95.")
    return Promise(rate, bound)


def promise_rule(
    labels: Labels,
    probabilities: Probabilities,
    promises: Sequence[Promise],
    *,
    confidence: float = 0.95,
    abstain: bool = False,
    simultaneous: bool = False,
    prevalence: float | None = None,
    groups: NDArray[np.int64] | None = None,
    seed: int = 0,
) -> Rule:
    """The rule that keeps all promises together at this confidence, and decides as many images as it can.

    Where the promises leave a choice the threshold is 0.5, or as near to it as they allow. Each of m promises is kept at
    1 - (1 - C) / m (Bonferroni). With `simultaneous` the bounds hold for every threshold at once, so that any number of promises
    of recall and specificity may be drawn from the same scores. `prevalence` is the one at which the probabilities hold, None for
    that of the labels. Raises DataError where promises cannot be kept; the message says what could be, and how many images it
    would take. Raises UsageError for a simultaneous promise of a rate that a threshold does not order.
    """
    units = units_of(labels, probabilities, groups, seed, prevalence)
    levels = _Levels.of(promises, confidence, simultaneous=simultaneous)
    try:
        low, high = _choose_band(units, promises, levels, abstain=abstain)
    except DataError as error:
        drawn = (
            f" {len(units.labels)} images or groups are counted: as many as have this prevalence." if prevalence else ""
        )
        raise DataError(f"{error}{levels.remark}{drawn}") from None
    rule = Rule(low, high, prevalence=prevalence)
    parameters = {
        "promise": [str(promise) for promise in promises],
        "confidence": confidence,
        "abstain": abstain,
        "simultaneous": simultaneous,
    }
    evidence = {
        "positives": len(units.positives),
        "negatives": len(units.negatives),
        "units": len(units.labels),
        "promises": [_kept(units, rule, promise, levels) for promise in promises],
    }
    return replace(rule, policy=PolicyRecord("promise", parameters, evidence))


def _choose_band(units: Units, promises: Sequence[Promise], levels: "_Levels", *, abstain: bool) -> tuple[float, float]:
    """The ends of the unsure band, or the threshold twice. DataError where the promises cannot be kept."""
    low, high = NEVER, 0.0  # images below `low` may be negative, those from `high` on positive
    for promise in promises:
        if promise.failure == "missed":
            low = min(low, _highest_low(units.positives, promise, levels.at(len(units.positives))))
        elif promise.failure == "false alarms":
            high = max(high, _lowest_high(units.negatives, promise, levels.at(len(units.negatives))))
    searched = [promise for promise in promises if not promise.is_ordered]
    bands = _bands(units, {promise.failure for promise in searched}, low, high)
    if not abstain:
        single = bands.low == bands.high
        if not single.any():
            raise DataError(_conflict_text(units, promises, low, high))
        bands = Bands(bands.low[single], bands.high[single])
    hint = "" if abstain else " With `abstain` images may be left unsure, which may help."
    chosen = _search(units, bands, searched, levels.each, hint) if searched else 0
    return float(bands.low[chosen]), float(bands.high[chosen])


@dataclass(frozen=True, slots=True)
class _Levels:
    """The confidence of `each` of `count` promises alone and, where it is to hold for every threshold at once, at each of them.
    Together they hold at the confidence `total`."""

    total: float
    count: int
    simultaneous: bool

    @property
    def each(self) -> float:
        """By Bonferroni's inequality."""
        return 1 - (1 - self.total) / self.count

    @property
    def remark(self) -> str:
        """Why the confidence in a message is higher than the one asked for; empty where it is not."""
        if self.simultaneous:
            return f" It is higher than asked for, so that the bounds at all thresholds hold at {100 * self.total:.4g}% together."
        if self.count > 1:
            return (
                f" It is higher than asked for, so that {self.count} promises hold at {100 * self.total:.4g}% together."
            )
        return ""

    @classmethod
    def of(cls, promises: Sequence[Promise], confidence: float, *, simultaneous: bool) -> "_Levels":
        for promise in promises if simultaneous else ():
            if not promise.is_ordered or promise.max_failure_rate > MAX_SIMULTANEOUS_RATE:
                why = (
                    f"its failure rate is above {MAX_SIMULTANEOUS_RATE}"
                    if promise.is_ordered
                    else "no threshold orders this rate"
                )
                raise UsageError(
                    f"{promise} cannot be promised for every threshold at once, because {why}; leave out `simultaneous`."
                )
        count = len({promise.failure for promise in promises}) if simultaneous else len(promises)
        return cls(confidence, count, simultaneous)

    def at(self, trials: int) -> float:
        """The confidence at the threshold of a promise on this many units."""
        return simultaneous_confidence(trials, self.each) if self.simultaneous and trials else self.each


def check_possible(
    promises: Sequence[Promise], positives: int, negatives: int, confidence: float, *, simultaneous: bool
) -> None:
    """DataError where so few images of the classes could not keep the promises even if none of them failed."""
    levels = _Levels.of(promises, confidence, simultaneous=simultaneous)
    trials = {"missed": (positives, "positive"), "false alarms": (negatives, "negative")}
    for promise in promises:
        count, kind = trials.get(promise.failure, (positives + negatives, "scored"))
        if allowed_failures(count, promise.max_failure_rate, levels.at(count)) < 0:
            raise DataError(_too_few_text(promise, count, levels.at(count), kind) + levels.remark)


def _highest_low(positives: Probabilities, promise: Promise, confidence: float) -> float:
    """The highest threshold below which few enough positives lie."""
    allowed = allowed_failures(len(positives), promise.max_failure_rate, confidence)
    if allowed < 0:
        raise DataError(_too_few_text(promise, len(positives), confidence, "positive"))
    return float(positives[allowed]) if allowed < len(positives) else NEVER


def _lowest_high(negatives: Probabilities, promise: Promise, confidence: float) -> float:
    """The lowest threshold from which on few enough negatives lie."""
    allowed = allowed_failures(len(negatives), promise.max_failure_rate, confidence)
    if allowed < 0:
        raise DataError(_too_few_text(promise, len(negatives), confidence, "negative"))
    return min(float(np.nextafter(negatives[-1 - allowed], 2)), NEVER) if allowed < len(negatives) else 0.0


def _bands(units: Units, failures: set[Failure], low: float, high: float) -> Bands:
    """The bands to search. They depend on probabilities and, through `low` and `high`, on promises that are kept already."""
    threshold = min(max(0.5, high), low)
    first = (threshold, threshold) if high <= low else (low, high)
    cuts = np.unique(units.probabilities)
    cuts = cuts[:: -(-len(cuts) // _CANDIDATES) or 1]
    if failures == {"precision"}:
        highs = np.concatenate([[first[1]], cuts[cuts > first[1]]])
        return Bands(np.minimum(highs, low), highs)
    if failures == {"npv"}:
        lows = np.concatenate([[first[0]], cuts[cuts < first[0]][::-1]])
        return Bands(lows, np.maximum(lows, high))
    certainty = np.unique(np.maximum(cuts, 1 - cuts)) if failures else np.empty(0)
    return Bands(
        np.concatenate([first[:1], np.minimum(first[0], 1 - certainty)]),
        np.concatenate([first[1:], np.maximum(first[1], certainty)]),
    )


def _search(units: Units, bands: Bands, promises: Sequence[Promise], confidence: float, hint: str) -> int:
    """The band that decides most among those that a fixed sequence of tests reaches for all promises.

    The sequence starts where the probability that all tests succeed is predicted to be highest. Only bands are tested that decide
    just enough images for one more failure to be allowed: those between are more likely to fail, and would end the sequence.
    Raises DataError where the first test fails; `hint` ends the message.
    """
    power, passed, tested = (np.full(len(bands.low), value) for value in (1.0, True, False))
    for promise in promises:
        trials, failures, predicted = failure_counts(units, bands, promise.failure)
        allowed = _allowed(trials, promise.max_failure_rate, confidence)
        rate = np.divide(predicted, trials, out=np.ones(len(trials)), where=trials > 0)
        power = np.minimum(power, np.where(allowed >= 0, tail(allowed, trials, rate), 0.0))
        passed &= failures <= allowed
        tested |= np.diff(allowed, append=-1) < 0
    tested[0] = True
    sequence = np.flatnonzero(tested)  # from most decisions to least
    start = int(power[sequence].argmax())
    if not passed[sequence[start]]:
        raise DataError(_not_kept_text(units, bands, promises, int(sequence[start]), confidence) + hint)
    stop = start
    while stop > 0 and passed[sequence[stop - 1]]:
        stop -= 1
    return int(sequence[stop])


def _allowed(trials: NDArray[np.float64], rate: float, confidence: float) -> NDArray[np.float64]:
    """`allowed_failures` of many numbers of trials, (b,)."""
    from scipy.stats import binom  # here, because predictions do not need it

    smallest = binom.ppf(1 - confidence, trials, rate)
    return np.asarray(np.where(tail(smallest, trials, rate) <= 1 - confidence, smallest, smallest - 1))


def _kept(units: Units, rule: Rule, promise: Promise, levels: _Levels) -> dict[str, Any]:
    """{"promise", "trials", "failures", "allowed", "confidence"}: the units that the promise rests on."""
    trials, failures = observed(units, rule, promise.failure)
    confidence = levels.at(trials)
    allowed = allowed_failures(trials, promise.max_failure_rate, confidence)
    counts = {"trials": trials, "failures": failures, "allowed": allowed}
    return {"promise": str(promise), **counts, "confidence": confidence}


def _too_few_text(promise: Promise, trials: int, confidence: float, kind: str) -> str:
    """The message for a rate that so few units of a class cannot promise, even if none of them fails."""
    needed = needed_trials(0.0, promise.max_failure_rate, confidence)
    possible = promise.with_failure_rate(_rounded_up(upper_bound(0, trials, confidence)))
    text = f"{promise} cannot be promised at {100 * confidence:.4g}% confidence with {trials} {kind} images or groups"
    text += f": it takes {needed} of which none fails, {(needed or 0) - trials} more than there are."
    return text if not trials else f"{text} These {trials} can promise {possible}."


def _rounded_up(rate: float) -> float:
    return float(np.ceil(rate * 1000) / 1000)


def _conflict_text(units: Units, promises: Sequence[Promise], low: float, high: float) -> str:
    """The message for promises that ask for different thresholds."""
    unsure = float(np.mean((units.probabilities >= low) & (units.probabilities < high)))
    texts = " and ".join(map(str, promises))
    return (
        f"No single threshold keeps {texts}: one asks for a threshold of at most {low:.4f}, the other for at least {high:.4f}. "
        f"With `abstain` {unsure:.1%} of such images would be unsure."
    )


def _not_kept_text(units: Units, bands: Bands, promises: Sequence[Promise], start: int, confidence: float) -> str:
    """The message for rates that these images do not support."""
    rule, texts = Rule(float(bands.low[start]), float(bands.high[start])), []
    for promise in promises:
        trials, failures = observed(units, rule, promise.failure)
        if failures <= allowed_failures(trials, promise.max_failure_rate, confidence):
            continue
        possible = promise.with_failure_rate(_rounded_up(upper_bound(failures, trials, confidence)))
        text = f"{promise} cannot be promised at {100 * confidence:.4g}% confidence: "
        text += f"{failures} of {trials} decided images or groups fail."
        texts.append(f"{text} About {possible} can be promised." if failures < trials else text)
    images, needed = len(units.labels), _needed_images(units, bands, promises, confidence)
    if needed is None:
        return f"{' '.join(texts)} More images like these would hardly help."
    return f"{' '.join(texts)} By the probabilities it takes about {needed} images or groups, {needed - images} more."


def _needed_images(units: Units, bands: Bands, promises: Sequence[Promise], confidence: float) -> int | None:
    """The number of units with which the promises are kept with even chances, as predicted from probabilities; None where
    `_MANY_TIMES` as many would not do."""
    counts = [(promise, *failure_counts(units, bands, promise.failure)) for promise in promises]

    def suffices(scale: float) -> bool:
        power = np.ones(len(bands.low))
        for promise, trials, _, predicted in counts:
            many = np.rint(scale * trials)
            rate = np.divide(predicted, trials, out=np.ones(len(trials)), where=trials > 0)
            allowed = _allowed(many, promise.max_failure_rate, confidence)
            power = np.minimum(power, np.where(allowed >= 0, tail(allowed, many, rate), 0.0))
        return bool(power.max() >= 0.5)

    low, high = 1.0, float(_MANY_TIMES)
    if not suffices(high):
        return None
    while high - low > 0.01 * low:
        middle = (low + high) / 2
        low, high = (low, middle) if suffices(middle) else (middle, high)
    return int(np.ceil(high * len(units.labels)))
