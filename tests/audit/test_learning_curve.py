import numpy as np
import pytest
from numpy.typing import NDArray

from twofold.audit.learning_curve import LearningCurve, expected_interval, fit_learning_curve, forecast
from twofold.decision import fit_head


def judged(n: int, d: int = 60, *, fraction: float = 0.5, seed: int = 0) -> LearningCurve:
    rng = np.random.default_rng(seed)
    labels = (np.arange(n) < fraction * n).astype(np.int8)
    features = (rng.standard_normal((n, d)) + 0.3 * labels[:, None]).astype(np.float32)
    folds = rng.permutation(n) % 5
    fit = fit_head(features, labels, folds)
    return fit_learning_curve(features, labels, folds, fit.logits, fit.C, ("cats", "dogs"))


def costs(sizes: NDArray[np.float64], power: float, n: int = 2000) -> NDArray[np.float64]:
    """Errors of nested pictures whose share falls as a power of the size."""
    hard = np.random.default_rng(0).random(n)
    return (hard[None] < 0.2 * (sizes[:, None] / sizes[0]) ** power).astype(np.float64)


def test_the_curve_falls_and_ends_with_all_pictures() -> None:
    told = judged(600)
    assert [point.images for point in told.curve] == [60, 120, 240, 480]
    assert told.curve[0].log_loss > told.curve[-1].log_loss
    assert told.accuracy.value == pytest.approx(1 - told.curve[-1].error)
    assert told.counts == {"cats": 300, "dogs": 300}


def test_the_forecast_of_half_the_pictures_holds_what_all_reach() -> None:
    held = 0
    for seed in range(5):
        half, whole = judged(300, seed=seed), judged(600, seed=seed)
        assert half.log_loss is not None
        slack = 0.03  # what one drawing of 300 pictures differs from the next
        held += half.log_loss.low - slack <= whole.curve[-1].log_loss <= half.log_loss.high + slack
    assert held >= 4


def test_a_power_law_is_followed() -> None:
    sizes = np.array([100.0, 200.0, 400.0, 800.0])
    found = forecast(sizes, costs(sizes, -0.5), seed=0)
    assert found.value == pytest.approx(0.2 * 16**-0.5, rel=0.1)
    assert found.low < found.value < found.high < costs(sizes, -0.5)[-1].mean()


def test_a_flat_curve_promises_nothing() -> None:
    sizes = np.array([100.0, 200.0, 400.0, 800.0])
    found = forecast(sizes, costs(sizes, 0.0), seed=0)
    assert found.value == pytest.approx(0.2, rel=0.1)
    assert found.high >= costs(sizes, 0.0)[-1].mean()


def test_no_errors_at_all_are_no_trouble() -> None:
    found = forecast(np.array([10.0, 20.0, 40.0]), np.zeros((3, 50)), seed=0)
    assert 0 <= found.low <= found.value <= found.high < 0.05


def test_too_few_pictures_say_so() -> None:
    told = judged(40)
    assert told.log_loss is None
    assert told.error is None
    assert told.text.startswith(
        "20 cats and 20 dogs: too few to tell what more would bring. A test on 10 others would tell"
    )


def test_the_smaller_class_counts() -> None:
    assert judged(400, fraction=0.05).log_loss is None
    assert judged(400, fraction=0.05).text.startswith("380 cats and 20 dogs")


def test_words_promise_fewer_errors_only_where_the_interval_does() -> None:
    told = judged(600)
    assert told.log_loss is not None
    assert told.error is not None
    assert ("instead of" in told.text) == (told.log_loss.high < told.curve[-1].log_loss)
    assert ("wrong answers" in told.text) <= (told.error.high < told.curve[-1].error)


def test_more_test_pictures_make_a_narrower_interval() -> None:
    small, large = expected_interval(0.9, 100), expected_interval(0.9, 1000)
    assert large.high - large.low < (small.high - small.low) / 3
