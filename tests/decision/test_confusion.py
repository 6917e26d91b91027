import numpy as np
import pytest
from sklearn import metrics as reference

from twofold.decision import counts
from twofold.decision.confusion import Counts, count

LABELS = np.array([1, 1, 1, 0, 0, 0, 0, 0], np.int8)
PROBABILITIES = np.array([0.9, 0.5, 0.2, 0.6, 0.1, 0.2, 0.3, 0.4])


def test_a_probability_at_the_threshold_is_called_positive() -> None:
    cells = count(LABELS, PROBABILITIES, 0.5)
    assert (cells.tn, cells.fp, cells.fn, cells.tp) == (4, 1, 1, 2)


def test_rates_are_those_computed_by_hand() -> None:
    cells = count(LABELS, PROBABILITIES, 0.5)
    assert counts.accuracy(cells) == 6 / 8
    assert counts.recall(cells) == pytest.approx(2 / 3)
    assert counts.precision(cells) == pytest.approx(2 / 3)
    assert counts.specificity(cells) == pytest.approx(4 / 5)
    assert counts.balanced_accuracy(cells) == pytest.approx((2 / 3 + 4 / 5) / 2)
    assert counts.f1(cells) == pytest.approx(2 / 3)


@pytest.mark.parametrize("threshold", [0.15, 0.35, 0.55, 0.7])
def test_rates_agree_with_scikit_learn(threshold: float) -> None:
    answers, cells = PROBABILITIES >= threshold, count(LABELS, PROBABILITIES, threshold)
    assert counts.mcc(cells) == pytest.approx(reference.matthews_corrcoef(LABELS, answers))
    assert counts.f1(cells) == pytest.approx(reference.f1_score(LABELS, answers))
    assert counts.balanced_accuracy(cells) == pytest.approx(reference.balanced_accuracy_score(LABELS, answers))


def test_with_nobody_to_count_among_a_rate_is_undefined() -> None:
    none_called = count(LABELS, PROBABILITIES, 0.95)
    assert np.isnan(counts.precision(none_called))
    assert np.isnan(counts.mcc(none_called))
    assert counts.f1(none_called) == 0
    no_positives = count(np.zeros(8, np.int8), PROBABILITIES, 0.95)
    assert np.isnan(counts.recall(no_positives))
    assert np.isnan(counts.balanced_accuracy(no_positives))
    assert np.isnan(counts.f1(no_positives))


def test_cells_of_many_thresholds_give_rates_of_the_same_shape() -> None:
    cells = Counts(*(np.arange(6).reshape(2, 3) + k for k in range(4)))
    assert counts.mcc(cells).shape == (2, 3)
    assert counts.mcc(cells)[1, 2] == counts.mcc(Counts(*(np.array(5 + k) for k in range(4))))
