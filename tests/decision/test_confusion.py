import numpy as np
import pytest
from sklearn import metrics as reference

from twofold.decision import confusion
from twofold.decision.confusion import ConfusionMatrix, confusion_at

LABELS = np.array([1, 1, 1, 0, 0, 0, 0, 0], np.int8)
PROBABILITIES = np.array([0.9, 0.5, 0.2, 0.6, 0.1, 0.2, 0.3, 0.4])


def test_a_probability_at_the_threshold_is_predicted_positive() -> None:
    matrix = confusion_at(LABELS, PROBABILITIES, 0.5)
    assert (matrix.tn, matrix.fp, matrix.fn, matrix.tp) == (4, 1, 1, 2)


def test_an_image_without_a_decision_is_not_counted_as_negative() -> None:
    with pytest.raises(ValueError, match="1 of 2 have none"):
        confusion.confusion_matrix(np.array([0, 1], np.int8), np.array([0, -1], np.int8))


def test_rates_are_those_computed_by_hand() -> None:
    matrix = confusion_at(LABELS, PROBABILITIES, 0.5)
    assert confusion.accuracy(matrix) == 6 / 8
    assert confusion.recall(matrix) == pytest.approx(2 / 3)
    assert confusion.precision(matrix) == pytest.approx(2 / 3)
    assert confusion.specificity(matrix) == pytest.approx(4 / 5)
    assert confusion.balanced_accuracy(matrix) == pytest.approx((2 / 3 + 4 / 5) / 2)
    assert confusion.f1(matrix) == pytest.approx(2 / 3)


@pytest.mark.parametrize("threshold", [0.15, 0.35, 0.55, 0.7])
def test_rates_agree_with_scikit_learn(threshold: float) -> None:
    predictions, matrix = PROBABILITIES >= threshold, confusion_at(LABELS, PROBABILITIES, threshold)
    assert confusion.mcc(matrix) == pytest.approx(reference.matthews_corrcoef(LABELS, predictions))
    assert confusion.f1(matrix) == pytest.approx(reference.f1_score(LABELS, predictions))
    assert confusion.balanced_accuracy(matrix) == pytest.approx(reference.balanced_accuracy_score(LABELS, predictions))


def test_a_rate_without_images_to_count_is_undefined() -> None:
    none_predicted = confusion_at(LABELS, PROBABILITIES, 0.95)
    assert np.isnan(confusion.precision(none_predicted))
    assert np.isnan(confusion.mcc(none_predicted))
    assert confusion.f1(none_predicted) == 0
    no_positives = confusion_at(np.zeros(8, np.int8), PROBABILITIES, 0.95)
    assert np.isnan(confusion.recall(no_positives))
    assert np.isnan(confusion.balanced_accuracy(no_positives))
    assert np.isnan(confusion.f1(no_positives))


def test_cells_of_many_thresholds_give_rates_of_the_same_shape() -> None:
    matrix = ConfusionMatrix(*(np.arange(6).reshape(2, 3) + k for k in range(4)))
    assert confusion.mcc(matrix).shape == (2, 3)
    assert confusion.mcc(matrix)[1, 2] == confusion.mcc(ConfusionMatrix(*(np.array(5 + k) for k in range(4))))


def test_matrices_are_equal_where_all_cells_are() -> None:
    matrix = ConfusionMatrix(*(np.arange(3) + k for k in range(4)))
    assert matrix == ConfusionMatrix(*(np.arange(3) + k for k in range(4)))
    assert matrix != ConfusionMatrix(*(np.arange(3) for _ in range(4)))
    assert matrix.swap_classes().swap_classes() == matrix
