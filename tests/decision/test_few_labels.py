import numpy as np
import pytest
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from twofold.decision.few_labels import (
    PULL,
    C,
    distances_to_nearest,
    diverse_rows,
    fit_axes,
    fit_few_labels,
    fit_with_pool,
    sample_rows,
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


def entropy_loss(solution: np.ndarray, labelled: np.ndarray, labels: np.ndarray, pool: np.ndarray) -> float:
    """The loss of the labelled images, that of the pool as its entropy, and the penalty."""
    logits, others = labelled @ solution[:-1] + solution[-1], expit(pool @ solution[:-1] + solution[-1])
    weights = len(labels) * np.where(labels == 1, 0.5 / labels.sum(), 0.5 / (len(labels) - labels.sum()))
    entropy = -np.mean(others * np.log(others + 1e-12) + (1 - others) * np.log(1 - others + 1e-12))
    fit = np.sum(weights * (np.logaddexp(0, logits) - labels * logits))
    return float(fit + PULL * entropy + np.sum(solution[:-1] ** 2) / (2 * C))


@pytest.mark.parametrize("m", [4, 30], ids=["more coordinates than images", "fewer"])
def test_the_pool_lowers_the_entropy_of_its_answers_and_the_labels_keep_theirs(m: int) -> None:
    features, labels = two_clusters(300)
    pool = pool_coordinates(features)
    alone, head = fit_few_labels(pool[:m], labels[:m]), fit_with_pool(pool[:m], labels[:m], pool)
    losses = [entropy_loss(np.append(h.weights, h.bias), pool[:m], labels[:m], pool) for h in (alone, head)]
    assert losses[1] < losses[0]
    assert ((head.logits(pool[:m]) > 0) == (labels[:m] == 1)).all()
    correct = [np.mean((h.logits(pool) > 0) == (labels == 1)) for h in (alone, head)]
    assert correct[1] >= correct[0]


def test_two_labels_and_the_pool_find_the_gap_between_the_clusters() -> None:
    """The two labelled images also differ along the axis on which the clusters do not, so that they alone do not tell the gap."""
    random, labels = np.random.default_rng(0), (np.arange(400) % 2).astype(np.int8)
    features = np.stack([3.0 * (2 * labels - 1), np.zeros(400)], axis=1) + random.normal(0, [0.6, 2.5], (400, 2))
    features[:2] = [[-3, -2], [3, 2]]
    pool = pool_coordinates(features.astype(np.float32))
    alone, head = fit_few_labels(pool[:2], labels[:2]), fit_with_pool(pool[:2], labels[:2], pool)
    correct = [np.mean((h.logits(pool) > 0) == (labels == 1)) for h in (alone, head)]
    assert correct[0] < 0.95
    assert correct[1] > 0.98


def test_the_head_from_a_pool_does_not_depend_on_which_class_is_the_positive_one_or_on_the_order() -> None:
    features, labels = two_clusters(120, width=30)
    pool = pool_coordinates(features)
    head, swapped = fit_with_pool(pool[:20], labels[:20], pool), fit_with_pool(pool[:20], 1 - labels[:20], pool)
    backwards = fit_with_pool(pool[:20][::-1], labels[:20][::-1], pool[::-1])
    assert swapped.logits(pool) == pytest.approx(-head.logits(pool), abs=1e-3)
    assert backwards.logits(pool) == pytest.approx(head.logits(pool), abs=1e-3)


def test_a_pool_changes_nothing_without_both_classes_and_little_with_many_labels() -> None:
    features, labels = two_clusters(2_000, width=4)
    pool = pool_coordinates(features)
    one_class = fit_with_pool(pool[:3], np.ones(3, np.int8), pool)
    assert expit(one_class.logits(pool[:1])) == pytest.approx([0.8])
    alone, head = fit_few_labels(pool[:1900], labels[:1900]), fit_with_pool(pool[:1900], labels[:1900], pool)
    assert np.mean((alone.logits(pool) > 0) == (head.logits(pool) > 0)) > 0.99


def test_a_sample_is_drawn_without_repetition_and_is_everything_where_there_is_less() -> None:
    assert sample_rows(7).tolist() == list(range(7))
    rows = sample_rows(5_000)
    assert len(set(rows.tolist())) == len(rows) == 2_000
    assert rows.tolist() == sorted(rows.tolist()) == sample_rows(5_000).tolist()


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
