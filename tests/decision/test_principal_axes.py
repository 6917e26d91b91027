"""Principal axes are those of the covariance, with or without a fold."""

import numpy as np
import pytest

from twofold.decision.principal_axes import Moments, without_each_fold

ROWS = (np.random.default_rng(0).normal(size=(300, 40)) * np.linspace(3, 0.1, 40) ** 2 + 5).astype(np.float32)


def exact_axes(rows: np.ndarray, count: int) -> np.ndarray:
    """By the singular value decomposition of NumPy, in double precision."""
    centred = rows.astype(np.float64) - rows.mean(axis=0, dtype=np.float64)
    return np.linalg.svd(centred, full_matrices=False)[2][:count]


@pytest.mark.parametrize("count", [1, 5, 12])
def test_the_axes_are_those_of_the_singular_value_decomposition(count: int) -> None:
    axes, exact = Moments.of_rows(ROWS).axes(count), exact_axes(ROWS, count)
    assert axes.shape == (count, 40)
    assert np.allclose(axes @ axes.T, np.eye(count), atol=1e-5)
    assert np.allclose(np.linalg.svd(axes @ exact.T, compute_uv=False), 1, atol=1e-3)  # the same subspace


def test_each_fold_has_no_part_in_its_own_moments() -> None:
    folds = np.arange(300) % 3
    moments = list(without_each_fold(ROWS, folds))
    assert [held_out.sum() for held_out, _ in moments] == [0, 100, 100, 100]
    for held_out, others in moments:
        assert others.count == (~held_out).sum()
        assert np.allclose(others.mean, ROWS[~held_out].mean(axis=0), rtol=1e-4)
        assert np.allclose(others.products, ROWS[~held_out].T @ ROWS[~held_out], rtol=1e-3)


def test_rows_of_a_negative_fold_are_in_all_moments() -> None:
    folds = np.where(np.arange(300) < 200, -1, 0)
    (_, everything), (held_out, others) = without_each_fold(ROWS, folds)
    assert everything.count == 300
    assert held_out.tolist() == (folds == 0).tolist()
    assert others.count == 200


def test_vectors_that_are_all_equal_have_orthonormal_axes() -> None:
    axes = Moments.of_rows(np.ones((10, 6), np.float32)).axes(2)
    assert np.isfinite(axes).all()
