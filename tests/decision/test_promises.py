"""Promises hold at their confidence, with one threshold or an unsure band, and say what cannot be promised."""

import re

import numpy as np
import pytest

from twofold.core.errors import DataError, UsageError
from twofold.decision.bounds import allowed_failures, simultaneous_confidence
from twofold.decision.promises import RATES, Promise, check_possible, parse_promise, promise_rule
from twofold.decision.rule import NEGATIVE, POSITIVE, Rule
from twofold.decision.units import units_of


def draw(seed: int, count: int = 1000, prevalence: float = 0.5, distance: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    """Labels and calibrated probabilities of two normal classes."""
    random = np.random.default_rng(seed)
    labels = (random.random(count) < prevalence).astype(np.int8)
    scores = random.normal(distance * (labels - 0.5), 1)
    return labels, 1 / (1 + np.exp(-distance * scores - np.log(prevalence / (1 - prevalence))))


POPULATION = draw(10_000, 200_000)


def failure_rate(rule: Rule, promise: Promise, labels: np.ndarray, probabilities: np.ndarray) -> float:
    decisions = rule.decide(probabilities)
    among = {
        "missed": labels == 1,
        "false alarms": labels == 0,
        "precision": decisions == POSITIVE,
        "npv": decisions == NEGATIVE,
        "error": decisions >= 0,
    }[promise.failure]
    wrong = (decisions >= 0) & (decisions != labels)
    return float(wrong[among].mean()) if among.any() else 0.0


def rules(texts: list[str], *, count: int, seeds: int, abstain: bool = False) -> list[Rule]:
    found = []
    for seed in range(seeds):
        try:
            found.append(promise_rule(*draw(seed, count), [parse_promise(text) for text in texts], abstain=abstain))
        except DataError:
            continue
    return found


@pytest.mark.parametrize(
    ("texts", "abstain"),
    [
        (["recall>=0.95"], False),
        (["fpr<=0.1"], False),
        (["precision>=0.9"], False),
        (["npv>=0.9"], False),
        (["error<=0.08"], True),
        (["recall>=0.95", "specificity>=0.95"], True),
        (["recall>=0.9", "precision>=0.8"], True),
    ],
)
def test_promises_are_broken_in_at_most_one_of_twenty_sets(texts: list[str], abstain: bool) -> None:
    found = rules(texts, count=300, seeds=400, abstain=abstain)
    promises = [parse_promise(text) for text in texts]
    broken = [any(failure_rate(rule, each, *POPULATION) > each.max_failure_rate for each in promises) for rule in found]
    assert len(found) > 200
    assert sum(broken) <= 0.05 * 400 + 2 * np.sqrt(0.05 * 0.95 * 400)


def test_recall_uses_every_miss_that_the_exact_bound_allows() -> None:
    labels, probabilities = draw(1, 2000)
    rule = promise_rule(labels, probabilities, [Promise("recall", 0.95)])
    missed = int(np.sum((labels == 1) & (probabilities < rule.threshold)))
    assert missed == allowed_failures(int(labels.sum()), 0.05, 0.95)


def test_a_promise_that_the_usual_threshold_keeps_moves_nothing() -> None:
    labels, probabilities = draw(2, 1000, distance=6)
    rule = promise_rule(labels, probabilities, [Promise("recall", 0.9), Promise("precision", 0.9)])
    assert (rule.low, rule.high) == (0.5, 0.5)


def test_two_promises_that_no_threshold_keeps_need_an_unsure_band() -> None:
    labels, probabilities = draw(3)
    promises = [Promise("recall", 0.95), Promise("specificity", 0.95)]
    with pytest.raises(
        DataError, match=r"No single threshold keeps recall>=0.95 and specificity>=0.95.*would be unsure"
    ):
        promise_rule(labels, probabilities, promises)
    rule = promise_rule(labels, probabilities, promises, abstain=True)
    assert rule.abstains
    assert [kept["failures"] for kept in rule.policy.evidence["promises"]] == [
        kept["allowed"] for kept in rule.policy.evidence["promises"]
    ]


def test_a_fixed_sequence_decides_far_more_than_a_correction_for_all_bands() -> None:
    decided, count = 0.0, 60
    for seed in range(count):
        labels, probabilities = draw(seed, 1000, distance=1.83)  # accuracy 0.82; a Bonferroni grid decides 0.08
        try:
            rule = promise_rule(labels, probabilities, [Promise("error", 0.05)], abstain=True)
        except DataError:
            continue
        decided += float(np.mean(rule.decide(probabilities) >= 0))
    assert decided / count > 0.2


@pytest.mark.parametrize("rate", RATES)
def test_a_stricter_promise_decides_no_more(rate: str) -> None:
    labels, probabilities = draw(4)
    decided = []
    for max_failure in (0.2, 0.1, 0.05):
        rule = promise_rule(labels, probabilities, [Promise(rate, 0.5).with_failure_rate(max_failure)], abstain=True)
        limits = {"missed": -rule.low, "false alarms": rule.high, "precision": rule.high, "npv": -rule.low}
        default = -float(np.mean(rule.decide(probabilities) >= 0))
        decided.append(limits.get(Promise(rate, 0.5).failure, default))
    assert decided == sorted(decided)


def test_the_order_of_the_images_changes_nothing_without_groups() -> None:
    labels, probabilities = draw(5, 500)
    order = np.random.default_rng(0).permutation(500)
    promises = [Promise("recall", 0.9), Promise("precision", 0.8)]
    assert promise_rule(labels, probabilities, promises, abstain=True) == promise_rule(
        labels[order], probabilities[order], promises, abstain=True
    )


def test_each_group_counts_once() -> None:
    labels, probabilities = draw(6, 300)
    groups = np.repeat(np.arange(300), 5)
    units = units_of(labels.repeat(5), probabilities.repeat(5), groups)
    assert (len(units.positives), len(units.negatives)) == (labels.sum(), 300 - labels.sum())
    promise = [Promise("recall", 0.95)]
    repeated = promise_rule(labels.repeat(5), probabilities.repeat(5), promise, groups=groups)
    assert repeated == promise_rule(labels, probabilities, promise)


def test_ties_are_all_missed_or_none() -> None:
    labels = np.array([1] * 100 + [0] * 100, np.int8)
    probabilities = np.where(labels == 1, 0.3, 0.1)
    rule = promise_rule(labels, probabilities, [Promise("recall", 0.95)])
    assert np.all(rule.decide(probabilities) == labels)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "recall>=0.98",
            r"cannot be promised at 95% confidence with 30 positive images or groups: it takes 149 .* 119 more",
        ),
        ("fpr<=0.02", r"with 30 negative .* These 30 can promise fpr<=0.096"),
        ("precision>=0.99", r"precision>=0.99 cannot be promised"),
    ],
)
def test_what_cannot_be_promised_is_said_with_what_it_takes(text: str, message: str) -> None:
    labels = np.array([1, 0] * 30, np.int8)
    probabilities = np.where(labels == 1, 0.9, 0.1)
    with pytest.raises(DataError, match=message):
        promise_rule(labels, probabilities, [parse_promise(text)])


