import math
from collections import Counter

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import optimize, stats

from twofold.decision import Rule, confusion
from twofold.decision.confusion import balanced_accuracy, confusion_at, f1, mcc
from twofold.evaluation import METRICS, evaluate, metrics
from twofold.evaluation.calibration_errors import ece_interval
from twofold.evaluation.intervals import (
    MAX_RESAMPLED,
    Interval,
    Z,
    average_precision_interval,
    delong,
    loss_interval,
    simulated_interval,
    standard_error,
    wilson,
)


def draw(n: int, rng: np.random.Generator, *, apart: float = 2.0) -> tuple[NDArray[np.int8], NDArray[np.float64]]:
    """Half positives; scores of two normals that far apart, with their true probabilities."""
    labels = (np.arange(n) % 2).astype(np.int8)
    scores = rng.standard_normal(n) + apart * (labels - 0.5)
    return labels, 1 / (1 + np.exp(-apart * scores))


@pytest.mark.parametrize(("successes", "trials"), [(0, 10), (1, 10), (389, 400), (400, 400), (1, 1)])
def test_rates_have_wilsons_interval(successes: int, trials: int) -> None:
    expected = stats.binomtest(successes, trials).proportion_ci(method="wilson")
    interval = wilson(successes, trials)
    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert interval.low <= interval.value <= interval.high


def test_a_rate_of_no_trials_is_undefined_and_null() -> None:
    assert wilson(0, 0).as_json() == {"value": None, "low": None, "high": None}


def test_delongs_interval_is_that_of_his_definition() -> None:
    labels, probabilities = draw(120, np.random.default_rng(0), apart=1.0)
    positives, negatives = probabilities[labels == 1], probabilities[labels == 0]
    wins = np.heaviside(positives[:, None] - negatives, 0.5)  # (positives, negatives)
    error = math.sqrt(wins.mean(axis=1).var(ddof=1) / 60 + wins.mean(axis=0).var(ddof=1) / 60)
    area = wins.mean()
    half = stats.norm.ppf(0.975) * error / (area * (1 - area))
    logit = math.log(area / (1 - area))
    ends = [1 / (1 + math.exp(-(logit + sign * half))) for sign in (-1, 1)]
    interval = delong(labels, probabilities)
    assert (interval.value, interval.low, interval.high) == pytest.approx((area, *ends))


def test_a_perfect_area_still_has_an_interval_and_it_shrinks() -> None:
    def variance(area: float, n: int) -> float:  # Newcombe 2006, with n images of each class
        return area * (1 - area) * (1 + (n - 1) * ((1 - area) / (2 - area) + area / (1 + area))) / n**2

    lows = []
    for n in (5, 50):
        labels = np.repeat(np.array([0, 1], np.int8), n)
        low = optimize.brentq(lambda x, n=n: 1 - x - 1.959964 * math.sqrt(variance(x, n)), 0.01, 0.9999)
        interval = delong(labels, labels * 0.8 + 0.1)
        assert (interval.value, interval.high) == (1, 1)
        assert interval.low == pytest.approx(low, abs=1e-4)
        lows.append(interval.low)
    assert lows[0] < lows[1] < 1


def test_an_area_below_every_chance_is_mirrored() -> None:
    labels, probabilities = draw(60, np.random.default_rng(2))
    up, down = delong(labels, probabilities), delong(1 - labels, probabilities)
    assert (down.value, down.low, down.high) == pytest.approx((1 - up.value, 1 - up.high, 1 - up.low))


def test_the_standard_error_is_what_a_bootstrap_within_the_classes_gives() -> None:
    labels, probabilities = draw(80, np.random.default_rng(3))
    rng, classes = np.random.default_rng(4), [np.flatnonzero(labels == k) for k in (0, 1)]
    means = [np.mean(probabilities[np.concatenate([rng.choice(rows, 40) for rows in classes])]) for _ in range(4000)]
    assert standard_error(probabilities, labels) == pytest.approx(np.std(means), rel=0.05)


def test_errors_that_never_happened_leave_room_for_them() -> None:
    labels = np.repeat(np.array([0, 1], np.int8), 30)
    cells = confusion_at(labels, labels.astype(np.float64), 0.5)
    for score in (balanced_accuracy, f1, mcc):
        interval = simulated_interval(cells, score, 0)
        assert (interval.value, interval.high) == (1, 1)
        assert 0.8 < interval.low < 0.99
    assert 0.9 < average_precision_interval(labels, labels * 0.8 + 0.1, 0).low < 0.99


def test_rates_of_the_confusion_matrix_agree_with_a_plain_bootstrap() -> None:
    labels, probabilities = draw(400, np.random.default_rng(5))
    cells = confusion_at(labels, probabilities, 0.5)
    rng = np.random.default_rng(6)
    right, true = rng.binomial(200, cells.tp / 200, 20_000), rng.binomial(200, cells.tn / 200, 20_000)
    expected = np.quantile((right + true) / 400, [0.025, 0.975])
    interval = simulated_interval(cells, balanced_accuracy, 0)
    assert (interval.low, interval.high) == pytest.approx(expected, abs=0.006)


