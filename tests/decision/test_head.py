import tracemalloc

import numpy as np
import pytest
from numpy.typing import NDArray

from twofold.core.errors import DataError
from twofold.decision import HeadFit, fit_head

Drawn = tuple[NDArray[np.float32], NDArray[np.int8], NDArray[np.int64]]


def draw(n: int = 300, d: int = 40, *, fraction: float = 0.5, seed: int = 0) -> Drawn:
    """Correlated, skewed features on very different scales; 10 hidden ones separate the classes a little."""
    rng = np.random.default_rng(seed)
    labels = (np.arange(n) < fraction * n).astype(np.int8)
    hidden = rng.standard_normal((n, 10)) + 0.5 * labels[:, None]
    features = np.exp((hidden @ rng.standard_normal((10, d)) + rng.standard_normal((n, d))) / 4)
    return (features * np.exp(rng.standard_normal(d))).astype(np.float32), labels, np.arange(n) % 5


@pytest.fixture(scope="module")
def fitted() -> HeadFit:
    return fit_head(*draw())


def log_loss(logits: NDArray[np.float64], labels: NDArray[np.int8]) -> float:
    return float(np.logaddexp(0, np.where(labels == 1, -logits, logits)).mean())


def test_the_c_of_least_out_of_fold_loss_is_chosen(fitted: HeadFit) -> None:
    assert fitted.C == min(fitted.losses, key=lambda C: fitted.losses[C])
    assert fitted.losses[fitted.C] == pytest.approx(log_loss(fitted.logits, draw()[1]))


def test_the_head_learns(fitted: HeadFit) -> None:
    labels = draw()[1]
    assert fitted.losses[fitted.C] < 0.55
    assert np.mean((fitted.logits > 0) == labels) > 0.7


def test_the_head_on_all_images_is_close_to_the_out_of_fold_heads(fitted: HeadFit) -> None:
    logits = fitted.head.logits(draw()[0])
    assert fitted.head.weights.dtype == np.float32
    assert np.corrcoef(logits, fitted.logits)[0, 1] > 0.95


def test_the_path_stops_where_the_loss_has_risen() -> None:
    features, labels, folds = draw()
    rng = np.random.default_rng(1)
    unrelated = fit_head(features, rng.permutation(labels), folds)
    assert unrelated.C == 1e-5
    assert len(unrelated.losses) < 6


def test_features_of_another_scale_and_origin_give_the_same_logits(fitted: HeadFit) -> None:
    features, labels, folds = draw()
    moved = fit_head(features * np.float32(64) + np.float32(5), labels, folds)
    np.testing.assert_allclose(moved.logits, fitted.logits, atol=0.05)
    np.testing.assert_allclose(moved.head.logits(features * 64 + 5), fitted.head.logits(features), atol=0.05)


def test_swapped_labels_turn_the_sign_of_the_logits(fitted: HeadFit) -> None:
    features, labels, folds = draw()
    np.testing.assert_allclose(fit_head(features, 1 - labels, folds).logits, -fitted.logits, atol=0.05)


def test_the_order_of_the_images_changes_nothing(fitted: HeadFit) -> None:
    order = np.random.default_rng(0).permutation(300)
    features, labels, folds = draw()
    shuffled = fit_head(features[order], labels[order], folds[order])
    np.testing.assert_allclose(shuffled.logits, fitted.logits[order], atol=0.05)
    np.testing.assert_allclose(shuffled.head.logits(features), fitted.head.logits(features), atol=0.05)


def test_the_names_of_the_folds_do_not_matter(fitted: HeadFit) -> None:
    features, labels, folds = draw()
    np.testing.assert_array_equal(fit_head(features, labels, folds * 7 - 3).logits, fitted.logits)


def test_logits_of_unequal_classes_have_the_prior_of_the_data() -> None:
    features, labels, folds = draw(2000, fraction=0.1)
    logits = fit_head(features, labels, folds).logits
    assert np.mean(1 / (1 + np.exp(-logits))) == pytest.approx(0.1, abs=0.02)


def test_more_features_than_images_and_constant_features_are_allowed() -> None:
    features, labels, folds = draw(60, 400)
    features[:, :50] = 3
    fit = fit_head(features, labels, folds)
    assert np.isfinite(fit.logits).all()
    assert np.abs(fit.head.weights[:50]).max() < 1e-12


def test_features_that_are_all_equal_give_the_odds_of_the_classes() -> None:
    fit = fit_head(np.ones((100, 8), np.float32), (np.arange(100) < 20).astype(np.int8), np.arange(100) % 5)
    np.testing.assert_allclose(fit.logits, np.log(20 / 80), atol=1e-3)


def test_features_that_are_not_finite_are_refused() -> None:
    features, labels, folds = draw()
    features[7, 3] = np.nan
    with pytest.raises(DataError, match="not finite"):
        fit_head(features, labels, folds)


def test_a_fold_that_holds_a_whole_class_is_refused() -> None:
    features, labels, _ = draw()
    with pytest.raises(DataError, match="one class"):
        fit_head(features, labels, labels.astype(np.int64))


def test_one_copy_of_the_features_is_enough() -> None:
    features, labels, folds = draw(4000, 400)
    fit_head(*draw(60, 4))  # imports
    tracemalloc.start()
    fit_head(features, labels, folds)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2.2 * features.nbytes