def test_a_rate_that_one_threshold_cannot_reach_says_so_and_what_may_help() -> None:
    labels, probabilities = draw(7, 1000)
    with pytest.raises(
        DataError, match=r"error<=0.05 cannot .* fail\. About error<=.* hardly help\. With `abstain` images"
    ):
        promise_rule(labels, probabilities, [Promise("error", 0.05)])
    assert promise_rule(labels, probabilities, [Promise("error", 0.05)], abstain=True).abstains


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("recall", "takes RATE>=NUMBER"),
        ("recal>=0.9", "no rate 'recal' \\(did you mean 'recall'"),
        ("recall<=0.9", "promised with >=, as in 'recall>=0.9'"),
        ("fpr>=0.1", "promised with <="),
        ("recall>=high", "'high' is not a number"),
        ("recall>=98", "95 percent is written 0.95"),
        ("recall>=1", "between 0 and 1"),
    ],
)
def test_a_text_that_is_no_promise_is_an_error_of_one_sentence(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_promise(text)


def test_simultaneous_bounds_hold_at_every_threshold_of_nineteen_in_twenty_sets() -> None:
    # The failure rate below the k-th of n sorted uniform numbers is that number; at most `rate` of them may be promised there.
    random, n = np.random.default_rng(0), 200
    confidence, rates = simultaneous_confidence(n, 0.95), np.linspace(0.005, 0.2, 79)
    allowed = np.array([allowed_failures(n, rate, confidence) for rate in rates])
    possible = allowed >= 0
    inside = [bool((np.sort(random.random(n))[allowed[possible]] <= rates[possible]).all()) for _ in range(4000)]
    assert 0.95 - 2 * np.sqrt(0.05 * 0.95 / 4000) <= np.mean(inside) <= 0.98


def test_a_simultaneous_promise_allows_fewer_misses_than_one_alone() -> None:
    labels, probabilities = draw(5, 2000)
    alone, together = (
        promise_rule(labels, probabilities, [Promise("recall", 0.95)], simultaneous=simultaneous)
        for simultaneous in (False, True)
    )
    assert together.low < alone.low
    (kept,) = together.policy.evidence["promises"]
    assert kept["failures"] <= kept["allowed"] < alone.policy.evidence["promises"][0]["allowed"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("precision>=0.9", "no threshold orders this rate"),
        ("error<=0.05", "no threshold orders this rate"),
        ("recall>=0.3", r"its failure rate is above 0\.2"),
    ],
)
def test_rates_without_simultaneous_bounds_are_refused(text: str, why: str) -> None:
    with pytest.raises(UsageError, match=f"cannot be promised for every threshold at once, because {why}"):
        promise_rule(*draw(6), [parse_promise(text)], simultaneous=True)


def test_promises_that_too_few_images_can_keep_are_refused_without_scores() -> None:
    promises = [parse_promise("recall>=0.95"), parse_promise("error<=0.1")]
    check_possible(promises[:1], 59, 5, 0.95, simultaneous=False)
    with pytest.raises(DataError, match=r"with 58 positive images or groups: it takes 59"):
        check_possible(promises[:1], 58, 500, 0.95, simultaneous=False)
    with pytest.raises(DataError, match="error<=0.1 cannot be promised at 95% confidence with 28 scored images"):
        check_possible(promises[1:], 20, 8, 0.95, simultaneous=False)


@pytest.mark.parametrize("text", ["error<=0.05", "precision>=0.9"])
def test_as_many_images_as_are_said_to_be_needed_suffice_with_even_chances(text: str) -> None:
    promise, needed = parse_promise(text), []
    for seed in range(40):
        with pytest.raises(DataError) as caught:
            promise_rule(*draw(seed, 50), [promise], abstain=True)
        message = re.search(r"it takes about (\d+) images or groups, (\d+) more", str(caught.value))
        assert message is not None
        assert int(message[1]) - int(message[2]) == 50
        needed.append(int(message[1]))
    median = int(np.median(needed))
    assert len(rules([text], count=median // 2, seeds=200, abstain=True)) < 0.25 * 200
    assert 0.3 * 200 < len(rules([text], count=median, seeds=200, abstain=True)) < 0.75 * 200
