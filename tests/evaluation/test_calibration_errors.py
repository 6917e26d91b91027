import math

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from twofold.evaluation import metrics
from twofold.evaluation.calibration_errors import ece_interval, recalibration


def draw(n: int, seed: int, scale: float = 1.0) -> tuple[NDArray[np.int8], NDArray[np.float64]]:
    """Labels, and probabilities whose logits are `scale` times the true ones."""
    rng = np.random.default_rng(seed)
    labels = (np.arange(n) % 2).astype(np.int8)
    return labels, 1 / (1 + np.exp(-2 * scale * (rng.standard_normal(n) + 2 * labels - 1)))


@pytest.mark.parametrize("scale", [1.0, 1.5, 2.5])
def test_the_calibration_error_is_not_the_noise_of_few_images(scale: float) -> None:
    """100 sets of 100 images; 0.86 is three standard errors below 0.94.

    The error on the data is 0.105 for a calibrated model, and 0.112 where the truth is
    0.048."""
    truth = 0.0 if scale == 1 else metrics.ece(*draw(400_000, 0, scale))
    intervals = [ece_interval(*draw(100, seed, scale), seed) for seed in range(1, 101)]
    assert np.mean([interval.value for interval in intervals]) == pytest.approx(truth, abs=0.035)
    assert np.mean([interval.low <= truth <= interval.high for interval in intervals]) >= 0.86
    assert all(interval.low <= interval.value <= interval.high for interval in intervals)
    assert np.mean([interval.low < interval.value < interval.high for interval in intervals]) > 0.3


def test_slope_and_intercept_are_those_of_a_logistic_regression() -> None:
    labels, probabilities = draw(300, 1, 1.7)
    logits = np.log(probabilities / (1 - probabilities))
    model = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(logits[:, None], labels)
    slope, intercept = recalibration(labels, probabilities)
    assert slope.value == pytest.approx(model.coef_[0, 0], rel=1e-4)
    assert slope.low < 1 / 1.7 < slope.high < 1
    shifted = 1 / (1 + np.exp(-(logits + intercept.value)))
    assert shifted.mean() == pytest.approx(labels.mean())  # the score equation of the intercept


def test_swapped_classes_have_the_same_slope_and_the_negative_intercept() -> None:
    labels, probabilities = draw(200, 2)
    there, back = recalibration(labels, probabilities**1.2), recalibration(1 - labels, 1 - probabilities**1.2)
    assert back[0].value == pytest.approx(there[0].value)
    assert (back[1].value, back[1].low) == pytest.approx((-there[1].value, -there[1].high))


def test_separated_classes_have_no_slope() -> None:
    labels = np.array([0, 0, 1, 1], np.int8)
    slope, intercept = recalibration(labels, np.array([0.1, 0.2, 0.8, 0.9]))
    assert math.isnan(slope.value)
    assert intercept.low < 0 < intercept.high
    assert math.isnan(recalibration(labels, np.full(4, 0.3))[0].value)


def test_slope_and_intercept_hold_the_truth_nineteen_times_in_twenty() -> None:
    slopes, intercepts = zip(*(recalibration(*draw(200, seed, 2.0)) for seed in range(300)), strict=True)
    assert 0.92 <= np.mean([slope.low <= 0.5 <= slope.high for slope in slopes]) <= 0.98
    assert np.mean([intercept.low <= 0 <= intercept.high for intercept in intercepts]) >= 0.92
