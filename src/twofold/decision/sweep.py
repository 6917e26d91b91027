"""Every threshold at once: what each gives, which is the best, and whether the best is more than luck."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from twofold.decision.counts import Counts, count

Labels = NDArray[np.int8]
Probabilities = NDArray[np.float64]
Score = Callable[[Counts], NDArray[np.float64]]

MAX_EXACT = 20_000
"""Images up to which a simulation draws each label and tries each threshold."""

MAX_CUTS = 4_000
"""Thresholds that it tries above that."""


@dataclass(frozen=True, slots=True)
class Sweep:
    """Every threshold that tells these pictures apart, ascending, and what it gives."""

    values: NDArray[np.float64] = field(repr=False)  # (k,)
    counts: Counts = field(repr=False)  # of shape (k,)


def sweep(labels: Labels, probabilities: Probabilities) -> Sweep:
    """The thresholds midway between neighbours among 0, the distinct probabilities and 1, with their counts."""
    order = np.argsort(probabilities, kind="stable")
    values, below = _thresholds(probabilities[order])
    return Sweep(values, _counts(labels[order] == 1, below))


def _thresholds(ascending: Probabilities) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Values (k,), and how many pictures lie below each."""
    low, high = np.append(0.0, ascending), np.append(ascending, 1.0)
    below = np.flatnonzero((low < high) | (np.arange(len(low)) == 0))
    middle = (low + high)[below] / 2
    return np.where(middle > low[below], middle, high[below]), below  # the middle of adjacent floats is the lower


def _counts(ascending: NDArray[np.bool_], below: NDArray[np.int64]) -> Counts:
    """Labels (..., n) in the order of their probabilities -> counts (..., k) with so many pictures below."""
    n = ascending.shape[-1]
    positives = np.zeros((*ascending.shape[:-1], n + 1), np.int64)
    np.cumsum(ascending, axis=-1, out=positives[..., 1:])
    fn = positives[..., below]
    tp = positives[..., -1:] - fn
    return Counts(tn=below - fn, fp=n - below - tp, fn=fn, tp=tp)


def best_threshold(labels: Labels, probabilities: Probabilities, score: Score, reference: float) -> float:
    """The threshold of the highest score: the reference if none is better, and the nearest to it among equals."""
    swept = sweep(labels, probabilities)
    scores = _defined(score(swept.counts))
    highest = scores.max(initial=-np.inf)
    if highest <= _defined(score(count(labels, probabilities, reference))):
        return reference
    best = swept.values[scores == highest]
    return float(best[np.argmin(np.abs(best - reference))])


def chance_of_gain(
    labels: Labels,
    probabilities: Probabilities,
    truth: Probabilities,
    score: Score,
    reference: float,
    seed: int,
    *,
    samples: int = 199,
) -> float:
    """The chance that the best threshold gains as much over the reference as it does here, if `truth` were the truth.

    A test by simulation (Davison and Hinkley 1997, section 4.2) that includes the search: labels are drawn with the probabilities
    (n,) in `truth`, and the best threshold of each draw is searched. Above `MAX_EXACT` images the search is over `MAX_CUTS`
    thresholds, in the draws and in the data alike.
    """
    order = np.argsort(probabilities, kind="stable")
    _, below = _thresholds(probabilities[order])
    at_reference = int(np.searchsorted(probabilities[order], reference, "left"))
    draws = _Draws.of(labels[order] == 1, truth[order], below, at_reference)
    observed = draws.gain(draws.observed, score)
    rng = np.random.default_rng(seed)
    rows = max(1, 1_000_000 // draws.size)  # at a time, to bound memory
    batches = (draws.draw(rng, min(rows, samples - start)) for start in range(0, samples, rows))
    reached = sum(int(np.sum(draws.gain(fn, score) >= observed - 1e-12)) for fn in batches)
    return (reached + 1) / (samples + 1)


@dataclass(frozen=True, slots=True, eq=False)
class _Draws:
    """Labels drawn from their probabilities, as cumulated positives below each cut; the first cut is the reference."""

    cuts: NDArray[np.int64]  # (c,) images below the reference and below each threshold
    ends: NDArray[np.int64]  # (s,) images below the end of each segment, ascending; the last is n
    images: NDArray[np.int64]  # (s,) of each segment
    chance: Probabilities  # (s,) of a positive label in each segment
    observed: NDArray[np.int64]  # (s + 1,) positives below the start of each segment and in all

    @classmethod
    def of(
        cls, ascending: NDArray[np.bool_], truth: Probabilities, below: NDArray[np.int64], at_reference: int
    ) -> "_Draws":
        """From labels and probabilities in ascending order of the scores. Each image is a segment, up to `MAX_EXACT` images."""
        n, positives = len(ascending), np.concatenate([[0], np.cumsum(ascending)])
        if n <= MAX_EXACT:
            ends = np.arange(1, n + 1)
            return cls(np.append(at_reference, below), ends, np.ones(n, np.int64), truth, positives)
        cuts = below[:: -(-len(below) // MAX_CUTS)]
        ends = np.unique(np.concatenate([cuts, [at_reference, n]]))
        ends = ends[ends > 0]
        images = np.diff(ends, prepend=0)
        chance = np.diff(np.cumsum(truth)[ends - 1], prepend=0.0) / images
        return cls(np.append(at_reference, cuts), ends, images, chance.clip(0, 1), np.append(0, positives[ends]))

    @property
    def size(self) -> int:
        """Segments."""
        return len(self.ends)

    def draw(self, rng: np.random.Generator, count: int) -> NDArray[np.int64]:
        """Positives below the start of each segment and in all, (count, s + 1)."""
        positives = np.zeros((count, self.size + 1), np.int64)
        if self.size == self.ends[-1]:
            np.cumsum(rng.random((count, self.size)) < self.chance, axis=-1, out=positives[:, 1:])
        else:
            np.cumsum(rng.binomial(self.images, self.chance, (count, self.size)), axis=-1, out=positives[:, 1:])
        return positives

    def gain(self, positives: NDArray[np.int64], score: Score) -> NDArray[np.float64]:
        """What the best cut gains over the reference, for cumulated positives (..., s + 1)."""
        n = int(self.ends[-1])
        fn = positives[..., np.searchsorted(np.append(0, self.ends), self.cuts)]
        tp = positives[..., -1:] - fn
        scores = _defined(score(Counts(tn=self.cuts - fn, fp=n - self.cuts - tp, fn=fn, tp=tp)))
        return np.asarray(scores[..., 1:].max(axis=-1) - scores[..., 0])


def _defined(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Undefined counts as the worst."""
    return np.nan_to_num(scores, nan=0.0)
