import json
import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from twofold.decision import Rule
from twofold.evaluation import compare
from twofold.evaluation.comparison import difference_of_accuracies, difference_of_areas, mcnemar
from twofold.evaluation.metrics import roc_auc

Scores = NDArray[np.float64]


def draw(n: int, rng: np.random.Generator, *, better: float = 0.0) -> tuple[NDArray[np.int8], Scores, Scores]:
    """Labels and the scores of two models that share much of their noise; the second sees the classes more apart."""
    labels = (np.arange(n) % 2).astype(np.int8)
    shared = rng.standard_normal(n) + 1.5 * (labels - 0.5)
    first, second = (shared + rng.standard_normal(n) + gain * (labels - 0.5) for gain in (0.0, better))
    return labels, 1 / (1 + np.exp(-first)), 1 / (1 + np.exp(-second))


def test_a_model_compared_with_itself_differs_in_nothing() -> None:
    labels, scores, _ = draw(100, np.random.default_rng(0))
    comparison = compare(labels, (scores, Rule.at(0.5)), (scores, Rule.at(0.5)))
    assert (comparison.only_second_correct, comparison.only_first_correct, comparison.p_value) == (0, 0, 1.0)
    assert all(difference.value == 0 for difference in comparison.differences.values())
    assert comparison.differences["accuracy"].low < 0 < comparison.differences["accuracy"].high


def test_the_difference_is_second_minus_first() -> None:
    labels, first, second = draw(2000, np.random.default_rng(1), better=2)
    comparison = compare(labels, (first, Rule.at(0.5)), (second, Rule.at(0.5)))
    assert comparison.images == 2000
    assert comparison.differences["accuracy"].low > 0
    assert comparison.differences["roc_auc"].low > 0
    assert comparison.differences["log_loss"].high < 0
    assert comparison.p_value < 0.01
    turned = compare(labels, (second, Rule.at(0.5)), (first, Rule.at(0.5)))
    for name, difference in comparison.differences.items():
        there, back = difference, turned.differences[name]
        assert (back.value, back.low, back.high) == pytest.approx((-there.value, -there.high, -there.low))


def test_each_model_answers_at_its_own_threshold() -> None:
    labels, scores = np.array([0, 1], np.int8), np.array([0.2, 0.4])
    comparison = compare(labels, (scores, Rule.at(0.5)), (scores, Rule.at(0.3)))
    assert (comparison.only_second_correct, comparison.only_first_correct) == (1, 0)
    assert comparison.differences["accuracy"].value == 0.5


def test_pairing_makes_the_interval_narrower_than_two_apart() -> None:
    labels, first, second = draw(400, np.random.default_rng(2))
    paired = difference_of_areas(labels, first, second)
    positives, negatives = labels == 1, labels == 0
    variance = 0.0
    for scores in (first, second):
        wins = np.heaviside(scores[positives][:, None] - scores[negatives], 0.5)
        variance += wins.mean(axis=1).var(ddof=1) / 200 + wins.mean(axis=0).var(ddof=1) / 200
    assert paired.high - paired.low < 0.9 * 2 * 1.96 * math.sqrt(variance)
    assert paired.value == pytest.approx(roc_auc(labels, second) - roc_auc(labels, first))


@pytest.mark.parametrize(("gained", "lost"), [(0, 0), (5, 0), (12, 3), (40, 41)])
def test_mcnemars_test_is_the_binomial_one(gained: int, lost: int) -> None:
    expected = stats.binomtest(gained, gained + lost).pvalue if gained + lost else 1.0
    assert mcnemar(gained, lost) == pytest.approx(expected)


def test_no_count_of_answers_is_too_large() -> None:
    assert 0 <= mcnemar(2000, 3000) < 1e-40


def test_paired_intervals_hold_the_truth_nineteen_times_in_twenty() -> None:
    rng, sets = np.random.default_rng(3), 400
    big = compare(*as_models(*draw(400_000, rng, better=1))).differences
    held = dict.fromkeys(big, 0)
    for _ in range(sets):
        for name, interval in compare(*as_models(*draw(200, rng, better=1))).differences.items():
            held[name] += interval.low <= big[name].value <= interval.high
    assert all(0.92 * sets <= n <= 0.98 * sets for n in held.values())


def as_models(
    labels: NDArray[np.int8], first: Scores, second: Scores
) -> tuple[NDArray[np.int8], tuple[Scores, float], tuple[Scores, float]]:
    return labels, (first, Rule.at(0.5)), (second, Rule.at(0.5))


def test_shares_that_never_differ_leave_room_for_difference() -> None:
    comparison = difference_of_accuracies(0, 0, 50)
    assert comparison.value == 0
    assert 0.03 < comparison.high == -comparison.low < 0.08


def test_with_one_class_the_areas_are_null() -> None:
    scores = np.array([0.2, 0.8])
    plain = compare(np.ones(2, np.int8), (scores, Rule.at(0.5)), (scores, Rule.at(0.5))).as_json()
    assert plain["differences"]["roc_auc"] == {"value": None, "low": None, "high": None}
    json.dumps(plain, allow_nan=False)
