"""A head from few labels: two suffice. The images without labels give its coordinates, and move it away from where they are many.

With few labels there are no folds to choose the strength of the penalty on, and thousands of features. So the features of the
whole pool, which need no labels, become coordinates on their principal axes, and the penalty is fixed. Axes of large variance
count more: classes mostly differ along them. docs/decisions/017 has what was measured.
"""

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from twofold.core.arrays import Labels, Reals
from twofold.decision.feature_stripes import Matrix, with_floor

C: Final = 30.0
"""Inverse strength of the penalty. On cats and dogs 30, 100, 300 and 1000 differ by less than the noise of 16 runs."""

PULL: Final = 120.0
"""Number of labels that all images without labels together weigh as much as: its influence fades as labels come."""

_ROUNDS: Final = 10
_SHARPNESS: Final = 2.0
_AXES: Final = 256
_SAMPLE: Final = 2_000  # images that the axes come from, and that a head is fitted with
_POWER: Final = 0.25  # coordinates are scaled by the variance of their axis to this power
_STEPS: Final = 50
_CHUNK: Final = 1_024  # images that are projected at once


@dataclass(frozen=True, slots=True, eq=False)
class PoolAxes:
    """The axes (d, k) of a pool, for features less `mean` (d,) in units of `std` (d,)."""

    mean: Matrix = field(repr=False)
    std: Matrix = field(repr=False)
    axes: Matrix = field(repr=False)

    def coordinates(self, features: Matrix) -> Matrix:
        """(n, d) -> (n, k)."""
        starts = range(0, len(features), _CHUNK)
        parts = [((features[start : start + _CHUNK] - self.mean) / self.std) @ self.axes for start in starts]
        return np.concatenate([*parts, np.empty((0, self.axes.shape[1]), np.float32)])


def sample_rows(n: int, seed: int = 0) -> NDArray[np.int64]:
    """At most 2,000 of n rows, in ascending order, which the seed draws."""
    return np.sort(np.random.default_rng(seed).permutation(n)[:_SAMPLE])


def fit_axes(features: Matrix, seed: int = 0) -> PoolAxes:
    """The axes of a pool with features (n, d): k <= 256, with which the mean square of coordinates is 1.

    They come from at most 2,000 of the images, which the seed draws.
    """
    sample = features[sample_rows(len(features), seed)]
    mean, std = sample.mean(axis=0), with_floor(sample.std(axis=0, dtype=np.float64)).astype(np.float32)
    sample = (sample - mean) / std
    variances, vectors = np.linalg.eigh((sample @ sample.T).astype(np.float64) / len(sample))
    kept = [number for number in np.argsort(-variances)[:_AXES] if variances[number] > 1e-6 * variances[-1]]
    if variances[-1] <= 0:  # all images are the same
        return PoolAxes(mean, std, np.zeros((features.shape[1], 1), np.float32))
    # sample.T @ vector has the length sqrt(n * variance), and coordinates along axes of unit length have the variance.
    weights = variances[kept] ** _POWER / np.sqrt(np.sum(variances[kept] ** (1 + 2 * _POWER)))
    scale = weights / np.sqrt(len(sample) * variances[kept])
    return PoolAxes(mean, std, np.asarray(sample.T @ (vectors[:, kept] * scale), np.float32))


@dataclass(frozen=True, slots=True, eq=False)
class FewLabelHead:
    """Weights (k,) and bias: the logit of the positive class from coordinates."""

    weights: Reals = field(repr=False)
    bias: float

    def logits(self, coordinates: Matrix) -> Reals:
        """(n, k) -> (n,)."""
        # In float32, like the coordinates: otherwise those of the whole pool are converted for every answer.
        return np.asarray(coordinates @ self.weights.astype(np.float32) + self.bias, np.float64)


def fit_few_labels(coordinates: Matrix, labels: Labels) -> FewLabelHead:
    """The head from the coordinates (m, k) of labelled images and their labels (m,).

    L2 logistic regression in which both classes weigh the same, because the labelled images are not drawn at random. It is solved
    by Newton's method: milliseconds for hundreds of labels. Where all labels are the same, the
    weights are 0 and the bias is the log-odds of that class after m such answers (Laplace's rule of succession).
    """
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):  # as in `fit_head`
        return _fit(coordinates.astype(np.float64), labels)


def fit_with_pool(coordinates: Matrix, labels: Labels, pool: Matrix) -> FewLabelHead:
    """The head from labelled images (m, k) and images of the pool (p, k), whose labels are not known.

    Self-training: the targets of the pool are the head's own probabilities, sharpened, so that the head moves away from where the
    images are many (entropy minimisation: Grandvalet and Bengio 2004; Lee 2013). A few rounds, from the head without the pool.
    Each replaces the loss of the pool by a quadratic bound of it (Böhning 1992), which is diagonal, because the coordinates of a
    pool are uncorrelated: a round costs two products with the pool, and a solution of the size of the labelled images.
    """
    from threadpoolctl import threadpool_limits

    rows = coordinates.astype(np.float64)
    with threadpool_limits(1):
        head = _fit(rows, labels)
        return _self_trained(head, rows, labels, pool) if head.weights.any() else head


