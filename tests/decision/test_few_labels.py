import numpy as np
import pytest
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from twofold.decision.few_labels import (
    C,
    distances_to_nearest,
    diverse_rows,
    fit_axes,
    fit_few_labels,
)


def pool_coordinates(features: np.ndarray) -> np.ndarray:
    return fit_axes(features).coordinates(features)


def two_clusters(n: int, width: int = 12, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    labels = (np.arange(n) % 2).astype(np.int8)
    features = random.normal(size=(n, width)) + 3 * labels[:, None] * (np.arange(width) < 2)
    return features.astype(np.float32), labels


@pytest.mark.parametrize("width", [12, 100], ids=["fewer coordinates than images", "more"])
def test_the_head_is_the_logistic_regression_of_scikit_learn_with_balanced_classes(width: int) -> None:
    features, labels = two_clusters(60, width)
    labels[:6] = 1
    coordinates, labels = pool_coordinates(features)[:40], labels[:40]
    assert coordinates.shape[1] == min(width, 60 - 1)
    head = fit_few_labels(coordinates, labels)
    solver = LogisticRegression(C=C, class_weight="balanced", solver="newton-cholesky", tol=1e-10)
    other = solver.fit(coordinates.astype(np.float64), labels)
    assert head.weights == pytest.approx(other.coef_[0], abs=1e-3)
    assert head.bias == pytest.approx(other.intercept_[0], abs=1e-3)


def test_two_labels_suffice_to_tell_clusters_apart() -> None:
    features, labels = two_clusters(200, width=4)
    coordinates = pool_coordinates(features * 10)
    head = fit_few_labels(coordinates[:2], labels[:2])
    assert np.mean((head.logits(coordinates) > 0) == (labels == 1)) > 0.9


def test_without_the_other_class_the_answer_is_the_known_one_by_the_rule_of_succession() -> None:
    coordinates = np.ones((3, 2), np.float32)
    assert expit(fit_few_labels(coordinates, np.ones(3, np.int8)).logits(coordinates)) == pytest.approx([0.8] * 3)
    assert expit(fit_few_labels(coordinates, np.zeros(3, np.int8)).logits(coordinates)) == pytest.approx([0.2] * 3)
    assert fit_few_labels(coordinates[:0], np.empty(0, np.int8)).logits(coordinates).tolist() == [0, 0, 0]


def test_coordinates_keep_the_order_of_the_images_and_do_not_depend_on_scale() -> None:
    features, _ = two_clusters(50)
    coordinates = pool_coordinates(features)
    assert np.mean(np.sum(coordinates**2, axis=1)) == pytest.approx(1, abs=1e-4)
    for other in (features * 7 + 5, features[:, ::-1]):
        products = pool_coordinates(np.ascontiguousarray(other)) @ coordinates.T
        assert np.abs(products @ products.T - coordinates @ coordinates.T @ coordinates @ coordinates.T).max() < 1e-3


def test_equal_images_and_a_pool_of_three_have_coordinates() -> None:
    assert pool_coordinates(np.ones((5, 4), np.float32)).tolist() == [[0.0]] * 5
    assert fit_axes(np.ones((5, 4), np.float32)).coordinates(np.empty((0, 4), np.float32)).shape == (0, 1)
    assert pool_coordinates(two_clusters(3)[0]).shape[0] == 3


def test_diverse_rows_come_from_every_cluster_and_are_fixed_by_the_seed() -> None:
    features = np.repeat(np.eye(6, dtype=np.float32) * 9, 20, axis=0)
    features += np.random.default_rng(0).normal(0, 0.1, features.shape).astype(np.float32)
    rows = diverse_rows(features, 12, seed=2)
    assert len(set(rows.tolist())) == len(rows) <= 12
    assert len({row // 20 for row in rows.tolist()}) >= 5
    assert rows.tolist() == diverse_rows(features, 12, seed=2).tolist()
    assert diverse_rows(features[:4], 12).tolist() == [0, 1, 2, 3]


def test_the_distance_is_that_to_the_nearest() -> None:
    first, second = np.array([[0, 0], [3, 4]], np.float32), np.array([[0, 1], [3, 0]], np.float32)
    assert distances_to_nearest(first, second).tolist() == [1.0, 16.0]
