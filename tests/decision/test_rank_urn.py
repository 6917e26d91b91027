"""Urns of ranks: bins of reference values, and p-values of a stream."""

import numpy as np
import pytest

from twofold.decision.rank_urn import MIN_VALUES, RankUrn, fit_urn, p_values


def urn_of(values: np.ndarray, groups: np.ndarray | None = None) -> RankUrn:
    urn = fit_urn(values, groups)
    assert urn is not None
    return urn


def test_gaps_are_counted_between_values_whatever_their_order() -> None:
    values = np.random.default_rng(0).normal(size=199)
    urn = urn_of(values)
    assert urn.gaps.sum() == 200
    assert urn.gaps.tolist() == np.diff([0, *(np.sort(values).searchsorted(urn.edges) + 1), 200]).tolist()
    other = urn_of(values[::-1])
    assert (urn.edges.tolist(), urn.gaps.tolist()) == (other.edges.tolist(), other.gaps.tolist())


def test_a_number_at_an_edge_is_above_it() -> None:
    urn = urn_of(np.arange(39.0))
    assert urn.bins(np.array([-1.0])).tolist() == [0]
    assert urn.bins(urn.edges).tolist() == list(range(1, len(urn.gaps)))


def test_each_group_counts_once_and_unknown_values_not_at_all() -> None:
    values = np.concatenate([np.arange(30.0), np.full(50, 7.5), [np.nan]])
    groups = np.concatenate([np.arange(30), np.full(50, 30), [31]])
    assert urn_of(values, groups).gaps.sum() == 32


def test_too_few_values_make_no_urn() -> None:
    assert fit_urn(np.arange(MIN_VALUES - 1.0)) is None
    assert fit_urn(np.arange(float(MIN_VALUES))) is not None


def test_equal_values_share_a_bin() -> None:
    urn = urn_of(np.full(99, 3.0))
    assert (urn.edges.tolist(), urn.gaps.tolist()) == ([3.0], [1, 99])


def test_p_values_by_hand() -> None:
    # Three bins of 1, 2 and 1 gaps; the middle one spans 1/4 to 3/4.
    balls = np.array([[1, 2, 1]] * 3)
    p = p_values(balls, np.array([0, 1, 2]), np.array([0.5, 0.5, 0.0]))
    assert p.tolist() == [0.125, 0.5, 0.75]


def test_p_values_of_a_stream_are_uniform_and_independent_although_the_reference_is_small() -> None:
    """The promise on which the martingale rests. Chi-squared of 10 x 10 cells of two successive p-values, and of their mean over
    a stream that is ten times as long as the reference."""
    rng, count, length = np.random.default_rng(5), 4000, 200
    urns = [urn_of(rng.random(MIN_VALUES)) for _ in range(count)]
    edges, balls = np.array([urn.edges for urn in urns]), np.array([urn.gaps for urn in urns])
    p = np.empty((length, count))
    for number in range(length):
        bins = (edges <= rng.random(count)[:, None]).sum(axis=1)
        p[number] = p_values(balls, bins, rng.random(count))
        balls[np.arange(count), bins] += 1
    means = p.mean(axis=0)
    cells = np.histogram2d(p[-2], p[-1], bins=10, range=[[0, 1], [0, 1]])[0]
    assert ((cells - count / 100) ** 2 / (count / 100)).sum() < 148.2  # the 99.9% point of chi-squared with 99 degrees
    # The variance of a mean of independent uniform numbers; its own 99.9% bounds, normal.
    assert abs(means.var() * 12 * length - 1) < 3.29 * np.sqrt(2 / count)


def test_an_urn_is_read_back_from_json() -> None:
    urn = urn_of(np.random.default_rng(1).normal(size=500))
    again = RankUrn.from_json(urn.as_json())
    assert again.edges.tolist() == urn.edges.tolist()
    assert again.gaps.tolist() == urn.gaps.tolist()


@pytest.mark.parametrize(
    "plain",
    [
        {"edges": [], "gaps": [1]},
        {"edges": [1.0], "gaps": [1]},
        {"edges": [2.0, 1.0], "gaps": [1, 1, 1]},
        {"edges": [1.0], "gaps": [1, 0]},
        {"edges": [float("nan")], "gaps": [1, 1]},
    ],
)
def test_an_illegal_urn_is_refused(plain: dict[str, list[float]]) -> None:
    with pytest.raises(ValueError, match="edges"):
        RankUrn.from_json(plain)


def test_the_median_is_that_of_the_reference() -> None:
    assert urn_of(np.arange(101.0)).median == pytest.approx(50, abs=1)
