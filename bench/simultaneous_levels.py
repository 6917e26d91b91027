"""The local levels of bounds that hold for every threshold at once: the table in `twofold.decision.bounds`.

    python bench/simultaneous_levels.py

The failure rate below the k-th of n sorted scores is, at worst, the k-th of n sorted uniform numbers. The bounds at all k up to
n / 5 have the same level of their beta distributions. The probability that any of them is violated is exact: the last violation
is at some k, and what follows is the same problem with fewer numbers. Takes some minutes.
"""

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv, gammaln

from twofold.decision.bounds import _CONFIDENCES, _TRIALS, MAX_SIMULTANEOUS_RATE


def probability_inside(trials: int, level: float) -> float:
    """The probability that no bound is violated: that the largest fifth of the sorted uniform numbers lies above theirs."""
    k = np.arange(max(1, math.ceil((1 - MAX_SIMULTANEOUS_RATE) * trials)), trials + 1)
    bounds, log_factorials = betaincinv(k, trials - k + 1, level), gammaln(np.arange(trials + 1) + 1)

    def no_violation(rest: int, below: NDArray[np.int64], at: NDArray[np.float64], after: NDArray[np.float64]) -> float:
        """1 minus the probability that the last violation leaves `below` of the `rest` numbers below a bound."""
        above = rest - below
        with np.errstate(divide="ignore", invalid="ignore"):
            logs = below * np.log(at) + np.where(above > 0, above * np.log1p(-at), 0)
        logs += log_factorials[rest] - log_factorials[below] - log_factorials[above]
        return float(1 - np.exp(logs) @ after)

    inside = np.ones(len(k))
    for row in range(len(k) - 2, -1, -1):
        later = slice(row + 1, None)
        at = (bounds[later] - bounds[row]) / (1 - bounds[row])
        inside[row] = no_violation(trials - k[row], k[later] - k[row], at, inside[later])
    return no_violation(trials, k, bounds, inside)


def local_level(trials: int, confidence: float) -> float:
    """The level with which all bounds hold together at this confidence, by bisection of its logarithm."""
    low, high = np.log((1 - confidence) / 200), np.log(1 - confidence)
    for _ in range(20 if trials < 3000 else 12):
        middle = (low + high) / 2
        inside = probability_inside(trials, float(np.exp(middle))) >= confidence
        low, high = (middle, high) if inside else (low, middle)
    return float(np.exp(low))


if __name__ == "__main__":
    for trials in _TRIALS:
        levels = (f"{local_level(trials, confidence):.3g}" for confidence in _CONFIDENCES)
        print(f"({', '.join(levels)}),", flush=True)
