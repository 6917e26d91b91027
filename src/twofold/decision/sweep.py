"""Every threshold at once: what each gives, which is the best, and whether the best is more than luck."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from twofold.decision.counts import Counts, count

Labels = NDArray[np.int8]
Probabilities = NDArray[np.float64]
Score = Callable[[Counts], NDArray[np.float64]]


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
    """The chance that the best threshold gains as much over the reference as it does here, were `truth` the truth.

    A test by simulation (Davison and Hinkley 1997, section 4.2) in which the search takes part: labels are drawn with
    the chances (n,) in `truth`, and for each draw the best threshold is searched anew.
    """
    order = np.argsort(probabilities, kind="stable")
    _, below = _thresholds(probabilities[order])
    at_reference = np.searchsorted(probabilities[order], [reference], "left")

    def gain(ascending: NDArray[np.bool_]) -> NDArray[np.float64]:
        scores, start = score(_counts(ascending, below)), score(_counts(ascending, at_reference))
        return np.asarray(_defined(scores).max(axis=-1) - _defined(start)[..., 0])

    seen = gain(labels[order] == 1)
    rng = np.random.default_rng(seed)
    rows = max(1, 1_000_000 // len(labels))  # at a time, to bound memory
    drawn = (rng.random((min(rows, samples - start), len(labels))) for start in range(0, samples, rows))
    reached = sum(int(np.sum(gain(draw < truth[order]) >= seen - 1e-12)) for draw in drawn)
    return (reached + 1) / (samples + 1)


def _defined(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Undefined counts as the worst."""
    return np.nan_to_num(scores, nan=0.0)
