import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn import metrics as reference

from twofold.evaluation.curves import (
    always_positive_benefit,
    cost_curve,
    expected_cost_at,
    net_benefit_at,
    net_benefit_curve,
    precision_recall_points,
    prevalence_of,
    probability_cost,
    reliability_bins,
    roc_points,
    score_histogram,
)
from twofold.evaluation.metrics import brier, ece, roc_auc
from twofold.evaluation.sample import Sample


def draw(decimals: int) -> tuple[NDArray[np.int8], NDArray[np.float64]]:
    rng = np.random.default_rng(0)
    probabilities = np.round(rng.beta(0.7, 1, 150), decimals)
    return (rng.random(150) < probabilities).astype(np.int8), probabilities


@pytest.mark.parametrize("decimals", [1, 15])
def test_the_roc_curve_is_that_of_scikit_learn(decimals: int) -> None:
    labels, probabilities = draw(decimals)
    x, y, _ = reference.roc_curve(labels, probabilities, drop_intermediate=False)
    expected = set(zip(x.round(12), y.round(12), strict=True))
    got_x, got_y = roc_points(labels, probabilities)
    assert set(zip(got_x.round(12), got_y.round(12), strict=True)) == expected
    assert np.trapezoid(got_y, got_x) == pytest.approx(roc_auc(labels, probabilities))


@pytest.mark.parametrize("decimals", [1, 15])
def test_the_precision_recall_curve_is_that_of_scikit_learn(decimals: int) -> None:
    labels, probabilities = draw(decimals)
    precision, recall, _ = reference.precision_recall_curve(labels, probabilities)
    expected = set(zip(recall[:-1].round(12), precision[:-1].round(12), strict=True))  # its last point is made up
    x, y = precision_recall_points(labels, probabilities)
    assert set(zip(x.round(12), y.round(12), strict=True)) == expected
    assert (np.diff(x) >= 0).all()


def test_the_bins_of_reliability_give_the_calibration_error() -> None:
    labels, probabilities = draw(15)
    bins = reliability_bins(labels, probabilities)
    assert sum(part.images for part in bins) == 150
    gaps = sum(part.images * abs(part.positives.value - part.probability) for part in bins)
    assert gaps / 150 == pytest.approx(ece(labels, probabilities))


def test_every_score_is_in_the_histogram_once() -> None:
    counts, edges = score_histogram(np.array([0.0, 0.01, 0.5, 1.0]), bins=4)
    assert counts.tolist() == [2, 0, 1, 1]
    assert edges.tolist() == [0, 0.25, 0.5, 0.75, 1]


def test_the_share_of_positives() -> None:
    assert prevalence_of(np.array([1, 0, 0, 0], np.int8)) == 0.25


