"""Whether the promises of a rule hold on other images than those that they were made on."""

from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

from twofold.decision.bounds import tail
from twofold.decision.promises import RATES, Promise, parse_promise
from twofold.decision.rule import Rule
from twofold.decision.units import Units, observed, units_of
from twofold.evaluation.sample import Sample

Verdict = Literal["kept", "not significant", "broken", "undefined"]

SIGNIFICANCE: Final = 0.05


@dataclass(frozen=True, slots=True)
class PromiseCheck:
    """A promise and what is observed: of `trials` images, one of each group, so many `failures`; `rate` is the observed rate of
    the promise, `bound` the one promised, None without trials.

    `p_value` is the probability of at least so many failures where the rate is exactly the promised one. The verdict is `kept`
    where the observed rate keeps the bound, else `broken` where the p-value is at most 0.05, else `not significant`.
    """

    promise: str
    positive: str  # the class that the rate is about
    trials: int
    failures: int
    rate: float | None
    bound: float
    p_value: float | None
    verdict: Verdict

    def as_json(self) -> dict[str, Any]:
        """The fields."""
        return asdict(self)


def observe_promises(sample: Sample, rule: Rule, positive: str) -> tuple[PromiseCheck, ...]:
    """A check of each promise of a rule on a sample; none for a rule of another policy. One image of each group counts, as many
    of each class as have the prevalence that the rule assumes."""
    if rule.policy.name != "promise":
        return ()
    units = units_of(sample.labels, sample.probabilities, sample.groups, prevalence=rule.prevalence)
    return tuple(_check(units, rule, parse_promise(text), positive) for text in rule.policy.parameters["promise"])


def _check(units: Units, rule: Rule, promise: Promise, positive: str) -> PromiseCheck:
    trials, failures = observed(units, rule, promise.failure)
    if not trials:
        return PromiseCheck(str(promise), positive, 0, 0, None, promise.bound, None, "undefined")
    p_value = float(tail(trials - failures, trials, 1 - promise.max_failure_rate))  # as few that do not fail
    is_kept = failures <= promise.max_failure_rate * trials * (1 + 1e-9)  # 1 - 0.95 is a little more than 0.05
    verdict: Verdict = "kept" if is_kept else "broken" if p_value <= SIGNIFICANCE else "not significant"
    rate = failures / trials if RATES[promise.rate][0] == "<=" else 1 - failures / trials
    return PromiseCheck(str(promise), positive, trials, failures, rate, promise.bound, p_value, verdict)
