import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from twofold.decision.feature_stripes import FLOOR
from twofold.decision.logistic_regression import Regressions


def draw() -> tuple[NDArray[np.float32], NDArray[np.int8], NDArray[np.int64]]:
    rng = np.random.default_rng(5)
    labels = (np.arange(400) % 4 == 0).astype(np.int8)
    features = 10 + np.exp(rng.standard_normal(30)) * (rng.standard_normal((400, 30)) + 0.3 * labels[:, None])
    return features.astype(np.float32), labels, np.arange(400) // 80


def standardised(features: NDArray[np.float32], training: NDArray[np.float32]) -> NDArray[np.float64]:
    deviation = training.std(axis=0, dtype=np.float64)
    return (features - training.mean(axis=0, dtype=np.float64)) / np.hypot(deviation, FLOOR * np.median(deviation))


def reference(training: NDArray[np.bool_], C: float) -> NDArray[np.float64]:
    """Logits of all images by scikit-learn's regression on the training images, with their prior."""
    features, labels, _ = draw()
    model = LogisticRegression(C=C, class_weight="balanced", tol=1e-10, max_iter=10_000)
    model.fit(standardised(features[training], features[training]), labels[training])
    prevalence = labels[training].mean()
    return np.asarray(
        model.decision_function(standardised(features, features[training])) + np.log(prevalence / (1 - prevalence))
    )


def test_each_regression_is_the_one_that_scikit_learn_fits_on_its_training_images() -> None:
    features, labels, folds = draw()
    regressions = Regressions.from_features(features, labels, folds)
    coefficients = regressions.zeros()
    for C in (1e-3, 1e-1, 1.0):
        coefficients = regressions.fit(coefficients, C)
        logits = regressions.held_out_logits(coefficients)
        for fold in range(5):
            expected = reference(folds != fold, C)[folds == fold]
            np.testing.assert_allclose(logits[folds == fold], expected, rtol=0.01, atol=0.03)
        weights, bias = regressions.affine(coefficients)
        np.testing.assert_allclose(features @ weights + bias, reference(folds > -1, C), rtol=0.01, atol=0.03)


@pytest.mark.parametrize("fold", range(5))
def test_the_labels_of_a_fold_do_not_change_its_logits_by_a_single_bit(fold: int) -> None:
    features, labels, folds = draw()
    flipped = np.where(folds == fold, 1 - labels, labels).astype(np.int8)
    logits = []
    for targets in (labels, flipped):
        regressions = Regressions.from_features(features, targets, folds)
        coefficients = regressions.zeros()
        for C in (1e-3, 1e-1):
            coefficients = regressions.fit(coefficients, C)
        logits.append(regressions.held_out_logits(coefficients))
    before, after = logits
    np.testing.assert_array_equal(after[folds == fold], before[folds == fold])
    assert np.abs(after - before)[folds != fold].mean() > 0.3


def test_a_feature_that_is_nearly_constant_in_training_does_not_dominate_later() -> None:
    features, labels, folds = draw()
    rng = np.random.default_rng(0)
    features[:, 0] = 1e-4 * (labels + 0.1 * rng.standard_normal(400))  # separates the classes, at a tiny scale
    features[0, 0] = 1.0
    regressions = Regressions.from_features(features, labels, folds)
    logits = regressions.held_out_logits(regressions.fit(regressions.zeros(), 1.0))
    assert np.abs(logits).max() < 20