def sample(labels: NDArray[np.int8], probabilities: NDArray[np.float64], copies: int = 1) -> Sample:
    labels, probabilities = np.repeat(labels, copies), np.repeat(probabilities, copies)
    groups = np.repeat(np.arange(len(labels) // copies), copies) if copies > 1 else None
    return Sample(labels, (probabilities >= 0.5).astype(np.int8), probabilities, probabilities, groups)


TEN = np.repeat(np.array([1, 0], np.int8), [4, 6]), np.array([0.9, 0.7, 0.6, 0.1, 0.8, 0.3, 0.2, 0.1, 0.1, 0.1])


def test_the_net_benefit_by_hand() -> None:
    """3 of 10 rightly and 1 wrongly called at 0.5; 3 and 2 at 0.25, where a wrong one counts a third."""
    assert net_benefit_at(sample(*TEN), 0.5).value == pytest.approx(0.3 - 0.1)
    assert net_benefit_at(sample(*TEN), 0.25).value == pytest.approx(0.3 - 0.2 / 3)
    assert always_positive_benefit(TEN[0], np.array([0.5, 0.25])) == pytest.approx([0.4 - 0.6, 0.4 - 0.6 / 3])
    curve = net_benefit_curve(sample(*TEN))
    assert curve.x[[0, 49, 98]] == pytest.approx([0.01, 0.5, 0.99])
    assert curve.value[49] == pytest.approx(0.2)


def test_the_net_benefit_is_that_of_dcurves() -> None:
    """dcurves 1.1.7, the package of the authors of decision curves: dca(data, outcome, modelnames, thresholds)."""
    labels, probabilities = draw(2)
    thresholds = np.array([0.1, 0.25, 0.5, 0.9])
    benefits = [net_benefit_at(sample(labels, probabilities), threshold).value for threshold in thresholds.tolist()]
    assert benefits == pytest.approx([0.428148, 0.357778, 0.266667, 0.086667], abs=1e-6)
    always = [0.407407, 0.288889, -0.066667, -4.333333]
    assert always_positive_benefit(labels, thresholds) == pytest.approx(always, abs=1e-6)


def test_no_threshold_is_better_than_finding_every_positive_and_calling_nothing_else() -> None:
    labels = TEN[0]
    assert net_benefit_curve(sample(labels, 0.001 + 0.998 * labels)).value == pytest.approx(np.full(99, 0.4))
    assert (net_benefit_curve(sample(*TEN)).value <= 0.4).all()


def test_the_cost_of_a_threshold_is_a_line_between_its_error_rates() -> None:
    """A quarter of the positives missed, a sixth of the negatives called."""
    costs = [expected_cost_at(sample(*TEN), 0.5, weight).value for weight in (0.0, 0.4, 1.0)]
    assert costs == pytest.approx([1 / 6, 0.4 / 4 + 0.6 / 6, 1 / 4])


def test_a_threshold_is_best_where_theory_says() -> None:
    """Equal costs and 40% positives: the weight is 0.4 and the threshold 0.5; errors of 1 and 9: 0.1 and 0.36 / 0.42."""
    assert probability_cost(TEN[0], 0.5) == pytest.approx(0.4)
    assert probability_cost(TEN[0], 0.1) == pytest.approx(0.4 * 9 / (0.4 * 9 + 0.6))


def test_the_area_under_the_cost_curve_is_the_brier_score() -> None:
    rng = np.random.default_rng(1)
    labels = (np.arange(2000) % 2).astype(np.int8)
    probabilities = 1 / (1 + np.exp(-2 * (rng.standard_normal(2000) + labels - 0.5)))
    curve = cost_curve(sample(labels, probabilities))
    x, y = np.concatenate([[0], curve.x, [1]]), np.concatenate([[0], curve.value, [0]])
    assert np.trapezoid(y, x) == pytest.approx(brier(labels, probabilities), abs=0.001)


def test_swapped_classes_mirror_the_cost_curve() -> None:
    labels, probabilities = draw(15)
    first, second = cost_curve(sample(labels, probabilities)), cost_curve(sample(1 - labels, 1 - probabilities))
    assert first.value == pytest.approx(second.value[::-1])
    assert first.high == pytest.approx(second.high[::-1])


def test_images_of_one_group_make_no_band_narrower() -> None:
    labels, probabilities = draw(15)
    for curve in (net_benefit_curve, cost_curve):
        alone, five = curve(sample(labels, probabilities)), curve(sample(labels, probabilities, copies=5))
        assert five.value == pytest.approx(alone.value)
        assert (five.high - five.low >= 0.999 * (alone.high - alone.low)).all()
        assert np.mean(five.high - five.low) < 1.1 * np.mean(alone.high - alone.low)


def test_bands_hold_the_truth() -> None:
    """200 sets of 300 images: at three thresholds the bands hold the value on 200,000 images; the standard error is 0.015."""
    rng, thresholds = np.random.default_rng(2), (0.1, 0.5, 0.8)

    def drawn(count: int) -> Sample:
        probabilities = rng.beta(0.5, 0.8, count)
        labels = (rng.random(count) < probabilities).astype(np.int8)
        return sample(labels, probabilities)

    large = drawn(200_000)
    cost = [expected_cost_at(large, threshold, 0.5).value for threshold in thresholds]
    held = np.zeros((2, 3))
    for _ in range(200):
        small = drawn(300)
        prevalence = prevalence_of(small.labels)  # taken as fixed, so the truth is that of this prevalence
        for k, threshold in enumerate(thresholds):
            truth = _at_prevalence(large, threshold, prevalence)
            interval = net_benefit_at(small, threshold)
            held[0, k] += interval.low <= truth <= interval.high
            interval = expected_cost_at(small, threshold, 0.5)
            held[1, k] += interval.low <= cost[k] <= interval.high
    assert (held >= (0.95 - 0.045) * 200).all(), held


def _at_prevalence(large: Sample, threshold: float, prevalence: float) -> float:
    called = large.probabilities >= threshold
    found, wrong = called[large.labels == 1].mean(), called[large.labels != 1].mean()
    return float(prevalence * found - (1 - prevalence) * wrong * threshold / (1 - threshold))
