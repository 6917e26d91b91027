"""Probabilities and confusion matrices at another prevalence, and rules chosen there."""

import numpy as np
import pytest

from twofold.core.errors import DataError
from twofold.decision import Calibration, choose_rule
from twofold.decision.confusion import ConfusionMatrix, precision
from twofold.decision.costs import Costs, cost_rule
from twofold.decision.prevalence import ClassWeights, change_prevalence
from twofold.decision.promises import parse_promise, promise_rule
from twofold.decision.units import units_of


def draw(seed: int, count: int, prevalence: float) -> tuple[np.ndarray, np.ndarray]:
    """Labels and probabilities that are right at a prevalence of one half."""
    random = np.random.default_rng(seed)
    labels = (random.random(count) < prevalence).astype(np.int8)
    return labels, 1 / (1 + np.exp(-2 * random.normal(2 * (labels - 0.5), 1)))


def test_odds_change_as_those_of_the_prevalence() -> None:
    changed = change_prevalence(np.array([0.0, 0.25, 0.5, 1.0, np.nextafter(1, 2)]), 0.5, 0.2)
    assert changed == pytest.approx([0, 1 / 13, 0.2, 1, 1], abs=1e-15)
    assert changed[-1] > 1  # a threshold that nothing reaches
    assert change_prevalence(changed, 0.2, 0.5)[1] == pytest.approx(0.25)


@pytest.mark.parametrize("prevalence", [0.001, 0.3, 0.99])
def test_a_calibration_at_another_prevalence_gives_the_changed_probabilities(prevalence: float) -> None:
    calibration, logits = Calibration(0.7, -0.3, 0.01, 0.97, 0.4), np.linspace(-30, 30, 61)
    expected = change_prevalence(calibration.probabilities(logits), 0.4, prevalence)
    assert calibration.at_prevalence(prevalence).probabilities(logits) == pytest.approx(expected, rel=1e-12)
    assert calibration.at_prevalence(None) is calibration


def test_weighted_images_have_the_assumed_prevalence() -> None:
    labels = np.array([1, 0, 0, 0], np.int8)
    weights = ClassWeights.for_prevalence(labels, 0.1)
    assert weights.of(labels).sum() == pytest.approx(4)
    assert weights.of(labels)[0] / 4 == pytest.approx(0.1)
    # Of 1,000 images 100 are positive and 80 of these called so, of 900 negatives 90.
    confusion = weights.confusion(ConfusionMatrix(tn=270, fp=30, fn=20, tp=80))
    assert float(precision(confusion)) == pytest.approx(80 / (80 + 90))


def test_a_rule_for_another_prevalence_is_that_of_images_with_it() -> None:
    labels, probabilities = draw(0, 20_000, 0.5)
    rare = change_prevalence(probabilities, 0.5, 0.1)
    for policy, threshold in (("accuracy", 0.5), ("balanced", 0.1)):
        assert choose_rule(labels, rare, policy=policy, prevalence=0.1).low == pytest.approx(threshold)
    rates = choose_rule(labels, rare, prevalence=0.1).policy.evidence["candidates"]["accuracy"]["rates"]
    population = draw(1, 200_000, 0.1)
    decided = change_prevalence(population[1], 0.5, 0.1) >= 0.5
    assert rates["accuracy"] == pytest.approx(np.mean(decided == population[0]), abs=0.005)


def test_the_expected_cost_is_that_at_the_assumed_prevalence() -> None:
    labels, probabilities = draw(2, 20_000, 0.5)
    rule = cost_rule(labels, change_prevalence(probabilities, 0.5, 0.05), Costs(1, 20), prevalence=0.05)
    costs = rule.policy.evidence["cost_per_1000"]
    assert costs["always negative"] == pytest.approx(1000)
    assert costs["always positive"] == pytest.approx(950)
    assert costs["this rule"] < 600
    assert rule.prevalence == 0.05


def test_units_at_a_prevalence_have_it_and_are_as_many_as_possible() -> None:
    labels, probabilities = draw(3, 1000, 0.5)
    units = units_of(labels, probabilities, prevalence=0.1)
    assert units.labels.mean() == pytest.approx(0.1, abs=0.001)
    assert int(np.sum(units.labels == 0)) == int(np.sum(labels == 0))
    assert len(units.positives) == int(labels.sum())


def test_promised_precision_holds_at_the_assumed_prevalence() -> None:
    population = draw(10, 200_000, 0.2)
    deployed, broken, found = change_prevalence(population[1], 0.5, 0.2), 0, 0
    for seed in range(200):
        labels, probabilities = draw(seed + 100, 1500, 0.5)
        scores = change_prevalence(probabilities, 0.5, 0.2)
        try:
            rule = promise_rule(labels, scores, [parse_promise("precision>=0.75")], prevalence=0.2)
        except DataError:
            continue
        called, found = deployed >= rule.high, found + 1
        broken += bool(called.any() and population[0][called].mean() < 0.75)
    assert found > 150
    assert broken <= 0.05 * 200 + 2 * np.sqrt(0.05 * 0.95 * 200)
