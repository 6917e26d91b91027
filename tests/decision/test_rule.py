import numpy as np
import pytest

from twofold.decision import Rule
from twofold.decision.prevalence import change_prevalence
from twofold.decision.rule import NEGATIVE, NEVER, POSITIVE, UNFAMILIAR, UNSURE


def test_a_single_threshold_decides_positive_from_it_on() -> None:
    assert Rule.at(0.5).decide(np.array([0.0, 0.49, 0.5, 1.0])).tolist() == [NEGATIVE, NEGATIVE, POSITIVE, POSITIVE]


def test_between_two_thresholds_the_decision_is_unsure() -> None:
    decisions = Rule(0.2, 0.7).decide(np.array([0.1, 0.2, 0.5, 0.69, 0.7]))
    assert decisions.tolist() == [NEGATIVE, UNSURE, UNSURE, UNSURE, POSITIVE]


def test_the_gate_comes_before_the_thresholds_and_answers_do_not_ask_it() -> None:
    rule = Rule(0.2, 0.7, gate={"level": 0.01})
    probabilities, familiarity = np.array([0.1, 0.5, 0.9, 0.9, 0.9]), np.array([0.5, 0.009, 0.009, 0.01, np.nan])
    decisions = [NEGATIVE, UNFAMILIAR, UNFAMILIAR, POSITIVE, POSITIVE]
    assert rule.decide(probabilities, familiarity).tolist() == decisions
    assert rule.decide(probabilities).tolist() == [NEGATIVE, UNSURE, POSITIVE, POSITIVE, POSITIVE]
    assert Rule(0.2, 0.7).decide(probabilities, familiarity).tolist() == rule.decide(probabilities).tolist()
    answering = rule.always_answering()
    assert answering.decide(probabilities, familiarity).tolist() == rule.answer(probabilities).tolist()
    swapped, mirrored = rule.swap_classes(probabilities)
    opposite = {NEGATIVE: POSITIVE, POSITIVE: NEGATIVE, UNFAMILIAR: UNFAMILIAR}
    assert swapped.decide(mirrored, familiarity).tolist() == [opposite[decision] for decision in decisions]


@pytest.mark.parametrize(
    ("low", "high", "threshold"),
    [(0.2, 0.7, 0.5), (0.6, 0.7, 0.6), (0.1, 0.3, 0.3), (0.9, 0.9, 0.9), (0.5, NEVER, 0.5)],
)
def test_every_image_is_answered_at_one_half_or_the_nearest_end_of_the_band(
    low: float, high: float, threshold: float
) -> None:
    rule = Rule(low, high)
    assert rule.threshold == threshold
    assert rule.answer(np.array([threshold - 0.01, threshold])).tolist() == [NEGATIVE, POSITIVE]
    assert rule.abstains == (low < high)


@pytest.mark.parametrize(("low", "high"), [(0.6, 0.5), (-0.1, 0.5), (0.5, 1.1), (float("nan"), 0.5)])
def test_invalid_thresholds_are_refused(low: float, high: float) -> None:
    with pytest.raises(ValueError, match="0 <= low <= high <= 1"):
        Rule(low, high)


def test_no_probability_reaches_never() -> None:
    assert Rule.at(NEVER).decide(np.array([0.0, 1.0])).tolist() == [NEGATIVE, NEGATIVE]


@pytest.mark.parametrize(
    ("low", "high"), [(0.0, 0.0), (0.3, 0.3), (0.2, 0.7), (0.0, 1.0), (1.0, 1.0), (1e-17, 0.5), (0.5, NEVER)]
)
def test_mirrored_decisions_are_the_same(low: float, high: float) -> None:
    rule, ends = Rule(low, high), np.array([low, high])
    near = [np.nextafter(ends, -1), ends, np.nextafter(ends, 2), np.linspace(0, 1, 101)]
    probabilities = np.clip(np.concatenate(near), 0, 1)
    swapped, mirrored = rule.swap_classes(probabilities)
    opposite = {NEGATIVE: POSITIVE, POSITIVE: NEGATIVE, UNSURE: UNSURE}
    assert swapped.decide(mirrored).tolist() == [opposite[decision] for decision in rule.decide(probabilities).tolist()]
    assert swapped.answer(mirrored).tolist() == (1 - rule.answer(probabilities)).tolist()
    assert np.abs(mirrored - (1 - probabilities)).max() < 1e-15


@pytest.mark.parametrize("threshold", [0.0, 1e-300, 1e-17, 0.3, 0.5, np.nextafter(1, 0), 1.0, NEVER])
def test_classes_swapped_twice_give_the_same_decisions(threshold: float) -> None:
    rule = Rule.at(threshold)
    probabilities = np.clip([0, 1e-17, np.nextafter(threshold, -1), threshold, np.nextafter(threshold, 2), 1], 0, 1)
    twice, same = rule, probabilities
    for _ in range(2):
        twice, same = twice.swap_classes(same)
    assert twice.decide(same).tolist() == rule.decide(probabilities).tolist()
    assert same.min() >= 0
    assert same.max() <= 1


@pytest.mark.parametrize(
    ("low", "high"), [(0.5, 0.5), (0.2, 0.7), (0.6, 0.9), (0.0, 0.0), (NEVER, NEVER), (0.3, NEVER)]
)
@pytest.mark.parametrize("prevalence", [0.001, 0.3, 0.98])
def test_a_restated_rule_decides_each_image_as_the_rule_itself(low: float, high: float, prevalence: float) -> None:
    rule, of_data = Rule(low, high, prevalence=prevalence), 0.4
    ends = change_prevalence(np.array([low, high, 0.5]), prevalence, of_data)
    near = [np.nextafter(ends, -1), ends, np.nextafter(ends, 2), np.linspace(0, 1, 101)]
    probabilities = np.clip(np.concatenate(near), 0, 1)
    deployed = change_prevalence(probabilities, of_data, prevalence)
    restated, images = rule.restate(probabilities, of_data)
    assert restated.decide(images).tolist() == rule.decide(deployed).tolist()
    assert restated.answer(images).tolist() == rule.answer(deployed).tolist()
    assert np.abs(images - probabilities).max() < 1e-12
    original = restated.original
    assert (original.low, original.high) == pytest.approx((low, high))
    assert original.threshold == pytest.approx(rule.threshold)


def test_a_rule_without_a_prevalence_is_not_restated() -> None:
    rule, probabilities = Rule(0.2, 0.7), np.array([0.1, 0.5])
    restated, images = rule.restate(probabilities, 0.3)
    assert restated is rule
    assert images is probabilities
