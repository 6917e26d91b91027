"""Exact binomial bounds, against SciPy's distribution and simulation."""

import numpy as np
import pytest
from scipy import stats

from twofold.decision.bounds import allowed_failures, needed_trials, tail, upper_bound


@pytest.mark.parametrize(
    ("trials", "rate"), [(1, 0.5), (20, 0.1), (59, 0.05), (500, 0.05), (1000, 0.02), (100_000, 0.3)]
)
def test_allowed_failures_are_the_last_with_a_small_tail(trials: int, rate: float) -> None:
    allowed = allowed_failures(trials, rate, 0.95)
    assert allowed < 0 or stats.binom.cdf(allowed, trials, rate) <= 0.05
    assert stats.binom.cdf(allowed + 1, trials, rate) > 0.05


def test_tails_agree_with_scipy_and_are_1_without_trials() -> None:
    failures, trials = np.array([0, 3, 40]), np.array([5, 30, 41])
    assert tail(failures, trials, 0.1) == pytest.approx(stats.binom.cdf(failures, trials, 0.1))
    assert tail(0, 0, 0.1) == 1
    assert allowed_failures(0, 0.1, 0.95) == -1


def test_needed_trials_are_the_first_that_suffice() -> None:
    for failure_rate, rate in ((0.0, 0.05), (0.02, 0.05), (0.1, 0.2)):
        needed = needed_trials(failure_rate, rate, 0.95)
        assert needed is not None
        assert tail(np.ceil(failure_rate * needed), needed, rate) <= 0.05
    assert needed_trials(0.05, 0.05, 0.95) is None


def test_the_upper_bound_is_that_of_clopper_and_pearson() -> None:
    assert upper_bound(7, 90, 0.975) == pytest.approx(stats.binomtest(7, 90).proportion_ci(0.95, "exact").high)
    assert upper_bound(5, 5, 0.95) == 1
    assert allowed_failures(200, upper_bound(4, 200, 0.95) + 1e-9, 0.95) == 4
