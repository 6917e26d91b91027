import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn import metrics as reference

from twofold.evaluation import metrics

LABELS = np.array([0, 0, 1, 1, 1], np.int8)
PROBABILITIES = np.array([0.1, 0.8, 0.8, 0.4, 0.9])


def draw(n: int, seed: int, *, decimals: int) -> tuple[NDArray[np.int8], NDArray[np.float64]]:
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(n) % 3 == 0).astype(np.int8)
    return labels, np.round(np.clip(rng.random(n) * 0.7 + 0.3 * labels, 0, 1), decimals)


def test_the_area_counts_pairs_and_half_of_ties() -> None:
    # pairs won: 0.8 over 0.1 and half over 0.8, 0.4 over 0.1, 0.9 over both
    assert metrics.roc_auc(LABELS, PROBABILITIES) == pytest.approx((1.5 + 1 + 2) / 6)


def test_average_precision_is_the_sum_over_thresholds() -> None:
    # at 0.9: 1 of 1; at 0.8: 2 of 3; at 0.4: 3 of 4; each adds a third of recall
    assert metrics.average_precision(LABELS, PROBABILITIES) == pytest.approx((1 + 2 / 3 + 3 / 4) / 3)


def test_losses_are_those_computed_by_hand() -> None:
    labels, probabilities = np.array([1, 0], np.int8), np.array([0.8, 0.5])
    assert metrics.log_loss(labels, probabilities) == pytest.approx((-np.log(0.8) - np.log(0.5)) / 2)
    assert metrics.brier(labels, probabilities) == pytest.approx((0.2**2 + 0.5**2) / 2)


def test_the_calibration_error_weighs_the_gaps_of_its_bins() -> None:
    labels, probabilities = np.array([0, 1, 1, 1], np.int8), np.array([0.34, 0.36, 0.9, 1.0])
    # bins of 1/15: {0.34, 0.36} with mean 0.35 and share 1/2, {0.9} with 1, {1.0} with 1
    assert metrics.bin_of(probabilities).tolist() == [5, 5, 13, 14]
    assert metrics.ece(labels, probabilities) == pytest.approx(2 / 4 * 0.15 + 1 / 4 * 0.1)


@pytest.mark.parametrize("decimals", [1, 15])
@pytest.mark.parametrize("n", [7, 50, 500])
def test_metrics_agree_with_scikit_learn(n: int, decimals: int) -> None:
    labels, probabilities = draw(n, n, decimals=decimals)
    assert metrics.roc_auc(labels, probabilities) == pytest.approx(reference.roc_auc_score(labels, probabilities))
    expected = reference.average_precision_score(labels, probabilities)
    assert metrics.average_precision(labels, probabilities) == pytest.approx(expected)
    assert metrics.log_loss(labels, probabilities) == pytest.approx(reference.log_loss(labels, probabilities))
    assert metrics.brier(labels, probabilities) == pytest.approx(reference.brier_score_loss(labels, probabilities))


def test_weights_of_average_precision_are_those_of_scikit_learn() -> None:
    labels, probabilities = draw(80, 0, decimals=1)
    weights = np.random.default_rng(1).integers(0, 4, 80).astype(np.float64)
    order = np.argsort(-probabilities)
    labels, probabilities, weights = labels[order], probabilities[order], weights[order]
    yes, no = labels == 1, labels == 0
    got = metrics.weighted_average_precision(
        probabilities[yes], probabilities[no], weights[yes][None], weights[no][None]
    )
    expected = reference.average_precision_score(labels, probabilities, sample_weight=weights)
    assert got[0] == pytest.approx(expected)


def test_swapped_labels_mirror_what_is_symmetric() -> None:
    labels, probabilities = draw(200, 5, decimals=15)
    swapped = 1 - labels, 1 - probabilities
    for metric in (metrics.roc_auc, metrics.log_loss, metrics.brier, metrics.ece):
        assert metric(*swapped) == pytest.approx(metric(labels, probabilities))


def test_the_data_twice_and_its_order_change_no_value() -> None:
    labels, probabilities = draw(100, 6, decimals=2)
    order = np.random.default_rng(0).permutation(200)
    twice = np.tile(labels, 2)[order], np.tile(probabilities, 2)[order]
    for metric in (metrics.roc_auc, metrics.average_precision, metrics.log_loss, metrics.brier, metrics.ece):
        assert metric(*twice) == pytest.approx(metric(labels, probabilities))


def test_a_certain_mistake_costs_much_but_not_all() -> None:
    assert metrics.log_loss(np.array([1], np.int8), np.array([0.0])) == pytest.approx(36.04, abs=0.01)


@pytest.mark.parametrize("label", [0, 1])
def test_with_one_class_there_is_no_area(label: int) -> None:
    labels = np.full(3, label, np.int8)
    assert np.isnan(metrics.roc_auc(labels, PROBABILITIES[:3]))
    assert np.isnan(metrics.average_precision(labels, PROBABILITIES[:3])) == (label == 0)
