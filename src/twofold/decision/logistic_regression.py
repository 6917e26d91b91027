"""Logistic regressions fitted side by side: one for each fold, on the images outside it, and a last one on all images."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from twofold.core.arrays import Reals, StoredFeatures
from twofold.core.errors import DataError
from twofold.decision.feature_stripes import Matrix, Stripes, with_floor

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

    Reading the matrix takes most of the time, and each pass over its stripes serves all regressions. The matrix is standardised
    over all images, for the precision of float32 only; `centre` and `scale` replace this by the standardisation of each
    regression. Coefficients are (k, d + 1), the bias last. No operation mixes rows of the coefficients: each regression is
    independent of the others.
    """

    stripes: Stripes  # of the matrix (n, d)
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
    def from_features(
        cls, features: StoredFeatures, labels: NDArray[np.int8], folds: NDArray[np.int64], height: int | None = None
    ) -> "Regressions":
        """The regressions on features (n, d) and labels (n,), 0 or 1: one for each of the folds (n,) and one on all images.

        The features are read in stripes of `height` rows; see `Stripes.standardise`.
        """
        names, held_out_by = np.unique(folds, return_inverse=True)
        training_mask = np.vstack([folds != name for name in names] + [np.ones(len(folds), np.bool_)])
        return cls.from_subsets(features, labels, training_mask, held_out_by, height)

    @classmethod
    def from_subsets(
        cls,
        features: StoredFeatures,
        labels: NDArray[np.int8],
        training_mask: NDArray[np.bool_],
        held_out_by: NDArray[np.int64],
        height: int | None = None,
    ) -> "Regressions":
        """The regressions on features (n, d) and labels (n,), each fitted on the images in its row of the mask (k, n)."""
        stripes = Stripes.standardise(features, height)
        return cls._weighted(stripes, _standardisations(stripes, training_mask), labels, training_mask, held_out_by)

    @classmethod
    def on_products(
        cls, features: StoredFeatures, labels: NDArray[np.int8], training_mask: NDArray[np.bool_]
    ) -> "Regressions":
        """The same with one standardisation, that of all images, on a matrix (n, n) that has the products of the images.

        The logits depend on the products only. Coefficients are not those of the features.
        """
        n, d = features.shape
        ((_, matrix),) = Stripes.standardise(features, n)
        if n < d:
            # Not a Cholesky factor: duplicates make the products singular.
            values, vectors = np.linalg.eigh((matrix @ matrix.T).astype(np.float64))
            matrix = (vectors * np.sqrt(np.maximum(values, 0))).astype(np.float32)
        fraction = (training_mask / training_mask.sum(axis=1, keepdims=True)).astype(np.float32)
        centre = (fraction @ matrix).astype(np.float64)
        held_out_by = np.zeros(n, np.int64)
        standardisations = centre, np.ones_like(centre)
        return cls._weighted(Stripes.of_matrix(matrix), standardisations, labels, training_mask, held_out_by)

    @classmethod
    def _weighted(
        cls,
        stripes: Stripes,
        standardisations: tuple[Reals, Reals],
        labels: NDArray[np.int8],
        training_mask: NDArray[np.bool_],
        held_out_by: NDArray[np.int64],
    ) -> "Regressions":
        targets = (labels == 1).astype(np.float64)
        positives, negatives = training_mask @ targets, training_mask @ (1 - targets)
        if (positives == 0).any() or (negatives == 0).any():
            raise DataError("The images outside one fold are all of one class; use fewer folds or more images.")
        directions, variances = _largest_variance(stripes)
        return cls(
            stripes=stripes,
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
        return np.zeros((len(self.sizes), self.stripes.shape[1] + 1))

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
        """The penalised losses (k,) and their gradients (k, d + 1), in one pass over the stripes."""
        slopes, bias = self._affine(coefficients)
        losses, total, products = np.zeros(len(slopes)), np.zeros((len(slopes), 1)), np.zeros(slopes.shape)
        for rows, stripe in self.stripes:
            z = np.asarray((stripe @ slopes.T).T + bias)  # (k, height)
            weight, targets, softplus = self.weight[:, rows], self.targets[rows], np.logaddexp(0.0, z)
            residual = weight * (np.exp(z - softplus) - targets)
            losses += np.sum(weight * (softplus - targets * z), axis=1)
            total += residual.sum(axis=1, keepdims=True)
            products += residual.astype(np.float32) @ stripe
        ridge = coefficients[:, :-1] / (C * self.sizes[:, None])
        gradient = self.scale * (products - total * self.centre) + ridge
        return losses + np.sum(ridge * coefficients[:, :-1], axis=1) / 2, np.hstack([gradient, total])

    def _affine(self, coefficients: Reals) -> tuple[Matrix, Reals]:
        """The slopes (k, d) and biases (k, 1) of the matrix."""
        slopes = coefficients[:, :-1] * self.scale
        bias = coefficients[:, -1:] - np.sum(slopes * self.centre, axis=1, keepdims=True)
        return slopes.astype(np.float32), bias

    def logits(self, coefficients: Reals) -> Reals:
        """(k, n) the logit of each image by each regression, with the prior of its training images."""
        slopes, bias = self._affine(coefficients)
        z = [np.asarray((stripe @ slopes.T).T + bias) for _, stripe in self.stripes]
        return np.asarray(np.concatenate(z, axis=1) + self.prior[:, None])

    def held_out_logits(self, coefficients: Reals) -> Reals:
        """(n,) the logit of each image by the regression that was not fitted on it."""
        return np.asarray(self.logits(coefficients)[self.held_out_by, np.arange(len(self.held_out_by))])

    def affine(self, coefficients: Reals) -> tuple[Matrix, float]:
        """The last regression as weights (d,) and bias of the unstandardised features, with the prior of all images."""
        slopes = coefficients[-1, :-1] * self.scale[-1]
        weights = slopes / self.stripes.std
        bias = coefficients[-1, -1] + self.prior[-1] - slopes @ self.centre[-1] - weights @ self.stripes.mean
        return weights.astype(np.float32), float(bias)


def _standardisations(stripes: Stripes, training_mask: NDArray[np.bool_]) -> tuple[Reals, Reals]:
    """`centre` and `scale` (k, d) of the regressions with these training images (k, n)."""
    fraction = (training_mask / training_mask.sum(axis=1, keepdims=True)).astype(np.float32)  # (k, n)
    centre = np.zeros((len(fraction), stripes.shape[1]))
    squares = np.zeros_like(centre)
    for rows, stripe in stripes:
        part = fraction[:, rows]
        centre += part @ stripe
        for start in range(0, len(stripe), 1024):  # in chunks: the stripe may be the largest thing in memory
            squares += part[:, start : start + 1024] @ np.square(stripe[start : start + 1024])
    deviation = stripes.std * np.sqrt(np.maximum(squares - centre**2, 0))
    return centre, stripes.std / np.vstack([with_floor(row) for row in deviation])


def _largest_variance(stripes: Stripes) -> tuple[Reals, Reals]:
    """Directions (d, r) and variances (r,), approximately, by two rounds of subspace iteration (Halko et al. 2011).

    They affect the steps to the minimum, not the minimum, and use no labels, so held-out images may be included.
    """
    n, d = stripes.shape
    basis = np.random.default_rng(0).standard_normal((d, min(DIRECTIONS, n, d)), np.float32)
    for _ in range(2):
        image = np.zeros_like(basis)
        for _, stripe in stripes:
            image += stripe.T @ (stripe @ basis)
        basis = np.linalg.qr(image)[0]
    products = np.zeros((basis.shape[1], basis.shape[1]))
    for _, stripe in stripes:
        projection = stripe @ basis
        products += projection.T @ projection
    variances, turn = np.linalg.eigh(products / n)
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
