"""The head: a standardised L2 logistic regression, folded into one affine map from vector to logit."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twofold.errors import DataError

STRENGTHS = tuple(float(10.0 ** (k / 2)) for k in range(-10, 1))
"""Values of C that are tried, weakest first: half decades from 1e-5 to 1, in scikit-learn's sense of C."""


@dataclass(frozen=True, slots=True)
class Head:
    """logit = vector @ weights + bias."""

    weights: NDArray[np.float32]  # (d,)
    bias: float

    def logits(self, vectors: NDArray[np.float32]) -> NDArray[np.float64]:
        """The logit of each vector: (n, d) -> float64 (n,)."""
        return (vectors @ self.weights).astype(np.float64) + self.bias


@dataclass(frozen=True, slots=True)
class HeadFit:
    """The head fitted on all vectors, and what cross-validation said on the way."""

    head: Head
    logits: NDArray[np.float64]  # (n,) out-of-fold
    strength: float  # the C that was chosen
    losses: dict[float, float]  # C -> out-of-fold log-loss, for each C that was tried


def fit_head(vectors: NDArray[np.float32], labels: NDArray[np.int8], folds: NDArray[np.int64]) -> HeadFit:
    """The head of least out-of-fold log-loss, with the out-of-fold logits of all pictures.

    vectors (n, d) float32, labels (n,) 0 or 1, folds (n,) the fold that holds each picture out. Every logit comes from a
    head and a scaling that saw nothing of its fold. Classes weigh the same in the fit whatever their sizes; the bias is
    then moved by the log-odds of the classes, so that logits speak of the data as it is. Raises DataError when a vector
    is not finite or when the pictures outside a fold are all of one class.
    """
    from threadpoolctl import threadpool_limits

    with threadpool_limits(
        1
    ):  # two BLAS threads on tall, thin products wait for each other: 4 ms at best, 70 ms on a busy machine
        problem = _Problem.of(vectors, labels, folds)
        return _along_the_path(problem, labels)


