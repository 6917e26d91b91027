import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.calibration import _sigmoid_calibration

from twofold.decision import fit_calibration
from twofold.decision.calibration import MINIMAL_SLOPE, fit_calibration_through, sigmoid

Drawn = tuple[NDArray[np.float64], NDArray[np.int8]]


@pytest.fixture
def drawn() -> Drawn:
    """Logits that are twice too large and half a unit too high."""
    rng = np.random.default_rng(3)
    truth = rng.normal(0.5, 2, 3000)
    return 2 * truth + 0.5, (rng.random(3000) < sigmoid(truth)).astype(np.int8)


def test_the_sigmoid_is_the_one_that_scikit_learn_fits(drawn: Drawn) -> None:
    slope, intercept = _sigmoid_calibration(*drawn)  # 1 / (1 + exp(slope * logit + intercept))
    fitted = fit_calibration(*drawn)
    assert fitted.slope == pytest.approx(-slope, rel=1e-3)
    assert fitted.intercept == pytest.approx(-intercept, abs=1e-3)


def test_the_true_sigmoid_is_recovered(drawn: Drawn) -> None:
    fitted = fit_calibration(*drawn)
    assert fitted.slope == pytest.approx(0.5, abs=0.05)
    assert fitted.intercept == pytest.approx(-0.25, abs=0.1)


def test_the_mean_probability_is_the_prevalence(drawn: Drawn) -> None:
    logits, labels = drawn
    assert fit_calibration(logits, labels).probabilities(logits).mean() == pytest.approx(labels.mean(), abs=1e-3)


def test_the_scale_of_the_logits_changes_no_probability(drawn: Drawn) -> None:
    logits, labels = drawn
    scaled = 1000 * logits - 77
    expected = fit_calibration(logits, labels).probabilities(logits)
    np.testing.assert_allclose(fit_calibration(scaled, labels).probabilities(scaled), expected, atol=1e-6)


def test_swapped_labels_mirror_the_probabilities(drawn: Drawn) -> None:
    logits, labels = drawn
    mirrored = fit_calibration(-logits, 1 - labels).probabilities(-logits)
    np.testing.assert_allclose(mirrored, 1 - fit_calibration(logits, labels).probabilities(logits), atol=1e-6)


def test_perfectly_separated_logits_get_the_smoothed_targets() -> None:
    logits, labels = np.array([-3.0] * 10 + [3.0] * 10), np.array([0] * 10 + [1] * 10, np.int8)
    fitted = fit_calibration(logits, labels)
    # Platt 1999: 1 / (10 + 2) and (10 + 1) / (10 + 2); Krichevsky and Trofimov 1981: 0.5 / (10 + 1)
    np.testing.assert_allclose(sigmoid(fitted.slope * np.array([-3.0, 3.0]) + fitted.intercept), [1 / 12, 11 / 12])
    np.testing.assert_allclose(fitted.probabilities(np.array([-1e9, 1e9])), [0.5 / 11, 10.5 / 11])


@pytest.mark.parametrize("logits", [np.full(12, 5.0), np.linspace(1, -1, 12)])
def test_uninformative_logits_give_the_prevalence_and_keep_their_order(logits: NDArray[np.float64]) -> None:
    labels = np.array([0] * 3 + [1] * 9, np.int8)
    fitted = fit_calibration(logits, labels)
    assert fitted.slope == pytest.approx(MINIMAL_SLOPE / (logits.std() or 1))
    # (9 * 10/11 + 3 * 1/5) / 12 = 0.725 of the way from 0.5 / 4 to 1 - 0.5 / 10
    np.testing.assert_allclose(fitted.probabilities(logits), 0.723, atol=0.01)
    assert fitted.probabilities(np.array([-1.0])) < fitted.probabilities(np.array([1.0]))


def test_a_sigmoid_through_a_point_gives_one_half_there(drawn: Drawn) -> None:
    logits, labels = drawn
    fitted = fit_calibration_through(logits, labels, 1.25)
    assert fitted.probabilities(np.array([1.25])) == pytest.approx(0.5)
    losses = [np.logaddexp(0, np.where(labels == 1, -1, 1) * k * (logits - 1.25)).sum() for k in np.linspace(0, 1, 101)]
    assert fitted.slope == pytest.approx(np.argmin(losses) / 100, abs=0.01)


def test_extreme_logits_overflow_nowhere() -> None:
    assert sigmoid(np.array([-1e4, 0.0, 1e4])).tolist() == [0.0, 0.5, 1.0]
