"""Logistic regressions fitted side by side: one for each fold, on the images outside it, and a last one on all images."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from twofold.core.arrays import Reals
from twofold.core.errors import DataError

Matrix = NDArray[np.float32]

FLOOR = 0.1
"""Fraction of the median standard deviation that is added, in square, to each. Without it a channel that is nearly constant in
the training data dominates the logits of images that activate it: a solar cell lay 4,299 deviations out (docs/decisions/002)."""

DIRECTIONS = 16
"""Directions of the largest variance along which steps are scaled; more cost as much time as they save."""

TOLERANCE: Final = 1e-6
"""A regression has converged when a step lowers its loss by less. docs/decisions/002 compares with the exact minimum."""

MEMORY: Final = 10
"""Number of steps in the memory of L-BFGS."""

MAX_STEPS: Final = 1000


@dataclass(frozen=True, slots=True, eq=False)
class Regressions:
    """k L2 logistic regressions on one matrix, each with its own images, standardisation and class weights.

    Reading the matrix takes most of the time, and each pass serves all regressions. The matrix is standardised over all images,
    for the precision of float32 only; `centre` and `scale` replace this by the standardisation of each regression. Coefficients
    are (k, d + 1), the bias last. No operation mixes rows of the coefficients: each regression is independent of the others.
    """

    matrix: Matrix  # (n, d)
    mean: Reals  # (d,) of the features
    std: Reals  # (d,) matrix = (features - mean) / std
    centre: Reals  # (k, d) mean of the matrix over the training images of each regression
    scale: Reals  # (k, d) 1 / standard deviation of the matrix over them
    weight: Reals  # (k, n) of each image, 0 where held out; each class sums to 1/2
    targets: Reals  # (n,)
    prior: Reals  # (k,) log-odds of the classes
    sizes: Reals  # (k,) training images
    held_out_by: NDArray[np.int64]  # (n,) the regression that was not fitted on the image
    directions: Reals  # (d, r) of the largest variance of the matrix
    variances: Reals  # (r,) along them, ascending

    @classmethod
    def from_features(cls, features: Matrix, labels: NDArray[np.int8], folds: NDArray[np.int64]) -> "Regressions":
        """The regressions on features (n, d) and labels (n,), 0 or 1: one for each of the folds (n,) and one on all images."""
        names, held_out_by = np.unique(folds, return_inverse=True)
        training_mask = np.vstack([folds != name for name in names] + [np.ones(len(folds), np.bool_)])
        return cls.from_subsets(features, labels, training_mask, held_out_by)

    @classmethod
    def from_subsets(
        cls,
        features: Matrix,
        labels: NDArray[np.int8],
        training_mask: NDArray[np.bool_],
        held_out_by: NDArray[np.int64],
    ) -> "Regressions":
        """The regressions on features (n, d) and labels (n,), each fitted on the images in its row of the mask (k, n)."""
        matrix, mean, std = _standardise(features)
        standardisations = _standardisations(matrix, std, training_mask)
        return cls._weighted(matrix, (mean, std), standardisations, labels, training_mask, held_out_by)

    @classmethod
    def on_products(cls, features: Matrix, labels: NDArray[np.int8], training_mask: NDArray[np.bool_]) -> "Regressions":
        """The same with one standardisation, that of all images, on a matrix (n, n) that has the products of the images.

        The logits depend on the products only. Coefficients are not those of the features.
        """
        matrix = _standardise(features)[0]
        n, d = matrix.shape
        if n < d:
            # Not a Cholesky factor: duplicates make the products singular.
            values, vectors = np.linalg.eigh((matrix @ matrix.T).astype(np.float64))
            matrix = (vectors * np.sqrt(np.maximum(values, 0))).astype(np.float32)
        zeros, ones = np.zeros(matrix.shape[1]), np.ones(matrix.shape[1])
        fraction = (training_mask / training_mask.sum(axis=1, keepdims=True)).astype(np.float32)
        centre = (fraction @ matrix).astype(np.float64)
        held_out_by = np.zeros(n, np.int64)
        return cls._weighted(matrix, (zeros, ones), (centre, np.ones_like(centre)), labels, training_mask, held_out_by)

    @classmethod
    def _weighted(
        cls,
        matrix: Matrix,
        standardisation: tuple[Reals, Reals],
        standardisations: tuple[Reals, Reals],
        labels: NDArray[np.int8],
        training_mask: NDArray[np.bool_],
        held_out_by: NDArray[np.int64],
    ) -> "Regressions":
        targets = (labels == 1).astype(np.float64)
        positives, negatives = training_mask @ targets, training_mask @ (1 - targets)
        if (positives == 0).any() or (negatives == 0).any():
            raise DataError("The images outside one fold are all of one class; use fewer folds or more images.")
        directions, variances = _largest_variance(matrix)
        return cls(
            matrix=matrix,
            mean=standardisation[0],
            std=standardisation[1],
            centre=standardisations[0],
            scale=standardisations[1],
            weight=training_mask * np.where(labels == 1, 0.5 / positives[:, None], 0.5 / negatives[:, None]),
            targets=targets,
            prior=np.log(positives / negatives),
            sizes=positives + negatives,
            held_out_by=held_out_by,
            directions=directions,
            variances=variances,
        )

    def zeros(self) -> Reals:
        """The coefficients to start from."""
        return np.zeros((len(self.sizes), self.matrix.shape[1] + 1))

    def fit(self, start: Reals, C: float) -> Reals:
        """The coefficients with the lowest penalised loss, for an L2 penalty of |slopes|² / (2 C n)."""
        # Steps are scaled by 1 / sqrt(curvature): at most 1/4 of the variance (Böhning 1992), plus the penalty's.
        bend = np.sqrt(self.variances / 4 + 1 / (C * self.sizes[-1]))  # (r,)
        along, across = 1 / bend - 1 / bend[0], 1 / bend[0]

        def scaled(steps: Reals) -> Reals:
            slopes = np.stack([self.directions @ (row @ self.directions * along) for row in steps[:, :-1]])
            return np.hstack([across * steps[:, :-1] + slopes, 2 * steps[:, -1:]])

        def loss(steps: Reals) -> tuple[Reals, Reals]:
            losses, gradient = self._losses(start + scaled(steps), C)
            return losses, scaled(gradient)

        return start + scaled(_minimise(loss, np.zeros_like(start)))

    def _losses(self, coefficients: Reals, C: float) -> tuple[Reals, Reals]:
        """The penalised losses (k,) and their gradients (k, d + 1)."""
        z = self._logits(coefficients)
        softplus = np.logaddexp(0.0, z)
        residual = self.weight * (np.exp(z - softplus) - self.targets)  # (k, n)
        total = residual.sum(axis=1, keepdims=True)
        ridge = coefficients[:, :-1] / (C * self.sizes[:, None])
        slopes = self.scale * (residual.astype(np.float32) @ self.matrix - total * self.centre) + ridge
        losses = np.sum(self.weight * (softplus - self.targets * z), axis=1)
        return losses + np.sum(ridge * coefficients[:, :-1], axis=1) / 2, np.hstack([slopes, total])

    def _logits(self, coefficients: Reals) -> Reals:
        slopes = coefficients[:, :-1] * self.scale
        bias = coefficients[:, -1:] - np.sum(slopes * self.centre, axis=1, keepdims=True)
        return np.asarray((self.matrix @ slopes.T.astype(np.float32)).T + bias)  # (k, n)

    def logits(self, coefficients: Reals) -> Reals:
        """(k, n) the logit of each image by each regression, with the prior of its training images."""
        return np.asarray(self._logits(coefficients) + self.prior[:, None])

    def held_out_logits(self, coefficients: Reals) -> Reals:
        """(n,) the logit of each image by the regression that was not fitted on it."""
        return np.asarray(self.logits(coefficients)[self.held_out_by, np.arange(len(self.held_out_by))])

    def affine(self, coefficients: Reals) -> tuple[Matrix, float]:
        """The last regression as weights (d,) and bias of the unstandardised features, with the prior of all images."""
        slopes = coefficients[-1, :-1] * self.scale[-1]
        weights = slopes / self.std
        bias = coefficients[-1, -1] + self.prior[-1] - slopes @ self.centre[-1] - weights @ self.mean
        return weights.astype(np.float32), float(bias)


def _standardise(features: Matrix) -> tuple[Matrix, Reals, Reals]:
    mean = features.mean(axis=0, dtype=np.float64)
    if not np.isfinite(mean).all():
        raise DataError("Some features are not finite numbers; train again with `dtype='f32'`.")
    matrix = features - mean.astype(np.float32)
    std = with_floor(np.sqrt(np.einsum("nd,nd->d", matrix, matrix, dtype=np.float64) / len(matrix)))
    matrix /= std.astype(np.float32)
    return matrix, mean, std


def _standardisations(matrix: Matrix, std: Reals, training_mask: NDArray[np.bool_]) -> tuple[Reals, Reals]:
    """`centre` and `scale` (k, d) of the regressions with these training images (k, n)."""
    fraction = (training_mask / training_mask.sum(axis=1, keepdims=True)).astype(np.float32)  # (k, n)
    centre = (fraction @ matrix).astype(np.float64)
    squares = np.zeros_like(centre)
    for start in range(0, len(matrix), 1024):  # in chunks: the matrix is the largest thing in memory
        squares += fraction[:, start : start + 1024] @ np.square(matrix[start : start + 1024])
    deviation = std * np.sqrt(np.maximum(squares - centre**2, 0))
    return centre, std / np.vstack([with_floor(row) for row in deviation])


def with_floor(deviation: Reals) -> Reals:
    """The standard deviations (d,) with the floor that the head adds to them."""
    positive = deviation[deviation > 0]
    return np.hypot(deviation, FLOOR * np.median(positive) if len(positive) else 1.0)


def _largest_variance(matrix: Matrix) -> tuple[Reals, Reals]:
    """Directions (d, r) and variances (r,), approximately, by two rounds of subspace iteration (Halko et al. 2011).

    They affect the steps to the minimum, not the minimum, and use no labels, so held-out images may be included.
    """
    n, d = matrix.shape
    basis = np.random.default_rng(0).standard_normal((d, min(DIRECTIONS, n, d)), np.float32)
    for _ in range(2):
        basis = np.linalg.qr(matrix.T @ (matrix @ basis))[0]
    projection = matrix @ basis
    variances, turn = np.linalg.eigh((projection.T @ projection).astype(np.float64) / n)
    return basis @ turn, np.maximum(variances, 0)


def _minimise(loss: Callable[[Reals], tuple[Reals, Reals]], x: Reals) -> Reals:
    """The minima (k, p) of k convex functions, by L-BFGS (Nocedal and Wright 2006, algorithm 7.5) on each row of x (k, p).

    `loss` gives the values (k,) and the gradients (k, p). A row takes its own steps, and stops when a step lowers its loss by
    less than `TOLERANCE`. The functions are strictly convex, so that a step which lowers the loss enough keeps the curvature
    positive; a step is halved until it does.
    """
    value, gradient = loss(x)
    active, memory = np.ones(len(x), np.bool_), list[tuple[Reals, Reals, Reals]]()
    for _ in range(MAX_STEPS):
        direction = _direction(gradient, memory)
        slope = _dot(gradient, direction)[:, 0]
        size = active.astype(np.float64)
        while True:
            step = -size[:, None] * direction
            new_value, new_gradient = loss(x + step)
            too_far = active & (new_value > value - 1e-4 * size * slope) & (size > 1e-8)
            if not too_far.any():
                break
            size[too_far] /= 2
        memory = [*memory[1 - MEMORY :], (step, new_gradient - gradient, _dot(step, new_gradient - gradient))]
        has_lower_loss = active & (new_value < value)
        active &= new_value < value - TOLERANCE
        x = np.where(has_lower_loss[:, None], x + step, x)
        value, gradient = new_value, new_gradient
        if not active.any():
            break
    return x


def _direction(gradient: Reals, memory: list[tuple[Reals, Reals, Reals]]) -> Reals:
    """The gradients (k, p) times the approximate inverse Hessians that the steps (s, y, s·y) in memory give."""
    direction, factors = gradient.copy(), list[Reals]()
    for step, change, product in reversed(memory):
        factors.append(_ratio(_dot(step, direction), product))
        direction -= factors[-1] * change
    if memory:
        _, change, product = memory[-1]
        scale = _ratio(product, _dot(change, change))
        direction *= np.where(scale > 0, scale, 1.0)
    for (step, change, product), factor in zip(memory, reversed(factors), strict=True):
        direction += (factor - _ratio(_dot(change, direction), product)) * step
    return direction


def _dot(a: Reals, b: Reals) -> Reals:
    """The products of the rows, (k, 1)."""
    return np.asarray(np.einsum("kp,kp->k", a, b)[:, None])


def _ratio(a: Reals, b: Reals) -> Reals:
    """a / b, and 0 where b is not positive: a row that has stopped takes no steps."""
    return np.asarray(np.divide(a, b, out=np.zeros_like(a), where=b > 0))
