import numpy as np
import pytest
from numpy.typing import NDArray

from twofold.decision import Rule
from twofold.evaluation.best_threshold import find_best_threshold


def draw(n: int, seed: int, *, shift: float = 0.0) -> tuple[NDArray[np.int8], NDArray[np.float64]]:
    """Labels, and probabilities whose logit is that much too high."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, n)
    labels = (rng.random(n) < 1 / (1 + np.exp(-logits))).astype(np.int8)
    return labels, 1 / (1 + np.exp(-logits - shift))


def test_answers_that_change_are_counted() -> None:
    labels = np.array([0, 0, 0, 1, 0, 1, 1], np.int8)
    probabilities = np.array([0.1, 0.2, 0.51, 0.52, 0.53, 0.9, 0.95])
    found = find_best_threshold(labels, probabilities, Rule.at(0.5))
    assert found.value == pytest.approx(0.515)  # of 0.515 and 0.715, both with one error less, the nearer to 0.5
    assert (found.newly_correct, found.newly_wrong) == (1, 0)
    assert found.gain == pytest.approx(1 / 7)
    assert found.accuracy == pytest.approx(6 / 7)


def test_where_nothing_is_better_the_threshold_stays() -> None:
    found = find_best_threshold(np.array([0, 1], np.int8), np.array([0.2, 0.7]), Rule.at(0.5))
    assert (found.value, found.gain, found.p_value, found.significant) == (0.5, 0.0, 1.0, False)


def test_the_classic_fix_is_mostly_noise() -> None:
    """Of models whose threshold is right, one in twenty is said to have a better one, though nearly all seem to."""
    found = [find_best_threshold(*draw(200, seed), Rule.at(0.5)) for seed in range(200)]
    assert np.mean([one.gain > 0 for one in found]) > 0.8
    assert 0.01 <= np.mean([one.significant for one in found]) <= 0.09


def test_so_it_is_for_a_right_threshold_that_is_not_one_half() -> None:
    threshold = 1 / (1 + np.exp(-1.5))
    found = [find_best_threshold(*draw(200, seed, shift=1.5), Rule.at(threshold)).significant for seed in range(200)]
    assert 0.01 <= np.mean(found) <= 0.09


def test_a_wrong_threshold_is_found_out() -> None:
    found = find_best_threshold(*draw(1000, 0, shift=2), Rule.at(0.5))
    assert found.significant
    assert found.value == pytest.approx(1 / (1 + np.exp(-2)), abs=0.08)
    assert found.newly_correct - found.newly_wrong == pytest.approx(1000 * found.gain)


@pytest.mark.parametrize("threshold", [0.0, 1.0])
def test_thresholds_at_the_ends_are_tested_too(threshold: float) -> None:
    found = find_best_threshold(*draw(200, 1), Rule.at(threshold))
    assert found.significant
    assert 0.2 < found.value < 0.8
