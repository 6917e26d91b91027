"""What a rule does to 1,000 images of an assumed prevalence, and the operating table."""

import numpy as np
import pytest

from twofold.decision import Rule
from twofold.decision.costs import Costs
from twofold.evaluation.intervals import wilson
from twofold.evaluation.operating_table import operating_table
from twofold.evaluation.rule_summary import RuleSample

# Negatives: 6 called negative, 2 unsure, 2 called positive. Positives: 1 called negative, 1 unsure, 8 called positive.
LABELS = np.repeat([0, 1], 10).astype(np.int8)
PROBABILITIES = np.array([0.1] * 6 + [0.5] * 2 + [0.9] * 2 + [0.1] + [0.5] + [0.9] * 8)
RULE = Rule(0.4, 0.6)


def test_decisions_and_rates_are_counted() -> None:
    summary = RuleSample(LABELS, PROBABILITIES).summary(RULE, Costs(2, 10, 1))
    assert summary.per_1000 == pytest.approx(np.array([[300, 100, 100], [50, 50, 400]]))
    assert summary.coverage.value == pytest.approx(17 / 20)
    assert summary.error.value == pytest.approx(3 / 17)
    values = {name: rate.value for name, rate in summary.rates.items()}
    assert values == pytest.approx({"missed": 0.1, "false_alarms": 0.2, "precision": 8 / 10, "npv": 6 / 7})
    assert summary.cost is not None
    assert summary.cost.value == pytest.approx(1000 * (2 * 2 + 10 * 1 + 1 * 3) / 20)


def test_unweighted_rates_have_the_intervals_of_wilson() -> None:
    summary = RuleSample(LABELS, PROBABILITIES).summary(RULE)
    for rate, expected in ((summary.error, wilson(3, 17)), (summary.rates["missed"], wilson(1, 10))):
        assert (rate.low, rate.high) == pytest.approx((expected.low, expected.high))
    assert summary.cost is None


def test_another_prevalence_weights_the_classes() -> None:
    summary = RuleSample(LABELS, PROBABILITIES, prevalence=0.1).summary(RULE, Costs(2, 10, 1))
    assert summary.per_1000 == pytest.approx(np.array([[540, 180, 180], [10, 10, 80]]))
    assert summary.coverage.value == pytest.approx(0.81)
    assert summary.error.value == pytest.approx(190 / 810)
    assert summary.rates["precision"].value == pytest.approx(80 / 260)
    assert summary.rates["missed"].value == pytest.approx(0.1)
    assert summary.cost is not None
    assert summary.cost.value == pytest.approx(2 * 180 + 10 * 10 + 190)


def test_weighted_precision_and_cost_are_inside_their_intervals() -> None:
    truth, inside = (
        {"precision": 0.1 * 0.8 / (0.1 * 0.8 + 0.9 * 0.2), "cost": 1000 * (0.9 * 0.2 * 1 + 0.1 * 0.2 * 5)},
        [],
    )
    for seed in range(400):
        random = np.random.default_rng(seed)
        labels = np.repeat([0, 1], 300).astype(np.int8)
        called = random.random(600) < np.where(labels == 1, 0.8, 0.2)
        summary = RuleSample(labels, np.where(called, 0.9, 0.1), prevalence=0.1).summary(Rule.at(0.5), Costs(1, 5))
        assert summary.cost is not None
        precision, cost = summary.rates["precision"], summary.cost
        inside.append((precision.low <= truth["precision"] <= precision.high, cost.low <= truth["cost"] <= cost.high))
    assert np.mean(inside, axis=0) == pytest.approx([0.95, 0.95], abs=0.025)


def test_images_of_one_group_count_together() -> None:
    alone = RuleSample(LABELS, PROBABILITIES).summary(RULE)
    repeated = RuleSample(np.repeat(LABELS, 5), np.repeat(PROBABILITIES, 5), np.repeat(np.arange(20), 5)).summary(RULE)
    assert repeated.error.value == pytest.approx(alone.error.value)
    assert repeated.error.high - repeated.error.low > 0.9 * (alone.error.high - alone.error.low)


def test_the_operating_table_misses_at_most_what_may_be_missed() -> None:
    random = np.random.default_rng(0)
    labels = np.repeat([0, 1], [500, 120]).astype(np.int8)
    probabilities = 1 / (1 + np.exp(-random.normal(2 * (labels - 0.5), 1)))
    points = operating_table(labels, probabilities)
    assert [point.limit for point in points] == [0.01, 0.02, 0.05, 0.1]
    # Of 120 positives 1, 2, 6 and 12 may be missed; that is 0.5 to 5.9% for 2 of them.
    assert [round(120 * point.missed.value) for point in points] == [1, 2, 6, 12]
    assert (points[1].missed.low, points[1].missed.high) == pytest.approx((0.0046, 0.0587), abs=1e-4)
    for point in points:
        assert point.false_alarms.value == np.mean(probabilities[labels == 0] >= point.threshold)
    assert [point.needed for point in points] == [299, 149, 59, 29]


def test_equal_probabilities_have_no_threshold_between_them() -> None:
    labels, probabilities = np.repeat([0, 1], 50).astype(np.int8), np.full(100, 0.5)
    assert [(point.missed.value, point.false_alarms.value) for point in operating_table(labels, probabilities)] == [
        (0, 1)
    ] * 4
