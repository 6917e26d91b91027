"""The learning curve: the error by the number of images, and the forecast for twice as many."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from twofold.core.arrays import Reals
from twofold.decision import fit_calibration
from twofold.decision.logistic_regression import Regressions
from twofold.evaluation import Interval
from twofold.evaluation.intervals import wilson
from twofold.evaluation.metrics import log_losses

FRACTIONS = (0.125, 0.25, 0.5, 1.0)
"""Fractions of the training images of a head."""

MIN_IMAGES = 8  # of the smaller class, for a fraction to be evaluated
RESAMPLES = 400


@dataclass(frozen=True, slots=True)
class Point:
    """Log-loss and error rate of heads that were fitted on this number of images."""

    images: int
    log_loss: float
    error: float


@dataclass(frozen=True, slots=True)
class LearningCurve:
    """`curve` goes from the fewest images to all. `log_loss` and `error` are forecasts for twice as many, None where the curve
    has too few points."""

    counts: dict[str, int]  # images of each class
    accuracy: Interval  # out-of-fold
    curve: tuple[Point, ...]
    log_loss: Interval | None
    error: Interval | None


def fit_learning_curve(
    features: NDArray[np.float32],
    labels: NDArray[np.int8],
    folds: NDArray[np.int64],
    logits: Reals,
    C: float,
    classes: tuple[str, str],
    seed: int = 0,
) -> LearningCurve:
    """The learning curve, from features (n, d), labels (n,), folds (n,) and the out-of-fold logits (n,) and C of `fit_head`."""
    positives = int((labels == 1).sum())
    counts = {classes[0]: len(labels) - positives, classes[1]: positives}
    training_fraction = 1 - 1 / len(np.unique(folds))  # the fraction of images outside a fold
    fractions = [
        fraction
        for fraction in FRACTIONS
        if fraction == 1 or fraction * training_fraction * min(counts.values()) >= MIN_IMAGES
    ]
    scores = [*_fit_fractions(features, labels, folds, C, fractions[:-1], seed), logits]
    probabilities = [fit_calibration(logits, labels).probabilities(logits) for logits in scores]
    losses = np.stack([log_losses(labels, p) for p in probabilities])  # (fractions, n)
    errors = np.stack([(p >= 0.5) != (labels == 1) for p in probabilities]).astype(np.float64)
    sizes = np.array(fractions) * training_fraction * len(labels)
    curve = tuple(
        Point(round(size), float(loss.mean()), float(error.mean()))
        for size, loss, error in zip(sizes, losses, errors, strict=True)
    )
    correct = len(labels) - int(errors[-1].sum())
    forecasts = (None, None) if len(fractions) < 3 else (forecast(sizes, losses, seed), forecast(sizes, errors, seed))
    return LearningCurve(counts, wilson(correct, len(labels)), curve, *forecasts)


def expected_interval(accuracy: float, images: int) -> Interval:
    """The interval of a test on this number of images, at this accuracy.

    >>> expected_interval(0.98, 200)
    Interval(value=0.98, low=0.9497129130941735, high=0.9921955735836505)
    """
    return wilson(round(accuracy * images), images)


def forecast(sizes: Reals, costs: Reals, seed: int) -> Interval:
    """The mean cost at twice the largest of sizes (m,), ascending, from the costs (m, n) of n images at each size.

    Costs fall as a power of the size (Hestness et al. 2017): a line on logarithmic axes, fitted with more weight on later
    points. The interval is that of the change from the present cost, over resampled images. It is widened to include the forecast
    from the last two points, and half of the forecast gain: curves flatten near the irreducible error.
    """
    n = costs.shape[1]
    rng = np.random.default_rng(seed)
    counts = rng.multinomial(n, np.full(n, 1 / n), RESAMPLES).astype(np.float64)
    # (1 + resamples, m); half an image more keeps the logarithm finite.
    means = (np.vstack([np.ones(n), counts]) @ costs.T + 0.5) / (n + 0.5)
    present_cost = float(means[0, -1])
    change = _at_twice(sizes, means) / means[:, -1]
    value, last_two = present_cost * float(change[0]), float(_at_twice(sizes[-2:], means[:1, -2:])[0])
    low, high = (present_cost * float(bound) for bound in np.quantile(change[1:], [0.025, 0.975]))
    return Interval(value, min(low, value, last_two), max(high, value, last_two, (value + present_cost) / 2))


def _at_twice(sizes: Reals, means: Reals) -> Reals:
    """(r,) the lines through means (r, m) at sizes (m,), on logarithmic axes, evaluated at twice the last size."""
    x, weight = np.log2(sizes / sizes[-1]), sizes / sizes[-1]
    slope_and_end, *_ = np.linalg.lstsq(
        np.stack([x, np.ones_like(x)], axis=1) * weight[:, None], np.log(means).T * weight[:, None], rcond=None
    )
    return np.asarray(np.exp(slope_and_end.sum(axis=0)))


def _fit_fractions(
    features: NDArray[np.float32],
    labels: NDArray[np.int8],
    folds: NDArray[np.int64],
    C: float,
    fractions: list[float],
    seed: int,
) -> list[Reals]:
    """Out-of-fold logits (n,) of heads that are fitted on a fraction of the images outside the fold, for each fraction."""
    from threadpoolctl import threadpool_limits

    if not fractions:
        return []
    with threadpool_limits(1):  # as in `fit_head`
        regressions = Regressions.from_features(features, labels, folds)
        coefficients, logits = regressions.zeros(), []
        for fraction in fractions:
            subset = _thin(regressions, labels, fraction, seed)
            coefficients = subset.fit(coefficients, C)
            logits.append(subset.held_out_logits(coefficients))
    return logits


def _thin(regressions: Regressions, labels: NDArray[np.int8], fraction: float, seed: int) -> Regressions:
    """The same regressions on a fraction of their images of each class. The images of a smaller fraction are a subset."""
    rank = np.random.default_rng(seed).random(len(labels))
    weights = np.zeros_like(regressions.weight)
    for row, weight in enumerate(regressions.weight):
        for label in (0, 1):
            images = np.flatnonzero((weight > 0) & (labels == label))
            subset = images[np.argsort(rank[images], kind="stable")[: max(1, round(fraction * len(images)))]]
            weights[row, subset] = 0.5 / len(subset)
    return replace(regressions, weight=weights, sizes=regressions.sizes * fraction)
