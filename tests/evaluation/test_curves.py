import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn import metrics as reference

from twofold.evaluation.curves import (
    precision_recall_points,
    prevalence_of,
    reliability_bins,
    roc_points,
    score_histogram,
)
from twofold.evaluation.metrics import ece, roc_auc


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
