import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit
from scipy.stats import bernoulli, beta, norm
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


def negative_log_posterior(theta: NDArray[np.float64], z: NDArray[np.float64], labels: NDArray[np.int8]) -> float:
    """Of slope, intercept, log of low and log of 1 - high, by SciPy's distributions; z has unit variance."""
    low, above = np.exp(theta[2:])
    p = low + (1 - low - above) * expit(theta[0] * z + theta[1])
    prior = norm.logpdf(theta[:2], 0, 10).sum() + beta.logpdf([low, above], 0.5, 100).sum() + theta[2:].sum()
    return float(-bernoulli.logpmf(labels, p).sum() - prior)


@pytest.mark.parametrize(("count", "distance"), [(30, 1.0), (30, 4.0), (800, 2.5)])
def test_the_curve_is_the_one_of_the_highest_posterior(count: int, distance: float) -> None:
    labels = (np.arange(count) < count / 3).astype(np.int8)
    logits = distance * (2 * labels - 1) + np.random.default_rng(count).standard_normal(count)
    centre, std = logits.mean(), logits.std()
    start = [3.0, 0.0, -5.0, -5.0]
    arguments = ((logits - centre) / std, labels)
    options = {"xatol": 1e-9, "fatol": 1e-11, "maxiter": 20_000, "maxfev": 20_000}
    reference = minimize(negative_log_posterior, start, arguments, "Nelder-Mead", options=options)
    fitted = fit_calibration(logits, labels)
    theta = [fitted.slope * std, fitted.intercept + fitted.slope * centre, np.log(fitted.low), np.log(1 - fitted.high)]
    np.testing.assert_allclose(theta, reference.x, atol=2e-3)


def test_without_exceptions_the_slope_is_the_one_that_scikit_learn_fits(drawn: Drawn) -> None:
    slope, intercept = _sigmoid_calibration(*drawn)  # 1 / (1 + exp(slope * logit + intercept))
    fitted = fit_calibration(*drawn)
    assert fitted.slope == pytest.approx(-slope, rel=0.05)
    assert fitted.intercept == pytest.approx(-intercept, abs=0.05)
    assert max(fitted.low, 1 - fitted.high) < 0.02


def test_rates_of_wrong_labels_become_the_bounds() -> None:
    rng = np.random.default_rng(5)
    truth = rng.random(20_000) < 0.5
    flipped = rng.random(20_000) < np.where(truth, 0.04, 0.01)
    logits = np.where(truth, 4.0, -4.0) + rng.standard_normal(20_000)
    fitted = fit_calibration(logits, (truth ^ flipped).astype(np.int8))
    assert fitted.low == pytest.approx(flipped[~truth].mean(), abs=5e-4)
    assert 1 - fitted.high == pytest.approx(flipped[truth].mean(), abs=5e-4)


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


def test_a_probability_is_never_0_or_1() -> None:
    labels = (np.arange(40_000) < 20_000).astype(np.int8)
    fitted = fit_calibration(np.where(labels == 1, 3.0, -3.0), labels)
    probabilities = fitted.probabilities(np.array([-1e9, 1e9]))
    assert probabilities[0] > 1e-6
    assert probabilities[1] < 1 - 1e-6


@pytest.mark.parametrize("logits", [np.full(12, 5.0), np.linspace(1, -1, 12)])
def test_uninformative_logits_give_the_prevalence_and_keep_their_order(logits: NDArray[np.float64]) -> None:
    labels = np.array([0] * 3 + [1] * 9, np.int8)
    fitted = fit_calibration(logits, labels)
    assert fitted.slope == pytest.approx(MINIMAL_SLOPE / (logits.std() or 1))
    np.testing.assert_allclose(fitted.probabilities(logits), 9.5 / 13, atol=0.005)
    assert fitted.probabilities(np.array([-1.0])) < fitted.probabilities(np.array([1.0]))


def test_a_sigmoid_through_a_point_gives_one_half_there(drawn: Drawn) -> None:
    logits, labels = drawn
    fitted = fit_calibration_through(logits, labels, 1.25)
    assert fitted.probabilities(np.array([1.25])) == pytest.approx(0.5)
    losses = [np.logaddexp(0, np.where(labels == 1, -1, 1) * k * (logits - 1.25)).sum() for k in np.linspace(0, 1, 101)]
    assert fitted.slope == pytest.approx(np.argmin(losses) / 100, abs=0.01)


def test_extreme_logits_overflow_nowhere() -> None:
    assert sigmoid(np.array([-1e4, 0.0, 1e4])).tolist() == [0.0, 0.5, 1.0]


def test_labels_of_one_class_give_finite_probabilities() -> None:
    logits = np.linspace(-1, 1, 20)
    probabilities = fit_calibration(logits, np.ones(20, np.int8)).probabilities(logits)
    assert ((probabilities > 0.9) & (probabilities < 1)).all()
