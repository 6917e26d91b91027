"""All thresholds at once: the confusion matrix of each, the best threshold, and a significance test of its gain."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from twofold.core.arrays import Labels, Probabilities
from twofold.decision.confusion import ConfusionMatrix, confusion_at

Score = Callable[[ConfusionMatrix], NDArray[np.float64]]

MAX_EXACT = 20_000
"""The largest number of images for which a simulation draws each label and tries each threshold."""

MAX_CUTS = 2_000
"""The number of thresholds that it tries above `MAX_EXACT` images."""


@dataclass(frozen=True, slots=True, eq=False)
class Sweep:
    """Every threshold that separates two images, ascending, and the confusion matrix of each."""

    thresholds: NDArray[np.float64] = field(repr=False)  # (k,)
    confusion: ConfusionMatrix = field(repr=False)  # cells of shape (k,)


def sweep(labels: Labels, probabilities: Probabilities) -> Sweep:
    """The thresholds midway between neighbours among 0, the distinct probabilities and 1, with their confusion matrices."""
    order = np.argsort(probabilities, kind="stable")
    thresholds, below = _thresholds(probabilities[order])
    positives = np.append(0, np.cumsum(labels[order] == 1))
    return Sweep(thresholds, _confusion(positives[below], int(positives[-1]), below, len(labels)))


def _thresholds(ascending: Probabilities) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Thresholds (k,), and how many images lie below each."""
    low, high = np.append(0.0, ascending), np.append(ascending, 1.0)
    below = np.flatnonzero((low < high) | (np.arange(len(low)) == 0))
    middle = (low + high)[below] / 2
    return np.where(middle > low[below], middle, high[below]), below  # the middle of adjacent floats is the lower


def _confusion(
    fn: NDArray[np.int64], positives: int | NDArray[np.int64], below: NDArray[np.int64], images: int
) -> ConfusionMatrix:
    """The matrices of cuts with `below` (k,) images below them, `fn` (..., k) of these positive."""
    tp = positives - fn
    return ConfusionMatrix(tn=below - fn, fp=images - below - tp, fn=fn, tp=tp)


def best_threshold(labels: Labels, probabilities: Probabilities, score: Score, reference: float) -> float:
    """The threshold with the highest score: the reference if none is better, else the nearest to it among equals."""
    candidates = sweep(labels, probabilities)
    scores = _zero_undefined(score(candidates.confusion))
    highest = scores.max(initial=-np.inf)
    if highest <= _zero_undefined(score(confusion_at(labels, probabilities, reference))):
        return reference
    best = candidates.thresholds[scores == highest]
    return float(best[np.argmin(np.abs(best - reference))])


def gain_p_value(
    labels: Labels,
    probabilities: Probabilities,
    truth: Probabilities,
    score: Score,
    reference: float,
    seed: int,
    *,
    samples: int = 199,
) -> float:
    """The p-value of the gain of the best threshold over the reference, where `truth` (n,) holds the true probabilities.

    A test by simulation (Davison and Hinkley 1997, section 4.2) that includes the search: labels are drawn with the
    probabilities in `truth`, and the best threshold of each draw is searched. Above `MAX_EXACT` images the search is over
    `MAX_CUTS` thresholds, in the draws and in the data alike.
    """
    order = np.argsort(probabilities, kind="stable")
    _, below = _thresholds(probabilities[order])
    at_reference = int(np.searchsorted(probabilities[order], reference, "left"))
    simulation = _Simulation.from_labels(labels[order] == 1, truth[order], below, at_reference)
    data_gain = simulation.gain(simulation.observed, score)
    rng = np.random.default_rng(seed)
    rows = max(1, 1_000_000 // simulation.size)  # at a time, to bound memory
    batches = (simulation.draw(rng, min(rows, samples - start)) for start in range(0, samples, rows))
    exceedances = sum(int(np.sum(simulation.gain(positives, score) >= data_gain - 1e-12)) for positives in batches)
    return (exceedances + 1) / (samples + 1)


@dataclass(frozen=True, slots=True, eq=False)
class _Simulation:
    """Labels drawn from their probabilities, as cumulative positives at the ends of segments of images.

    The images are in ascending order of the scores. The first cut is the reference, the others are the thresholds.
    """

    cuts: NDArray[np.int64]  # (c,) images below each cut
    ends: NDArray[np.int64]  # (s,) images up to the end of each segment, ascending; the last is n
    images: NDArray[np.int64]  # (s,) in each segment
    prevalence: Probabilities  # (s,) probability of a positive label in each segment
    observed: NDArray[np.int64]  # (s + 1,) positives of the data: 0, and up to the end of each segment

    @classmethod
    def from_labels(
        cls, ascending: NDArray[np.bool_], truth: Probabilities, below: NDArray[np.int64], at_reference: int
    ) -> "_Simulation":
        """From labels and true probabilities (n,). Up to `MAX_EXACT` images each is a segment of its own."""
        n, positives = len(ascending), np.append(0, np.cumsum(ascending))
        if n <= MAX_EXACT:
            ends = np.arange(1, n + 1)
            return cls(np.append(at_reference, below), ends, np.ones(n, np.int64), truth, positives)
        cuts = below[:: -(-len(below) // MAX_CUTS)]
        ends = np.unique(np.concatenate([cuts, [at_reference, n]]))
        ends = ends[ends > 0]
        images = np.diff(ends, prepend=0)
        prevalence = np.diff(np.cumsum(truth)[ends - 1], prepend=0.0) / images
        return cls(np.append(at_reference, cuts), ends, images, prevalence.clip(0, 1), np.append(0, positives[ends]))

    @property
    def size(self) -> int:
        """The number of segments."""
        return len(self.ends)

    def draw(self, rng: np.random.Generator, samples: int) -> NDArray[np.int64]:
        """Cumulative positives (samples, s + 1), as in `observed`."""
        positives = np.zeros((samples, self.size + 1), np.int64)
        if self.size == self.ends[-1]:
            np.cumsum(rng.random((samples, self.size)) < self.prevalence, axis=-1, out=positives[:, 1:])
        else:
            np.cumsum(rng.binomial(self.images, self.prevalence, (samples, self.size)), axis=-1, out=positives[:, 1:])
        return positives

    def gain(self, positives: NDArray[np.int64], score: Score) -> NDArray[np.float64]:
        """The highest score of a threshold minus the score of the reference, for cumulative positives (..., s + 1)."""
        fn = positives[..., np.searchsorted(np.append(0, self.ends), self.cuts)]
        scores = _zero_undefined(score(_confusion(fn, positives[..., -1:], self.cuts, int(self.ends[-1]))))
        return np.asarray(scores[..., 1:].max(axis=-1) - scores[..., 0])


def _zero_undefined(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """The scores with 0 where undefined."""
    return np.nan_to_num(scores, nan=0.0)
