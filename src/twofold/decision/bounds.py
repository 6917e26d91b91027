"""Exact binomial bounds: how many failures a promise allows, and how many images it needs.

A promise "at most a fraction `rate` fails" holds at a confidence C if so few failures among the trials would have a probability
of at most 1 - C for a process that fails more often (Clopper and Pearson 1934). There is no approximation, so few images suffice.
"""

from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

_MOST_TRIALS: Final = 10**9


def tail(failures: ArrayLike, trials: ArrayLike, rate: ArrayLike) -> NDArray[np.float64]:
    """The probability of at most so many failures, where each trial fails at this rate; 1 without trials."""
    from scipy.special import betainc  # here, because predictions do not need it

    failures, trials = np.asarray(failures, np.float64), np.asarray(trials, np.float64)
    passed = np.maximum(trials - failures, 1.0)
    return np.asarray(np.where(failures >= trials, 1.0, betainc(passed, failures + 1, 1 - np.asarray(rate))))


def allowed_failures(trials: int, rate: float, confidence: float) -> int:
    """The largest number of failures with which "at most this rate fails" holds; -1 where not even 0 do.

    >>> [allowed_failures(n, 0.05, 0.95) for n in (58, 59, 500, 1000)]
    [-1, 0, 16, 38]
    """
    low, high = -1, trials  # of the tail, `low` is small enough and `high` is not
    while high - low > 1:
        middle = (low + high) // 2
        if tail(middle, trials, rate) <= 1 - confidence:
            low = middle
        else:
            high = middle
    return low


def needed_trials(failure_rate: float, rate: float, confidence: float) -> int | None:
    """The smallest number of trials with which "at most `rate` fails" holds, where the observed failures are `failure_rate` of
    them, rounded up; None where more than a billion are needed, as where as many fail as are allowed.

    >>> needed_trials(0.0, 0.05, 0.95), needed_trials(0.0, 0.01, 0.95)
    (59, 299)
    """
    low, high = 0, 1  # `low` does not suffice
    while not _suffices(high, failure_rate, rate, confidence):
        low, high = high, 2 * high
        if high > _MOST_TRIALS:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        if _suffices(middle, failure_rate, rate, confidence):
            high = middle
        else:
            low = middle
    return high


def _suffices(trials: int, failure_rate: float, rate: float, confidence: float) -> bool:
    return bool(tail(np.ceil(failure_rate * trials), trials, rate) <= 1 - confidence)


def upper_bound(failures: int, trials: int, confidence: float) -> float:
    """The lowest rate of which "at most this rate fails" holds; 1 where everything failed.

    >>> round(upper_bound(0, 59, 0.95), 4), round(upper_bound(2, 120, 0.95), 4)
    (0.0495, 0.0515)
    """
    from scipy.special import betaincinv

    if failures >= trials:
        return 1.0
    return float(betaincinv(failures + 1, trials - failures, confidence))
