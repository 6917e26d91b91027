"""The rule that costs least."""

import numpy as np
import pytest

from twofold.decision.costs import Costs, cost_rule
from twofold.decision.rule import Rule


def draw(seed: int, count: int = 2000) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    probabilities = random.beta(0.7, 0.7, count)
    return (random.random(count) < probabilities).astype(np.int8), probabilities


def test_the_threshold_is_that_of_theory() -> None:
    rule = cost_rule(*draw(0), Costs(1, 50))
    assert rule.low == rule.high == pytest.approx(1 / 51)
    assert rule.policy.evidence["basis"] == "theory"


def test_unsure_images_are_those_where_a_decision_costs_more() -> None:
    rule = cost_rule(*draw(1), Costs(10, 20, 2))
    assert (rule.low, rule.high) == pytest.approx((0.1, 0.8))
    assert not cost_rule(*draw(1), Costs(10, 20, 7)).abstains  # dearer than any decision


def test_no_other_rule_costs_less_where_probabilities_are_right() -> None:
    labels, probabilities = draw(2, 200_000)
    costs = Costs(3, 1, 0.4)
    least = costs.of(labels, cost_rule(labels, probabilities, costs).decide(probabilities)).mean()
    for low in np.linspace(0, 1, 11):
        for high in np.linspace(low, 1, 5):
            assert costs.of(labels, Rule(float(low), float(high)).decide(probabilities)).mean() > least - 0.002


def test_scores_of_another_scale_move_the_threshold() -> None:
    labels, probabilities = draw(3)
    shifted = probabilities**3
    rule = cost_rule(labels, shifted, Costs(1, 1))
    assert rule.policy.evidence["basis"] == "scores"
    assert rule.threshold < 0.3


def test_the_evidence_has_the_cost_of_one_answer_for_all() -> None:
    labels = np.array([1, 1, 0, 0, 0], np.int8)
    probabilities = np.array([0.9, 0.2, 0.1, 0.1, 0.6])
    costs = cost_rule(labels, probabilities, Costs(2, 5)).policy.evidence["cost_per_1000"]
    assert costs["always positive"] == pytest.approx(1000 * 3 * 2 / 5)
    assert costs["always negative"] == pytest.approx(1000 * 2 * 5 / 5)
    assert costs["threshold 0.5"] == pytest.approx(1000 * (2 + 5) / 5)