def _self_trained(head: FewLabelHead, rows: NDArray[np.float64], labels: Labels, pool: Matrix) -> FewLabelHead:
    columns = np.hstack([rows, np.ones((len(labels), 1))])
    bound = PULL / 4 * np.append(np.mean(np.square(pool), axis=0), 1.0)
    penalty = bound + np.append(np.full(rows.shape[1], 1 / C), 0.0)
    solution = np.append(head.weights, head.bias)
    for _ in range(_ROUNDS):
        centre = (bound * solution - PULL * _pool_gradient(solution, pool)) / penalty
        solution = centre + _step_from(centre, solution, penalty, columns, labels)
    return FewLabelHead(solution[:-1], float(solution[-1]))


def _pool_gradient(solution: NDArray[np.float64], pool: Matrix) -> NDArray[np.float64]:
    """The gradient (k + 1,) of the mean loss of the pool, for targets that are the sharpened probabilities."""
    logits = pool @ solution[:-1].astype(np.float32) + np.float32(solution[-1])
    residual = (_probabilities(logits) - _probabilities(_SHARPNESS * logits)) / np.float32(len(pool))
    return np.append(residual @ pool, residual.sum()).astype(np.float64)


def _step_from(
    centre: NDArray[np.float64],
    solution: NDArray[np.float64],
    penalty: NDArray[np.float64],
    columns: NDArray[np.float64],
    labels: Labels,
) -> NDArray[np.float64]:
    """What is added to the centre (j,) for the least loss and penalty around it, by a step of Newton's method from the solution.

    In the space of the images (m,), or of the columns (m, j) where these are fewer.
    """
    p = _probabilities(columns @ solution)
    weight = _class_weights(labels) * np.maximum(p * (1 - p), 1e-6)
    target = columns @ (solution - centre) - _class_weights(labels) * (p - labels) / weight
    if len(columns) > len(centre):
        curvature = (columns.T * weight) @ columns + np.diag(penalty)
        return np.asarray(np.linalg.solve(curvature, columns.T @ (weight * target)))
    scaled = columns / penalty
    return np.asarray(scaled.T @ np.linalg.solve(scaled @ columns.T + np.diag(1 / weight), target))


def _probabilities(logits: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(1 / (1 + np.exp(-np.clip(logits, -40, 40))))


def _class_weights(labels: Labels) -> NDArray[np.float64]:
    """The weight of each image (m,), with which both classes weigh the same: the mean is 1."""
    m, positives = len(labels), int(labels.sum())
    return np.asarray(m * np.where(labels == 1, 0.5 / positives, 0.5 / (m - positives)))


def _fit(rows: NDArray[np.float64], labels: Labels) -> FewLabelHead:
    """In the space of the images (m, k), or of the coordinates where these are fewer."""
    (m, k), positives = rows.shape, int(labels.sum())
    if positives in (0, m):
        odds = np.log(m + 1.0) if m else 0.0
        return FewLabelHead(np.zeros(k), float(odds if positives else -odds))
    if m > k:
        solution = _minimise(rows, np.eye(k) / C, labels)
        return FewLabelHead(solution[:k], float(solution[k]))
    products = rows @ rows.T
    solution = _minimise(products, products / C, labels)
    return FewLabelHead(rows.T @ solution[:m], float(solution[m]))


def _minimise(columns: NDArray[np.float64], quadratic: NDArray[np.float64], labels: Labels) -> NDArray[np.float64]:
    """The coefficients (j,) of the columns (m, j), and the bias, with the least loss and penalty: (j + 1,)."""
    m, j = columns.shape
    columns = np.hstack([columns, np.ones((m, 1))])
    penalty = np.zeros((j + 1, j + 1))
    penalty[:j, :j] = quadratic
    weight = _class_weights(labels)
    solution = np.zeros(j + 1)
    for _ in range(_STEPS):
        p = _probabilities(columns @ solution)
        gradient = columns.T @ (weight * (p - labels)) + penalty @ solution
        curvature = columns.T @ (columns * (weight * np.maximum(p * (1 - p), 1e-6))[:, None]) + penalty
        step = np.linalg.solve(curvature + 1e-9 * np.eye(j + 1), gradient)
        solution = solution - step
        if np.abs(step).max() < 1e-6:
            break
    return solution


def diverse_rows(coordinates: Matrix, count: int, seed: int = 0) -> NDArray[np.int64]:
    """Rows of images that are unlike each other, at most `count`: those nearest to the centres of as many clusters (k-means)."""
    random, n = np.random.default_rng(seed), len(coordinates)
    if n <= count:
        return np.arange(n)
    centres = coordinates[np.sort(random.choice(n, count, replace=False))]
    for _ in range(10):
        nearest = _distances(coordinates, centres).argmin(axis=1)
        members = [coordinates[nearest == number] for number in range(count)]
        centres = np.stack(
            [part.mean(axis=0) if len(part) else old for part, old in zip(members, centres, strict=True)]
        )
    return np.array(list(dict.fromkeys(_distances(coordinates, centres).argmin(axis=0).tolist())), np.int64)


def distances_to_nearest(coordinates: Matrix, others: Matrix) -> Reals:
    """The squared distance of each image (n, k) to the nearest of the others (m, k), (n,)."""
    return np.asarray(_distances(coordinates, others).min(axis=1), np.float64)


def _distances(first: Matrix, second: Matrix) -> Matrix:
    products = np.sum(first**2, axis=1)[:, None] - 2 * first @ second.T + np.sum(second**2, axis=1)
    return np.asarray(np.maximum(products, 0))
