"""Enough data? What fewer pictures would have done, what twice as many may bring, and how exact the numbers can be."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from twofold.decision import fit_calibration
from twofold.decision.logistic_regression import Regressions
from twofold.evaluation import Interval
from twofold.evaluation.intervals import wilson
from twofold.evaluation.metrics import log_losses

Reals = NDArray[np.float64]

PARTS = (0.125, 0.25, 0.5, 1.0)
"""Of the pictures that a head is fitted on."""

LEAST = 8  # pictures of the smaller class in a part that is tried
RESAMPLES = 400


@dataclass(frozen=True, slots=True)
class Point:
    """How heads fitted on so many pictures do on the others."""

    images: int
    log_loss: float
    error: float


@dataclass(frozen=True, slots=True)
class LearningCurve:
    """`curve` from the fewest pictures to all; `log_loss` and `error` are what twice as many would give, None where the curve
    is too short to tell."""

    counts: dict[str, int]  # pictures of each class
    accuracy: Interval  # out-of-fold: how exact it is with so many pictures
    curve: tuple[Point, ...]
    log_loss: Interval | None
    error: Interval | None

    @property
    def text(self) -> str:
        """What it comes to, in words."""
        others = max(1, sum(self.counts.values()) // 4)
        tested = _told(expected_interval(self.accuracy.value, others), ".1%")
        return f"{self._more()} A test on {others} others would tell an accuracy of {tested}."

    def _more(self) -> str:
        told = " and ".join(f"{count} {label}" for label, count in self.counts.items())
        if self.log_loss is None or self.error is None:
            return f"{told}: too few to tell what more would bring."
        now = self.curve[-1]
        if self.log_loss.high >= now.log_loss:
            return f"{told}: whether twice as many would help cannot be told."
        gain, then = f"{told}: with twice as many, expect a log-loss of {_told(self.log_loss, '.3f')}", self.error
        fewer = f", and {_told(then, '.1%')} wrong answers instead of {now.error:.1%}" if then.high < now.error else ""
        return f"{gain} instead of {now.log_loss:.3f}{fewer}."


def _told(interval: Interval, form: str) -> str:
    return f"{interval.value:{form}} ({interval.low:{form}} to {interval.high:{form}})"


def fit_learning_curve(
    features: NDArray[np.float32],
    labels: NDArray[np.int8],
    folds: NDArray[np.int64],
    logits: Reals,
    C: float,
    classes: tuple[str, str],
    seed: int = 0,
) -> LearningCurve:
    """What the pictures suffice for, from vectors (n, d), labels (n,), folds (n,) and what `fit_head` made of them."""
    positives = int((labels == 1).sum())
    counts = {classes[0]: len(labels) - positives, classes[1]: positives}
    fraction = 1 - 1 / len(np.unique(folds))
    parts = [part for part in PARTS if part == 1 or part * fraction * min(counts.values()) >= LEAST]
    scores = [*_on_parts(features, labels, folds, C, parts[:-1], seed), logits]
    probabilities = [fit_calibration(each, labels).probabilities(each) for each in scores]
    losses = np.stack([log_losses(labels, each) for each in probabilities])  # (parts, n)
    errors = np.stack([(each >= 0.5) != (labels == 1) for each in probabilities]).astype(np.float64)
    sizes = np.array(parts) * fraction * len(labels)
    curve = tuple(
        Point(round(size), float(loss.mean()), float(error.mean()))
        for size, loss, error in zip(sizes, losses, errors, strict=True)
    )
    right = len(labels) - int(errors[-1].sum())
    forecasts = (None, None) if len(parts) < 3 else (forecast(sizes, losses, seed), forecast(sizes, errors, seed))
    return LearningCurve(counts, wilson(right, len(labels)), curve, *forecasts)


def expected_interval(accuracy: float, images: int) -> Interval:
    """The interval that so many test pictures will give at this accuracy.

    >>> expected_interval(0.98, 200)
    Interval(value=0.98, low=0.9497129130941735, high=0.9921955735836505)
    """
    return wilson(round(accuracy * images), images)


def forecast(sizes: Reals, costs: Reals, seed: int) -> Interval:
    """The mean cost at twice the largest of sizes (m,) ascending, from the costs (m, n) of each of n pictures there.

    Costs fall as a power of the size (Hestness et al. 2017): a line on logarithms, of which the later points tell more.
    The interval is of the change from the present cost, on pictures drawn anew; it reaches to where the last halving alone
    points, and to half of the gain that the line promises: curves flatten once they near what cannot be told apart.
    """
    n = costs.shape[1]
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(n, np.full(n, 1 / n), RESAMPLES).astype(np.float64)
    means = (np.vstack([np.ones(n), drawn]) @ costs.T + 0.5) / (
        n + 0.5
    )  # (1 + resamples, m): half a picture keeps off 0
    now = float(means[0, -1])
    change = _at_twice(sizes, means) / means[:, -1]
    value, last = now * float(change[0]), float(_at_twice(sizes[-2:], means[:1, -2:])[0])
    low, high = (now * float(end) for end in np.quantile(change[1:], [0.025, 0.975]))
    return Interval(value, min(low, value, last), max(high, value, last, (value + now) / 2))


def _at_twice(sizes: Reals, means: Reals) -> Reals:
    """(r,) where the lines through means (r, m) at sizes (m,), both as logarithms, lead at twice the last size."""
    x, weight = np.log2(sizes / sizes[-1]), sizes / sizes[-1]
    slope_and_end, *_ = np.linalg.lstsq(
        np.stack([x, np.ones_like(x)], axis=1) * weight[:, None], np.log(means).T * weight[:, None], rcond=None
    )
    return np.asarray(np.exp(slope_and_end.sum(axis=0)))


def _on_parts(
    features: NDArray[np.float32],
    labels: NDArray[np.int8],
    folds: NDArray[np.int64],
    C: float,
    parts: list[float],
    seed: int,
) -> list[Reals]:
    """Out-of-fold logits (n,) by heads that saw a part only of the pictures outside the fold, for each part."""
    from threadpoolctl import threadpool_limits

    if not parts:
        return []
    with threadpool_limits(1):  # as in `fit_head`
        whole = Regressions.of(features, labels, folds)
        coefficients, logits = whole.zeros(), []
        for part in parts:
            thin = _thinned(whole, labels, part, seed)
            coefficients = thin.fit(coefficients, C)
            logits.append(thin.held_out_logits(coefficients))
    return logits


def _thinned(whole: Regressions, labels: NDArray[np.int8], part: float, seed: int) -> Regressions:
    """The same regressions on a part of their pictures: of each class the same part, and of a larger part a subset."""
    rank = np.random.default_rng(seed).random(len(labels))
    kept = np.zeros_like(whole.weight)
    for row, weight in enumerate(whole.weight):
        for label in (0, 1):
            own = np.flatnonzero((weight > 0) & (labels == label))
            chosen = own[np.argsort(rank[own], kind="stable")[: max(1, round(part * len(own)))]]
            kept[row, chosen] = 0.5 / len(chosen)
    return replace(whole, weight=kept, sizes=whole.sizes * part)