def test_average_precision_agrees_with_a_plain_bootstrap() -> None:
    from sklearn.metrics import average_precision_score

    labels, probabilities = draw(300, np.random.default_rng(7), apart=1.0)
    rng, classes = np.random.default_rng(8), [np.flatnonzero(labels == k) for k in (0, 1)]
    drawn = [np.concatenate([rng.choice(rows, 150) for rows in classes]) for _ in range(1000)]
    expected = np.quantile([average_precision_score(labels[i], probabilities[i]) for i in drawn], [0.025, 0.975])
    interval = average_precision_interval(labels, probabilities, 0)
    assert (interval.low, interval.high) == pytest.approx(expected, abs=0.02)


def test_true_probabilities_may_have_no_calibration_error_and_wrong_ones_have_some() -> None:
    labels, probabilities = draw(800, np.random.default_rng(9))
    good, bad = ece_interval(labels, probabilities, 0), ece_interval(labels, probabilities**3, 0)
    assert good.low == 0
    assert good.value > 0
    assert bad.low > 0.05


def test_equal_losses_have_an_interval_without_width() -> None:
    labels = np.array([0, 1, 0, 1], np.int8)
    assert loss_interval(np.full(4, 0.3), labels) == Interval(0.3, 0.3, 0.3)
    assert loss_interval(np.zeros(4), labels) == Interval(0.0, 0.0, 0.0)


def values(labels: NDArray[np.int8], probabilities: NDArray[np.float64]) -> dict[str, float]:
    """Every metric, without its interval."""
    cells, scores = (
        confusion_at(labels, probabilities, 0.5),
        ("roc_auc", "average_precision", "log_loss", "brier", "ece"),
    )
    rates = {name: float(getattr(confusion, name)(cells)) for name in METRICS if hasattr(confusion, name)}
    return rates | {name: getattr(metrics, name)(labels, probabilities) for name in scores}


@pytest.mark.slow
def test_intervals_hold_the_truth_nineteen_times_in_twenty() -> None:
    """Coverage over 250 sets of 200 images whose true metrics are known; three standard errors are 0.041."""
    apart = 2.0
    rng = np.random.default_rng(11)
    truth = values(*draw(400_000, rng, apart=apart))
    truth |= {"ece": 0.0, "calibration_slope": 1.0, "calibration_intercept": 0.0}  # probabilities are the true ones
    fraction = stats.norm.cdf(apart / 2)
    assert truth["accuracy"] == pytest.approx(fraction, abs=2e-3)
    assert truth["roc_auc"] == pytest.approx(stats.norm.cdf(apart / math.sqrt(2)), abs=2e-3)
    covered: Counter[str] = Counter()
    for seed in range(250):
        intervals = evaluate(*draw(200, rng, apart=apart), Rule.at(0.5), classes=("a", "b"), seed=seed).metrics
        covered.update(name for name in METRICS if intervals[name].low <= truth[name] <= intervals[name].high)
    assert set(covered) == set(METRICS)
    # The interval of the intercept allows for another prevalence; here that of all sets is the same.
    assert covered.pop("calibration_intercept") >= 0.91 * 250
    assert {name: n for name, n in covered.items() if not 0.91 * 250 <= n <= 0.995 * 250} == {}


def test_a_single_class_has_no_area_but_losses() -> None:
    labels, probabilities = np.ones(4, np.int8), np.array([0.2, 0.4, 0.6, 0.8])
    assert math.isnan(delong(labels, probabilities).value)
    assert math.isnan(metrics.roc_auc(labels, probabilities))
    assert loss_interval(probabilities, labels).low > 0
    assert math.isnan(average_precision_interval(1 - labels, probabilities, 0).value)


@pytest.mark.parametrize("prevalence", [0.05, 0.5])
def test_average_precision_of_many_images_has_the_error_of_a_bootstrap(prevalence: float) -> None:
    """Above `MAX_RESAMPLED` images the error is the delta method's; the reference is a bootstrap of 400 samples."""
    rng = np.random.default_rng(3)
    labels = (rng.random(MAX_RESAMPLED + 5) < prevalence).astype(np.int8)
    probabilities = 1 / (1 + np.exp(-(rng.normal(0, 1.5, len(labels)) + 2 * labels - 1)))
    positives, negatives = np.sort(probabilities[labels == 1])[::-1], np.sort(probabilities[labels == 0])[::-1]
    values = []
    for _ in range(400):
        right = rng.multinomial(len(positives), np.full(len(positives), 1 / len(positives))).astype(float)[None]
        wrong = rng.multinomial(len(negatives), np.full(len(negatives), 1 / len(negatives))).astype(float)[None]
        values.append(float(metrics.weighted_average_precision(positives, negatives, right, wrong)[0]))
    interval = average_precision_interval(labels, probabilities, 0)
    width = math.log(interval.high / (1 - interval.high)) - math.log(interval.low / (1 - interval.low))
    error = width / (2 * Z) * interval.value * (1 - interval.value)
    assert error == pytest.approx(np.std(values), rel=0.15)  # 400 draws know it to 3.5%
