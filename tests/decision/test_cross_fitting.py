import numpy as np
import pytest
from numpy.typing import NDArray

from twofold.decision import fit_calibration
from twofold.decision.cross_fitting import cross_fit_probabilities, nested_scores
from twofold.decision.logistic_regression import Regressions


def draw(n: int = 100, d: int = 160) -> tuple[NDArray[np.float32], NDArray[np.int8], NDArray[np.int64]]:
    rng = np.random.default_rng(3)
    labels = (np.arange(n) % 2).astype(np.int8)
    features = rng.standard_normal((n, d)) + 0.3 * labels[:, None]
    return features.astype(np.float32), labels, rng.permutation(np.arange(n) % 5)


def test_each_fold_has_the_probabilities_of_a_calibration_on_the_others() -> None:
    features, labels, folds = draw()
    logits = features.sum(axis=1)
    probabilities = cross_fit_probabilities(logits, labels, folds)
    for fold in range(5):
        calibration = fit_calibration(logits[folds != fold], labels[folds != fold])
        np.testing.assert_array_equal(probabilities[folds == fold], calibration.probabilities(logits[folds == fold]))


def test_a_validation_set_is_calibrated_in_parts_that_do_not_see_their_own_labels() -> None:
    features, labels, folds = draw()
    logits = features.sum(axis=1)
    first = cross_fit_probabilities(logits, labels, np.zeros_like(folds))
    np.testing.assert_array_equal(first, cross_fit_probabilities(logits, labels, np.arange(100) // 2 % 5))


def test_no_calibration_sees_the_label_of_an_image_of_the_same_group() -> None:
    features, labels, folds = draw()
    logits, groups = features.sum(axis=1), np.arange(100) // 4
    before = cross_fit_probabilities(logits, labels, np.zeros_like(folds), groups)
    changed = labels.copy()
    changed[41:44] = 1 - changed[41:44]  # of the group of image 40; the class of a group is that of its first image
    after = cross_fit_probabilities(logits, changed, np.zeros_like(folds), groups)
    assert before[40] == after[40]
    assert not np.array_equal(before, after)


def test_nested_scores_are_those_of_heads_fitted_without_both_folds() -> None:
    features, labels, folds = draw()
    shuffles = [folds, np.roll(folds, 7)]
    nested = nested_scores(features, labels, shuffles, 0.01)
    for scores, fold_of in zip(nested, shuffles, strict=True):
        for a, b in ((0, 0), (1, 3), (4, 2)):
            training, held_out = (fold_of != a) & (fold_of != b), fold_of == a
            alone = Regressions.on_products(features, labels, training[None])
            expected = alone.logits(alone.fit(alone.zeros(), 0.01))[0, held_out]
            np.testing.assert_allclose(scores.logits[held_out, b], expected, atol=0.02)


@pytest.mark.parametrize("d", [40, 160])
def test_the_products_of_the_images_give_the_logits_of_their_features(d: int) -> None:
    """Against regressions that are standardised on their own training images, which are all but a few."""
    features, labels, folds = draw(d=d)
    features[1] = features[0]  # duplicates make the products singular
    masks = np.array([folds != 0, folds != 1])
    logits = []
    for regressions in (
        Regressions.on_products(features, labels, masks),
        Regressions.from_subsets(features, labels, masks, folds),
    ):
        logits.append(regressions.logits(regressions.fit(regressions.zeros(), 0.01)).ravel())
    assert np.corrcoef(*logits)[0, 1] > 0.99
    assert np.std(logits[0]) == pytest.approx(np.std(logits[1]), rel=0.05)


def test_labels_of_the_folds_left_out_change_nothing() -> None:
    features, labels, folds = draw()
    flipped = np.where((folds == 1) | (folds == 3), 1 - labels, labels).astype(np.int8)
    before, after = (nested_scores(features, targets, [folds], 0.01)[0] for targets in (labels, flipped))
    np.testing.assert_allclose(after.logits[folds == 1, 3], before.logits[folds == 1, 3], atol=1e-4)
    assert np.abs(after.logits - before.logits)[folds == 0].mean() > 0.1
