import tracemalloc

import numpy as np
import pytest
from numpy.typing import NDArray

from twofold.decision import HeadFit, fit_head
from twofold.errors import DataError

Drawn = tuple[NDArray[np.float32], NDArray[np.int8], NDArray[np.int64]]


def draw(n: int = 300, d: int = 40, *, share: float = 0.5, seed: int = 0) -> Drawn:
    """Vectors of correlated, skewed channels on very different scales, 10 of which tell the classes apart a little."""
    rng = np.random.default_rng(seed)
    labels = (np.arange(n) < share * n).astype(np.int8)
    hidden = rng.standard_normal((n, 10)) + 0.5 * labels[:, None]
    vectors = np.exp((hidden @ rng.standard_normal((10, d)) + rng.standard_normal((n, d))) / 4)
    return (vectors * np.exp(rng.standard_normal(d))).astype(np.float32), labels, np.arange(n) % 5


@pytest.fixture(scope="module")
def fitted() -> HeadFit:
    return fit_head(*draw())


def log_loss(logits: NDArray[np.float64], labels: NDArray[np.int8]) -> float:
    return float(np.logaddexp(0, np.where(labels == 1, -logits, logits)).mean())


def test_the_strength_of_least_out_of_fold_loss_is_chosen(fitted: HeadFit) -> None:
    assert fitted.strength == min(fitted.losses, key=lambda strength: fitted.losses[strength])
    assert fitted.losses[fitted.strength] == pytest.approx(log_loss(fitted.logits, draw()[1]))


def test_it_learns_what_there_is_to_learn(fitted: HeadFit) -> None:
    labels = draw()[1]
    assert fitted.losses[fitted.strength] < 0.55
    assert np.mean((fitted.logits > 0) == labels) > 0.7


def test_the_head_on_all_pictures_is_close_to_the_out_of_fold_heads(fitted: HeadFit) -> None:
    logits = fitted.head.logits(draw()[0])
    assert fitted.head.weights.dtype == np.float32
    assert np.corrcoef(logits, fitted.logits)[0, 1] > 0.95


def test_the_path_stops_where_the_loss_has_risen() -> None:
    vectors, labels, folds = draw()
    rng = np.random.default_rng(1)
    guessing = fit_head(vectors, rng.permutation(labels), folds)
    assert guessing.strength == 1e-5
    assert len(guessing.losses) < 6


def test_vectors_of_another_scale_and_origin_give_the_same_logits(fitted: HeadFit) -> None:
    vectors, labels, folds = draw()
    moved = fit_head(vectors * np.float32(64) + np.float32(5), labels, folds)
    np.testing.assert_allclose(moved.logits, fitted.logits, atol=0.05)
    np.testing.assert_allclose(moved.head.logits(vectors * 64 + 5), fitted.head.logits(vectors), atol=0.05)


def test_swapped_labels_turn_the_sign_of_the_logits(fitted: HeadFit) -> None:
    vectors, labels, folds = draw()
    np.testing.assert_allclose(fit_head(vectors, 1 - labels, folds).logits, -fitted.logits, atol=0.05)


def test_the_order_of_the_pictures_changes_nothing(fitted: HeadFit) -> None:
    order = np.random.default_rng(0).permutation(300)
    vectors, labels, folds = draw()
    shuffled = fit_head(vectors[order], labels[order], folds[order])
    np.testing.assert_allclose(shuffled.logits, fitted.logits[order], atol=0.05)
    np.testing.assert_allclose(shuffled.head.logits(vectors), fitted.head.logits(vectors), atol=0.05)


def test_the_names_of_the_folds_do_not_matter(fitted: HeadFit) -> None:
    vectors, labels, folds = draw()
    np.testing.assert_array_equal(fit_head(vectors, labels, folds * 7 - 3).logits, fitted.logits)


def test_logits_of_unequal_classes_speak_of_the_data_as_it_is() -> None:
    vectors, labels, folds = draw(2000, share=0.1)
    logits = fit_head(vectors, labels, folds).logits
    assert np.mean(1 / (1 + np.exp(-logits))) == pytest.approx(0.1, abs=0.02)


def test_more_numbers_than_pictures_and_constant_numbers_are_welcome() -> None:
    vectors, labels, folds = draw(60, 400)
    vectors[:, :50] = 3
    fit = fit_head(vectors, labels, folds)
    assert np.isfinite(fit.logits).all()
    assert np.abs(fit.head.weights[:50]).max() < 1e-12


def test_vectors_that_are_all_equal_give_the_odds_of_the_classes() -> None:
    fit = fit_head(np.ones((100, 8), np.float32), (np.arange(100) < 20).astype(np.int8), np.arange(100) % 5)
    np.testing.assert_allclose(fit.logits, np.log(20 / 80), atol=1e-3)


def test_a_vector_that_is_not_finite_is_refused() -> None:
    vectors, labels, folds = draw()
    vectors[7, 3] = np.nan
    with pytest.raises(DataError, match="not finite"):
        fit_head(vectors, labels, folds)


def test_a_fold_that_holds_a_whole_class_is_refused() -> None:
    vectors, labels, _ = draw()
    with pytest.raises(DataError, match="one class"):
        fit_head(vectors, labels, labels.astype(np.int64))


def test_one_copy_of_the_vectors_is_enough() -> None:
    vectors, labels, folds = draw(4000, 400)
    fit_head(*draw(60, 4))  # imports
    tracemalloc.start()
    fit_head(vectors, labels, folds)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2.2 * vectors.nbytes
