"""Exact binomial bounds: how many failures a promise allows, and how many images it needs.

A promise "at most a fraction `rate` fails" holds at a confidence C if so few failures among the trials would have a probability
of at most 1 - C for a process that fails more often (Clopper and Pearson 1934). There is no approximation, so few images suffice.
"""

from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

_MOST_TRIALS: Final = 10**9

MAX_SIMULTANEOUS_RATE: Final = 0.2
"""The largest failure rate of a threshold whose bound holds together with those of all others."""

_TRIALS: Final = (1, 3, 10, 30, 100, 300, 1_000, 3_000, 10_000, 30_000)
_CONFIDENCES: Final = (0.5, 0.8, 0.9, 0.95, 0.975, 0.99, 0.995)
_LOCAL_LEVELS: Final = (
    (0.5, 0.2, 0.1, 0.05, 0.025, 0.01, 0.005),
    (0.5, 0.2, 0.1, 0.05, 0.025, 0.01, 0.005),
    (0.316, 0.108, 0.05, 0.0237, 0.0114, 0.00435, 0.00212),
    (0.235, 0.0734, 0.0328, 0.0151, 0.00706, 0.00263, 0.00126),
    (0.167, 0.0478, 0.0205, 0.00914, 0.00417, 0.00151, 0.000712),
    (0.125, 0.0336, 0.014, 0.00608, 0.00272, 0.000968, 0.000449),
    (0.0941, 0.024, 0.00974, 0.00416, 0.00184, 0.000643, 0.000295),
    (0.0748, 0.0184, 0.00737, 0.00311, 0.00136, 0.000472, 0.000215),
    (0.0599, 0.0143, 0.00568, 0.00238, 0.00104, 0.000356, 0.000162),
    (0.0499, 0.0118, 0.00463, 0.00193, 0.000838, 0.000287, 0.00013),
)
"""By `bench/simultaneous_levels.py`: a row for each of `_TRIALS`, a column for each of `_CONFIDENCES`."""


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


def simultaneous_confidence(trials: int, confidence: float) -> float:
    """The confidence of one bound with which the bounds at all thresholds hold together at `confidence`.

    The thresholds are those with a failure rate of at most `MAX_SIMULTANEOUS_RATE`. All have the same local level (Berk and
    Jones 1979), interpolated in a table of exact values.

    >>> allowed_failures(1000, 0.05, simultaneous_confidence(1000, 0.95))
    32
    """
    from scipy.interpolate import RegularGridInterpolator

    axes = np.log(_TRIALS), np.log1p(-np.array(_CONFIDENCES))
    levels = RegularGridInterpolator((axes[0], -axes[1]), np.log(_LOCAL_LEVELS), bounds_error=False, fill_value=None)
    return 1 - float(np.exp(levels((np.log(trials), -np.log1p(-confidence)))))
