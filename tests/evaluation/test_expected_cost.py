"""The expected cost of a rule's decisions."""

from dataclasses import replace

import numpy as np
import pytest

from twofold.core.errors import UsageError
from twofold.decision import Rule
from twofold.decision.costs import Costs
from twofold.decision.rule import PolicyRecord
from twofold.evaluation import Evaluation, evaluate, parse_requirement, with_positive
from twofold.evaluation.expected_cost import DecidedImages

CLASSES = ("free", "defect")


def rule(costs: Costs, low: float, high: float | None = None) -> Rule:
    return Rule(low, low if high is None else high, policy=PolicyRecord("cost", costs.as_json()))


def evaluation(costs: Costs, low: float, high: float | None = None, copies: int = 1) -> Evaluation:
    """One positive of 4 missed and one of 6 negatives called at 0.5; between 0.3 and 0.7 lie two positives and a negative."""
    labels = np.repeat(np.array([1, 0], np.int8), [4, 6])
    probabilities = np.array([0.9, 0.65, 0.6, 0.2, 0.8, 0.4, 0.1, 0.1, 0.1, 0.1])
    groups = np.repeat(np.arange(10), copies)
    return evaluate(
        np.repeat(labels, copies),
        np.repeat(probabilities, copies),
        rule(costs, low, high),
        classes=CLASSES,
        groups=groups,
    )


def test_the_cost_by_hand() -> None:
    cost = evaluation(Costs(3, 50), 0.5).cost
    assert cost is not None
    assert cost.per_1000.value == pytest.approx(1000 * (3 + 50) / 10)
    assert cost.always == pytest.approx({"free": 1000 * 4 * 50 / 10, "defect": 1000 * 6 * 3 / 10})


def test_unsure_images_cost_what_a_person_costs() -> None:
    cost = evaluation(Costs(3, 50, 2), 0.3, 0.7).cost
    assert cost is not None
    assert cost.per_1000.value == pytest.approx(1000 * (3 + 50 + 3 * 2) / 10)


def test_unfamiliar_images_cost_what_unsure_ones_do_or_what_their_answers_do() -> None:
    labels, probabilities = np.array([1, 0, 0], np.int8), np.array([0.2, 0.8, 0.1])
    familiarity, gate = np.array([0.001, 0.001, 0.5]), {"level": 0.01}
    for costs, expected in ((Costs(3, 50, 1), 1 + 1), (Costs(3, 50), 3 + 50)):
        gated = replace(rule(costs, 0.5), gate=gate)
        cost = evaluate(labels, probabilities, gated, classes=CLASSES, familiarity=familiarity).cost
        assert cost is not None
        assert cost.per_1000.value == pytest.approx(1000 * expected / 3)


def test_a_rule_of_another_policy_has_no_cost() -> None:
    plain = evaluate(np.array([0, 1], np.int8), np.array([0.2, 0.8]), Rule.at(0.5), classes=CLASSES)
    assert plain.cost is None
    assert plain.as_json()["cost"] is None


def test_no_error_at_all_still_has_an_upper_end() -> None:
    labels = (np.arange(100) % 2).astype(np.int8)
    perfect = evaluate(labels, 0.1 + 0.8 * labels, rule(Costs(1, 10), 0.5), classes=CLASSES)
    assert perfect.cost is not None
    assert (perfect.cost.per_1000.value, perfect.cost.per_1000.low) == (0, 0)
    assert 100 < perfect.cost.per_1000.high < 600


def test_an_image_five_times_in_one_group_counts_once() -> None:
    alone, five = (evaluation(Costs(3, 50, 2), 0.3, 0.7, copies).cost for copies in (1, 5))
    assert alone is not None
    assert five is not None
    assert five.per_1000.value == pytest.approx(alone.per_1000.value)
    assert five.per_1000.high == pytest.approx(alone.per_1000.high, rel=0.1)
    assert five.per_1000.high >= alone.per_1000.high


def test_another_positive_class_does_not_change_the_cost() -> None:
    shown = evaluation(Costs(3, 50), 0.5)
    assert with_positive("free", shown).cost == shown.cost


def test_the_interval_holds_the_cost() -> None:
    """Of 200 sets of 300 images at 0.5, with 10% missed and 5% called: the standard error of the coverage is 0.015."""
    rng, held = np.random.default_rng(0), 0
    labels = (np.arange(300) % 3 == 0).astype(np.int8)
    truth = 1000 * (0.1 * 20 + 2 * 0.05 * 1) / 3
    for _ in range(200):
        wrong = rng.random(300) < np.where(labels == 1, 0.1, 0.05)
        decisions = np.where(wrong, 1 - labels, labels).astype(np.int8)
        cost = DecidedImages(labels, decisions, None).cost(Costs(1, 20), seed=0)
        held += cost.low <= truth <= cost.high
    assert held >= (0.95 - 0.045) * 200


def test_a_cost_can_be_required_of_a_rule_that_has_one() -> None:
    shown = evaluation(Costs(3, 50), 0.5)
    assert parse_requirement("cost<=5300", CLASSES, alphabetical=True, rule=shown.rule).is_met(shown)
    requirement = parse_requirement("cost.high<=12", CLASSES, rule=shown.rule)
    assert not requirement.is_met(shown)
    assert requirement.shortfall(shown).startswith("cost.high<=12 is not met: the value is ")
    with pytest.raises(UsageError, match="'cost<=12': the rule of this bundle was chosen by the policy 'fixed', which"):
        parse_requirement("cost<=12", CLASSES, rule=Rule.at(0.5))
    with pytest.raises(UsageError, match="cost lies between 0 and inf, got -1"):
        parse_requirement("cost<=-1")
