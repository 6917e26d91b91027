"""Logistic regressions side by side: one for each fold, which it does not see, and a last one on all pictures."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twofold.core.errors import DataError

Matrix = NDArray[np.float32]
Reals = NDArray[np.float64]

FLOOR = 0.1
"""Part of the median standard deviation that is added (in square) to each: a channel that was all but dead while the
head was fitted must not shout later. Without it one solar cell stood 4,299 deviations out (docs/decisions/002)."""

DIRECTIONS = 16
"""Directions of the largest variance that the optimiser's steps are fitted to; more cost what they save."""


@dataclass(frozen=True, slots=True)
class Regressions:
    """k L2 logistic regressions on one matrix, each on its own pictures, standardisation and class weights.

    Each pass over the matrix, which is what takes the time, serves all of them. The matrix is standardised over all
    pictures only to make the most of float32; `centre` and `scale` take that back and put each regression's own
    standardisation in its place. Coefficients are (k, d + 1), the bias last.
    """

    matrix: Matrix  # (n, d)
    mean: Reals  # (d,) of the vectors
    std: Reals  # (d,) matrix = (vectors - mean) / spread
    centre: Reals  # (k, d) mean of the matrix over the pictures that a regression sees
    scale: Reals  # (k, d) 1 / its standard deviation there
    weight: Reals  # (k, n) of each picture, 0 where held out; each class sums to 1/2
    targets: Reals  # (n,)
    prior: Reals  # (k,) log-odds of the classes
    sizes: Reals  # (k,) pictures seen
    blind: NDArray[np.int64]  # (n,) the regression that does not see the picture
    directions: Reals  # (d, r) of the largest variance of the matrix
    variances: Reals  # (r,) along them, ascending

    @classmethod
    def of(cls, features: Matrix, labels: NDArray[np.int8], folds: NDArray[np.int64]) -> "Regressions":
        """The regressions of vectors (n, d) on labels (n,), 0 or 1, one for each fold (n,) and one for all."""
        names, blind = np.unique(folds, return_inverse=True)
        seen = np.vstack([folds != name for name in names] + [np.ones(len(folds), np.bool_)])  # (k, n)
        targets = (labels == 1).astype(np.float64)
        positives, negatives = seen @ targets, seen @ (1 - targets)
        if (positives == 0).any() or (negatives == 0).any():
            raise DataError("The pictures outside one fold are all of one class; use fewer folds or more pictures.")
        matrix, mean, std = _standardised(features)
        centre, scale = _own_standardisation(matrix, std, seen)
        directions, variances = _largest_variance(matrix)
        return cls(
            matrix=matrix,
            mean=mean,
            std=std,
            centre=centre,
            scale=scale,
            weight=seen * np.where(labels == 1, 0.5 / positives[:, None], 0.5 / negatives[:, None]),
            targets=targets,
            prior=np.log(positives / negatives),
            sizes=positives + negatives,
            blind=blind,
            directions=directions,
            variances=variances,
        )

    def zeros(self) -> Reals:
        """The coefficients to start from."""
        return np.zeros((len(self.sizes), self.matrix.shape[1] + 1))

    def fit(self, start: Reals, C: float) -> Reals:
        """The coefficients of the least penalised loss, for an L2 penalty of |slopes|² / (2 C n)."""
        from scipy.optimize import minimize

        # Steps are scaled by 1 / sqrt(curvature): at most 1/4 of the variance (Böhning 1992), plus the penalty's.
        bend = np.sqrt(self.variances / 4 + 1 / (C * self.sizes[-1]))  # (r,)
        along, aside = 1 / bend - 1 / bend[0], 1 / bend[0]

        def stretched(steps: Reals) -> Reals:
            slopes = steps[:, :-1]
            return np.hstack(
                [aside * slopes + (slopes @ self.directions * along) @ self.directions.T, 2 * steps[:, -1:]]
            )

        def loss(flat: Reals) -> tuple[float, Reals]:
            value, gradient = self._loss(start + stretched(flat.reshape(start.shape)), C)
            return value, stretched(gradient).ravel()

        # A tighter tolerance moves the out-of-fold log-loss by 0.3% at most and takes several times as long.
        found = minimize(loss, np.zeros(start.size), method="L-BFGS-B", jac=True, options={"ftol": 1e-5, "gtol": 1e-5})
        return start + stretched(np.asarray(found.x).reshape(start.shape))

    def _loss(self, coefficients: Reals, C: float) -> tuple[float, Reals]:
        """The k penalised losses, summed, and the gradient."""
        z = self._logits(coefficients)
        softplus = np.logaddexp(0.0, z)
        residual = self.weight * (np.exp(z - softplus) - self.targets)  # (k, n)
        total = residual.sum(axis=1, keepdims=True)
        ridge = coefficients[:, :-1] / (C * self.sizes[:, None])
        slopes = self.scale * (residual.astype(np.float32) @ self.matrix - total * self.centre) + ridge
        loss = np.sum(self.weight * (softplus - self.targets * z)) + np.sum(ridge * coefficients[:, :-1]) / 2
        return float(loss), np.hstack([slopes, total])

    def _logits(self, coefficients: Reals) -> Reals:
        slopes = coefficients[:, :-1] * self.scale
        bias = coefficients[:, -1:] - np.sum(slopes * self.centre, axis=1, keepdims=True)
        return np.asarray((self.matrix @ slopes.T.astype(np.float32)).T + bias)  # (k, n)

    def held_out_logits(self, coefficients: Reals) -> Reals:
        """(n,) the logit of each picture by the regression that does not see it, at the odds of what that one saw."""
        logits = self._logits(coefficients) + self.prior[:, None]
        return np.asarray(logits[self.blind, np.arange(len(self.blind))])

    def affine(self, coefficients: Reals) -> tuple[Matrix, float]:
        """The last regression as weights (d,) and bias on vectors as they came, at the odds of all pictures."""
        slopes = coefficients[-1, :-1] * self.scale[-1]
        weights = slopes / self.std
        bias = coefficients[-1, -1] + self.prior[-1] - slopes @ self.centre[-1] - weights @ self.mean
        return weights.astype(np.float32), float(bias)


