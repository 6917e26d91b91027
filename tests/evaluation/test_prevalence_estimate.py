"""The prevalence among unlabelled images."""

import numpy as np
import pytest

from twofold.core.errors import DataError
from twofold.decision import fit_calibration
from twofold.evaluation.prevalence_estimate import estimate_prevalence


def draw(random: np.random.Generator, count: int, prevalence: float) -> tuple[np.ndarray, np.ndarray]:
    labels = (random.random(count) < prevalence).astype(np.int8)
    return labels, random.normal(3 * (labels - 0.5), 1)


@pytest.mark.parametrize("prevalence", [0.01, 0.1, 0.5, 0.95])
def test_the_interval_holds_the_prevalence(prevalence: float) -> None:
    inside, errors = [], []
    for seed in range(300):
        random = np.random.default_rng(seed)
        labels, logits = draw(random, 600, 0.4)
        calibration = fit_calibration(logits, labels)
        unlabelled = calibration.probabilities(draw(random, 1000, prevalence)[1])
        interval = estimate_prevalence(unlabelled, labels, calibration.probabilities(logits)).prevalence
        inside.append(interval.low <= prevalence <= interval.high)
        errors.append(interval.value - prevalence)
    assert np.mean(inside) >= 0.93 - 2 * np.sqrt(0.93 * 0.07 / 300)
    assert np.sqrt(np.mean(np.square(errors))) < 0.025
    assert abs(np.mean(errors)) < 0.005


def test_probabilities_that_are_wrong_everywhere_bias_nothing() -> None:
    random = np.random.default_rng(0)
    labels, logits = draw(random, 20_000, 0.5)
    overconfident = [1 / (1 + np.exp(-3 * each - 1)) for each in (draw(random, 20_000, 0.2)[1], logits)]
    estimate = estimate_prevalence(overconfident[0], labels, overconfident[1])
    assert estimate.prevalence.value == pytest.approx(0.2, abs=0.01)


def test_groups_widen_the_interval() -> None:
    random = np.random.default_rng(1)
    labels, logits = draw(random, 200, 0.5)
    unlabelled = 1 / (1 + np.exp(-3 * draw(random, 5000, 0.2)[1]))
    repeated, probabilities = np.repeat(labels, 10), np.repeat(1 / (1 + np.exp(-3 * logits)), 10)
    alone, grouped = (
        estimate_prevalence(unlabelled, repeated, probabilities, groups).prevalence
        for groups in (None, np.repeat(np.arange(200), 10))
    )
    assert grouped.high - grouped.low > 1.5 * (alone.high - alone.low)


def test_a_model_that_distinguishes_nothing_estimates_nothing() -> None:
    labels = np.arange(100, dtype=np.int8) % 2
    with pytest.raises(DataError, match="cannot be estimated"):
        estimate_prevalence(np.full(50, 0.5), labels, np.full(100, 0.5))


def test_a_few_images_of_one_class_do_not_exclude_the_other() -> None:
    random, inside = np.random.default_rng(2), []
    labels, logits = draw(random, 2000, 0.5)
    probabilities = 1 / (1 + np.exp(-3 * logits))
    for _ in range(300):
        unlabelled = 1 / (1 + np.exp(-3 * draw(random, 40, 0.02)[1]))
        interval = estimate_prevalence(unlabelled, labels, probabilities).prevalence
        inside.append(interval.low <= 0.02 <= interval.high)
    assert np.mean(inside) >= 0.93