@dataclass(frozen=True, slots=True)
class _Problem:
    """k regressions on one matrix, one for each fold that is held out and a last one on all pictures.

    Fitting them side by side reads the matrix once for all of them, and that reading is what takes the time. The matrix is
    standardised once over all pictures, for the sake of float32; what differs from that inside a training part stands in
    `centre` and `scale`, so each regression sees exactly its own standardisation.
    """

    matrix: NDArray[np.float32]  # (n, d)
    mean: NDArray[np.float64]  # (d,) of the vectors
    spread: NDArray[np.float64]  # (d,)
    centre: NDArray[np.float64]  # (k, d) mean of each training part of the matrix
    scale: NDArray[np.float64]  # (k, d) 1 / its standard deviation, 0 where constant
    weight: NDArray[np.float64]  # (k, n) share of each picture in each fit, rows sum to 1, 0 where held out
    targets: NDArray[np.float64]  # (n,)
    prior: NDArray[np.float64]  # (k,) log-odds of the classes in each training part
    sizes: NDArray[np.float64]  # (k,) pictures in each training part
    parts: NDArray[np.int64]  # (n,) the regression that did not see the picture

    @classmethod
    def of(cls, vectors: NDArray[np.float32], labels: NDArray[np.int8], folds: NDArray[np.int64]) -> "_Problem":
        names, parts = np.unique(folds, return_inverse=True)
        seen = np.vstack([folds != name for name in names] + [np.ones(len(folds), np.bool_)])  # (k, n)
        positives, negatives = seen @ (labels == 1).astype(np.float64), seen @ (labels == 0).astype(np.float64)
        if (positives == 0).any() or (negatives == 0).any():
            raise DataError("The pictures outside one fold are all of one class; use fewer folds or more pictures.")
        weight = seen * np.where(labels == 1, 0.5 / positives[:, None], 0.5 / negatives[:, None])
        matrix, mean, spread = _standardised(vectors)
        centre, scale = _moments(matrix, seen)
        return cls(
            matrix=matrix,
            mean=mean,
            spread=spread,
            centre=centre,
            scale=scale,
            weight=weight,
            targets=(labels == 1).astype(np.float64),
            prior=np.log(positives / negatives),
            sizes=positives + negatives,
            parts=parts,
        )

    def logits(self, theta: NDArray[np.float64]) -> NDArray[np.float64]:
        """(k, d + 1) weights and bias -> (k, n)."""
        slopes = theta[:, :-1] * self.scale
        shift = theta[:, -1] - np.sum(slopes * self.centre, axis=1)
        return (self.matrix @ slopes.T.astype(np.float32)).T.astype(np.float64) + shift[:, None]

    def loss(self, flat: NDArray[np.float64], strength: float) -> tuple[float, NDArray[np.float64]]:
        """Sum of the k penalised weighted log-losses, and its gradient."""
        theta = flat.reshape(len(self.sizes), -1)
        z = self.logits(theta)
        softplus = np.logaddexp(0.0, z)
        residual = self.weight * (np.exp(z - softplus) - self.targets)  # (k, n)
        total = residual.sum(axis=1)
        ridge = theta[:, :-1] / (strength * self.sizes[:, None])
        slope = self.scale * ((residual.astype(np.float32) @ self.matrix) - total[:, None] * self.centre) + ridge
        value = np.sum(self.weight * (softplus - self.targets * z)) + 0.5 * np.sum(ridge * theta[:, :-1])
        return float(value), np.concatenate([slope, total[:, None]], axis=1).ravel()

    def fit(self, start: NDArray[np.float64], strength: float) -> NDArray[np.float64]:
        from scipy.optimize import minimize

        options = {"maxiter": 500, "ftol": 1e-5, "gtol": 1e-5}
        found = minimize(self.loss, start.ravel(), (strength,), "L-BFGS-B", jac=True, options=options)
        return np.asarray(found.x).reshape(start.shape)

    def held_out(self, theta: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n,) the logit of each picture by the regression that did not see it, at the true odds of its training part."""
        return np.asarray((self.logits(theta) + self.prior[:, None])[self.parts, np.arange(len(self.parts))])

    def head(self, theta: NDArray[np.float64]) -> Head:
        """The last regression, as a map from the vectors as they came."""
        slopes = theta[-1, :-1] * self.scale[-1]
        weights = slopes / self.spread
        bias = theta[-1, -1] + self.prior[-1] - slopes @ self.centre[-1] - weights @ self.mean
        return Head(weights.astype(np.float32), float(bias))


def _along_the_path(problem: _Problem, labels: NDArray[np.int8]) -> HeadFit:
    theta = np.zeros((len(problem.sizes), problem.matrix.shape[1] + 1))
    losses: dict[float, float] = {}
    best: HeadFit | None = None
    for strength in STRENGTHS:
        theta = problem.fit(theta, strength)  # from the fit before it, which is close
        logits = problem.held_out(theta)
        losses[strength] = float(np.mean(np.logaddexp(0.0, np.where(labels == 1, -logits, logits))))
        if best is None or losses[strength] < best.losses[best.strength]:
            best = HeadFit(problem.head(theta), logits, strength, losses)
        elif losses[strength] > 1.01 * losses[best.strength]:
            break
    assert best is not None
    return best


def _standardised(
    vectors: NDArray[np.float32],
) -> tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.float64]]:
    mean = vectors.mean(axis=0, dtype=np.float64)
    if not np.isfinite(mean).all():
        raise DataError("Some vectors hold values that are not finite numbers; train again with --precision f32.")
    matrix = (vectors - mean.astype(np.float32)).astype(np.float32, copy=False)
    spread = np.sqrt(np.einsum("nd,nd->d", matrix, matrix, dtype=np.float64) / len(matrix))
    spread[spread <= 1e-6 * np.abs(mean)] = 0
    spread[spread == 0] = np.inf
    matrix /= spread.astype(np.float32)
    return matrix, mean, spread


def _moments(matrix: NDArray[np.float32], seen: NDArray[np.bool_]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    share = (seen / seen.sum(axis=1, keepdims=True)).astype(np.float32)
    centre = (share @ matrix).astype(np.float64)
    square = np.zeros_like(centre)
    for start in range(0, len(matrix), 1024):
        rows = slice(start, start + 1024)
        square += share[:, rows] @ np.square(matrix[rows])
    variance = square - centre**2
    constant = variance < 1e-8
    return centre, np.where(constant, 0, 1 / np.sqrt(np.where(constant, 1, variance)))
