import tracemalloc
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from twofold.core.errors import DataError
from twofold.decision import fit_head
from twofold.decision.feature_stripes import Stripes
from twofold.decision.logistic_regression import Regressions
from twofold.decision.penalty_search import balanced_sample


def draw(count: int = 600, width: int = 40) -> tuple[NDArray[np.float16], NDArray[np.int8], NDArray[np.int64]]:
    """Features as they are saved: with means far from 0, and scales that differ."""
    rng = np.random.default_rng(3)
    labels = (rng.random(count) < 0.3).astype(np.int8)
    signal = 0.4 * rng.standard_normal(width)
    features = 20 + np.exp(rng.standard_normal(width)) * (
        rng.standard_normal((count, width)) + labels[:, None] * signal
    )
    return features.astype(np.float16), labels, np.arange(count) % 5


@pytest.mark.parametrize("height", [1, 7, 599])
def test_stripes_are_the_rows_of_the_matrix_in_memory(height: int) -> None:
    features, _, _ = draw()
    ((_, matrix),) = Stripes.standardise(features)
    stripes = Stripes.standardise(features, height)
    for _ in range(2):  # they can be read again
        rows, parts = zip(*stripes, strict=True)
        assert [len(part) for part in parts[:-1]] == [height] * (len(parts) - 1)
        assert rows[0].start == 0
        assert all(first.stop == second.start for first, second in pairwise(rows))
        np.testing.assert_allclose(np.concatenate(parts), matrix, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("height", [7, 64, 599, 600])
def test_regressions_in_stripes_are_those_in_memory(height: int) -> None:
    features, labels, folds = draw()
    logits = []
    for rows in (None, height):
        regressions = Regressions.from_features(features, labels, folds, rows)
        coefficients = regressions.zeros()
        for C in (1e-3, 1e-1):
            coefficients = regressions.fit(coefficients, C)
        logits.append(regressions.logits(coefficients))
    np.testing.assert_allclose(logits[1], logits[0], atol=2e-3)
    losses = [np.logaddexp(0, each) - labels * each for each in logits]
    assert losses[1].mean() == pytest.approx(losses[0].mean(), rel=1e-4)


def test_losses_and_gradients_of_stripes_are_those_in_memory() -> None:
    features, labels, folds = draw()
    coefficients = 0.1 * np.random.default_rng(0).standard_normal((6, features.shape[1] + 1))
    in_memory, striped = (
        Regressions.from_features(features, labels, folds, rows)._losses(coefficients, 0.1) for rows in (None, 50)
    )
    for expected, found in zip(in_memory, striped, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("part", [2, 4, 8])
def test_the_head_out_of_core_is_as_good_as_that_in_memory(part: int) -> None:
    features, labels, folds = draw(2000)
    expected = fit_head(features.astype(np.float32), labels, folds)
    found = fit_head(features, labels, folds, memory=4 * features.size // part)
    assert min(found.losses.values()) == pytest.approx(min(expected.losses.values()), rel=0.001)
    assert found.losses[found.C] == min(found.losses.values())
    losses = np.logaddexp(0, found.logits) - labels * found.logits
    assert losses.mean() == pytest.approx(found.losses[found.C])
    if found.C == expected.C:
        np.testing.assert_allclose(found.logits, expected.logits, atol=0.1)


def test_features_of_float16_that_fit_in_memory_are_fitted_as_those_of_float32() -> None:
    features, labels, folds = draw()
    expected = fit_head(features.astype(np.float32), labels, folds)
    np.testing.assert_array_equal(fit_head(features, labels, folds).logits, expected.logits)


def test_the_labels_of_a_fold_do_not_change_its_logits_in_stripes() -> None:
    features, labels, folds = draw()
    flipped = np.where(folds == 0, 1 - labels, labels).astype(np.int8)
    before, after = (Regressions.from_features(features, targets, folds, 100) for targets in (labels, flipped))
    logits = [each.held_out_logits(each.fit(each.zeros(), 0.01)) for each in (before, after)]
    np.testing.assert_array_equal(logits[0][folds == 0], logits[1][folds == 0])
    assert np.abs(logits[0] - logits[1])[folds != 0].max() > 0.1


def test_a_fit_out_of_core_takes_a_fraction_of_the_features_memory() -> None:
    features, labels, folds = draw(20_000, 200)  # 16 MB as float32
    fit_head(features[:100], labels[:100], folds[:100])  # imports
    tracemalloc.start()
    fit_head(features, labels, folds, memory=1_000_000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 12_000_000  # 6 regressions of 20,000 float64 take 1 MB each time


def test_a_feature_that_is_not_finite_is_an_error_in_stripes_too() -> None:
    features, labels, folds = draw()
    features[-1, -1] = np.inf
    with pytest.raises(DataError, match="not finite"):
        Regressions.from_features(features, labels, folds, 100)


@pytest.mark.parametrize(("count", "expected"), [(20, (10, 10)), (100, (70, 30)), (1000, (270, 30))])
def test_a_sample_has_both_classes_as_equally_as_there_are_images(count: int, expected: tuple[int, int]) -> None:
    labels = (np.arange(300) % 10 == 0).astype(np.int8)
    rows = balanced_sample(labels, count)
    assert np.bincount(labels[rows], minlength=2).tolist() == list(expected)
    assert (np.diff(rows) > 0).all()
