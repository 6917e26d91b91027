import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from twofold.decision.logistic_regression import FLOOR, Regressions


def draw() -> tuple[NDArray[np.float32], NDArray[np.int8], NDArray[np.int64]]:
    rng = np.random.default_rng(5)
    labels = (np.arange(400) % 4 == 0).astype(np.int8)
    features = 10 + np.exp(rng.standard_normal(30)) * (rng.standard_normal((400, 30)) + 0.3 * labels[:, None])
    return features.astype(np.float32), labels, np.arange(400) // 80


def standardised(features: NDArray[np.float32], like: NDArray[np.float32]) -> NDArray[np.float64]:
    deviation = like.std(axis=0, dtype=np.float64)
    return (features - like.mean(axis=0, dtype=np.float64)) / np.hypot(deviation, FLOOR * np.median(deviation))


def reference(seen: NDArray[np.bool_], C: float) -> NDArray[np.float64]:
    """Logits of all vectors by scikit-learn's regression on those seen, at the odds of the classes."""
    features, labels, _ = draw()
    model = LogisticRegression(C=C, class_weight="balanced", tol=1e-10, max_iter=10_000)
    model.fit(standardised(features[seen], features[seen]), labels[seen])
    fraction = labels[seen].mean()
    return np.asarray(
        model.decision_function(standardised(features, features[seen])) + np.log(fraction / (1 - fraction))
    )


def test_each_regression_is_the_one_that_scikit_learn_fits_on_its_own_pictures() -> None:
    features, labels, folds = draw()
    regressions = Regressions.of(features, labels, folds)
    coefficients = regressions.zeros()
    for C in (1e-3, 1e-1, 1.0):
        coefficients = regressions.fit(coefficients, C)
        logits = regressions.held_out_logits(coefficients)
        for fold in range(5):
            expected = reference(folds != fold, C)[folds == fold]
            np.testing.assert_allclose(logits[folds == fold], expected, rtol=0.01, atol=0.03)
        weights, bias = regressions.affine(coefficients)
        np.testing.assert_allclose(features @ weights + bias, reference(folds > -1, C), rtol=0.01, atol=0.03)


def test_a_held_out_picture_has_no_say_in_its_own_logit() -> None:
    features, labels, folds = draw()
    before = Regressions.of(features, labels, folds)
    expected = before.held_out_logits(before.fit(before.zeros(), 0.1))
    labels[:80] = 1 - labels[:80]  # the whole of fold 0 lies
    after = Regressions.of(features, labels, folds)
    logits = after.held_out_logits(after.fit(after.zeros(), 0.1))
    np.testing.assert_allclose(logits[:80], expected[:80], atol=0.03)
    assert np.abs(logits[80:] - expected[80:]).mean() > 0.3


def test_a_channel_that_was_dead_in_the_fit_does_not_shout_later() -> None:
    features, labels, folds = draw()
    rng = np.random.default_rng(0)
    features[:, 0] = 1e-4 * (labels + 0.1 * rng.standard_normal(400))  # tells all, in a whisper
    features[0, 0] = 1.0
    regressions = Regressions.of(features, labels, folds)
    logits = regressions.held_out_logits(regressions.fit(regressions.zeros(), 1.0))
    assert np.abs(logits).max() < 20
