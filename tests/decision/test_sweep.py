import numpy as np
import pytest
from numpy.typing import NDArray

from twofold.decision.confusion import ConfusionMatrix, accuracy, confusion_at, f1
from twofold.decision.sweep import MAX_EXACT, best_threshold, gain_p_value, sweep


def draw(n: int, seed: int, *, decimals: int = 15) -> tuple[NDArray[np.int8], NDArray[np.float64]]:
    """Labels drawn from their probabilities."""
    rng = np.random.default_rng(seed)
    probabilities = np.round(rng.beta(0.6, 0.6, n), decimals)
    return (rng.random(n) < probabilities).astype(np.int8), probabilities


@pytest.mark.parametrize("decimals", [15, 1])
def test_every_threshold_has_its_confusion_matrix(decimals: int) -> None:
    labels, probabilities = draw(60, 0, decimals=decimals)
    swept = sweep(labels, probabilities)
    for k, threshold in enumerate(swept.thresholds):
        cells = (getattr(swept.confusion, name)[k] for name in ("tn", "fp", "fn", "tp"))
        assert ConfusionMatrix(*cells) == confusion_at(labels, probabilities, threshold)


def test_thresholds_lie_midway_between_neighbours() -> None:
    swept = sweep(np.array([0, 1, 1], np.int8), np.array([0.2, 0.6, 0.6]))
    np.testing.assert_allclose(swept.thresholds, [0.1, 0.4, 0.8])


def test_between_adjacent_floats_the_threshold_is_the_upper_one() -> None:
    low, high = 0.3, np.nextafter(0.3, 1)
    swept = sweep(np.array([0, 1], np.int8), np.array([low, high]))
    assert swept.thresholds[1] == high


def test_no_threshold_calls_a_certain_image_negative() -> None:
    swept = sweep(np.array([0, 1], np.int8), np.array([0.0, 1.0]))
    assert swept.thresholds.tolist() == [0.0, 0.5]


def test_the_best_threshold_is_as_good_as_any_of_a_grid() -> None:
    labels, probabilities = draw(200, 1)
    best = best_threshold(labels, probabilities, f1, 0.5)
    highest = max(float(f1(confusion_at(labels, probabilities, t))) for t in np.linspace(0.001, 0.999, 999))
    assert f1(confusion_at(labels, probabilities, best)) >= highest


def test_the_reference_stays_where_nothing_is_better_and_the_nearest_wins_among_equals() -> None:
    labels, probabilities = np.array([0, 0, 1, 1], np.int8), np.array([0.1, 0.3, 0.7, 0.9])
    assert best_threshold(labels, probabilities, accuracy, 0.31) == 0.31
    assert best_threshold(labels, probabilities, accuracy, 0.95) == 0.5
    twice = np.array([0.1, 0.3, 0.35, 0.9]), np.array([0, 1, 0, 1], np.int8)
    assert best_threshold(twice[1], twice[0], accuracy, 0.05) == pytest.approx(0.2)
    assert best_threshold(twice[1], twice[0], accuracy, 0.95) == pytest.approx(0.625)


def test_a_gain_by_chance_is_significant_once_in_twenty() -> None:
    chances = []
    for seed in range(200):
        labels, probabilities = draw(150, seed)
        chances.append(gain_p_value(labels, probabilities, probabilities, accuracy, 0.5, seed))
    assert 0.01 <= np.mean(np.array(chances) < 0.05) <= 0.09
    assert np.mean(np.array(chances) < 0.5) <= 0.57


def test_a_real_gain_is_significant() -> None:
    labels, probabilities = draw(600, 7)
    shifted = probabilities**4  # crosses one half where the true probability is 0.84
    assert gain_p_value(labels, shifted, shifted, accuracy, 0.5, 0) < 0.05


def test_the_same_seed_gives_the_same_p_value() -> None:
    labels, probabilities = draw(100, 3)
    chances = {gain_p_value(labels, probabilities, probabilities, f1, 0.5, 11) for _ in range(3)}
    assert len(chances) == 1


@pytest.mark.slow
def test_above_the_exact_limit_a_gain_by_chance_is_as_rare() -> None:
    chances = [
        gain_p_value(*draw(MAX_EXACT + 1, seed), draw(MAX_EXACT + 1, seed)[1], accuracy, 0.5, seed)
        for seed in range(60)
    ]
    assert np.mean(np.array(chances) < 0.05) <= 0.12
    assert 0.25 <= np.mean(np.array(chances) < 0.5) <= 0.75


def test_above_the_exact_limit_a_real_gain_is_found() -> None:
    labels, probabilities = draw(MAX_EXACT + 1, 7)
    shifted = probabilities**1.2
    assert gain_p_value(labels, shifted, shifted, accuracy, 0.5, 0) < 0.05