def _standardised(features: Matrix) -> tuple[Matrix, Reals, Reals]:
    mean = features.mean(axis=0, dtype=np.float64)
    if not np.isfinite(mean).all():
        raise DataError("Some vectors hold values that are not finite numbers; train again with `dtype='f32'`.")
    matrix = features - mean.astype(np.float32)
    std = with_floor(np.sqrt(np.einsum("nd,nd->d", matrix, matrix, dtype=np.float64) / len(matrix)))
    matrix /= std.astype(np.float32)
    return matrix, mean, std


def _own_standardisation(matrix: Matrix, std: Reals, seen: NDArray[np.bool_]) -> tuple[Reals, Reals]:
    fraction = (seen / seen.sum(axis=1, keepdims=True)).astype(np.float32)  # (k, n)
    centre = (fraction @ matrix).astype(np.float64)
    preprocessing = np.zeros_like(centre)
    for start in range(0, len(matrix), 1024):  # in parts: the matrix is the largest thing in memory
        preprocessing += fraction[:, start : start + 1024] @ np.square(matrix[start : start + 1024])
    deviation = std * np.sqrt(np.maximum(preprocessing - centre**2, 0))
    return centre, std / np.vstack([with_floor(row) for row in deviation])


def with_floor(deviation: Reals) -> Reals:
    """Standard deviations (d,) as the head divides by them."""
    moving = deviation[deviation > 0]
    return np.hypot(deviation, FLOOR * np.median(moving) if len(moving) else 1.0)


def _largest_variance(matrix: Matrix) -> tuple[Reals, Reals]:
    """Directions (d, r) and variances (r,), near enough, by two rounds of subspace iteration (Halko et al. 2011).

    They only pave the way to the minimum, which stays where it is, so the held-out pictures may take part.
    """
    n, d = matrix.shape
    basis = np.random.default_rng(0).standard_normal((d, min(DIRECTIONS, n, d)), np.float32)
    for _ in range(2):
        basis = np.linalg.qr(matrix.T @ (matrix @ basis))[0]
    seen = matrix @ basis
    variances, turn = np.linalg.eigh((seen.T @ seen).astype(np.float64) / n)
    return basis @ turn, np.maximum(variances, 0)
