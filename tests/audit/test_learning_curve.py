"""The learning curve and its forecast."""

import numpy as np
import pytest
from numpy.typing import NDArray

from twofold.audit.learning_curve import LearningCurve, expected_interval, fit_learning_curve, forecast
from twofold.decision import fit_head


def fit_curve(n: int, d: int = 60, *, fraction: float = 0.5, seed: int = 0) -> LearningCurve:
    rng = np.random.default_rng(seed)
    labels = (np.arange(n) < fraction * n).astype(np.int8)
    features = (rng.standard_normal((n, d)) + 0.3 * labels[:, None]).astype(np.float32)
    folds = rng.permutation(n) % 5
    fit = fit_head(features, labels, folds)
    return fit_learning_curve(features, labels, folds, fit.logits, fit.C, ("cats", "dogs"))


def costs(sizes: NDArray[np.float64], power: float, n: int = 2000) -> NDArray[np.float64]:
    """Errors (m, n), nested, at a rate that falls as a power of the size."""
    difficulty = np.random.default_rng(0).random(n)
    return (difficulty[None] < 0.2 * (sizes[:, None] / sizes[0]) ** power).astype(np.float64)


def test_the_curve_falls_and_ends_with_all_images() -> None:
    curve = fit_curve(600)
    assert [point.images for point in curve.curve] == [60, 120, 240, 480]
    assert curve.curve[0].log_loss > curve.curve[-1].log_loss
    assert curve.accuracy.value == pytest.approx(1 - curve.curve[-1].error)
    assert curve.counts == {"cats": 300, "dogs": 300}


def test_the_forecast_from_half_the_images_covers_the_log_loss_of_all() -> None:
    covered = 0
    for seed in range(5):
        half, full = fit_curve(300, seed=seed), fit_curve(600, seed=seed)
        assert half.log_loss is not None
        slack = 0.03  # the difference between two samples of 300 images
        covered += half.log_loss.low - slack <= full.curve[-1].log_loss <= half.log_loss.high + slack
    assert covered >= 4


def test_a_power_law_is_extrapolated() -> None:
    sizes = np.array([100.0, 200.0, 400.0, 800.0])
    interval = forecast(sizes, costs(sizes, -0.5), seed=0)
    assert interval.value == pytest.approx(0.2 * 16**-0.5, rel=0.1)
    assert interval.low < interval.value < interval.high < costs(sizes, -0.5)[-1].mean()


def test_a_flat_curve_forecasts_no_gain() -> None:
    sizes = np.array([100.0, 200.0, 400.0, 800.0])
    interval = forecast(sizes, costs(sizes, 0.0), seed=0)
    assert interval.value == pytest.approx(0.2, rel=0.1)
    assert interval.high >= costs(sizes, 0.0)[-1].mean()


def test_costs_of_zero_are_finite() -> None:
    interval = forecast(np.array([10.0, 20.0, 40.0]), np.zeros((3, 50)), seed=0)
    assert 0 <= interval.low <= interval.value <= interval.high < 0.05


def test_with_too_few_images_there_is_no_forecast() -> None:
    curve = fit_curve(40)
    assert curve.log_loss is None
    assert curve.error is None


def test_the_smaller_class_limits_the_forecast() -> None:
    assert fit_curve(400, fraction=0.05).log_loss is None


def test_more_test_images_give_a_narrower_interval() -> None:
    small, large = expected_interval(0.9, 100), expected_interval(0.9, 1000)
    assert large.high - large.low < (small.high - small.low) / 3
