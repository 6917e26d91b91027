"""Test martingales: wealth by hand, false alarms, and changes that are found."""

import numpy as np
import pytest

from twofold.decision.bounds import upper_bound
from twofold.decision.martingale import Bets, Martingale, play, prevalence_bets, reserve, shift_bets, wealth
from twofold.decision.rank_urn import FRACTIONS, RankUrn, fit_urn, p_values

WIDTHS = np.diff([0, *FRACTIONS, 1])


def urn_of(values: np.ndarray) -> RankUrn:
    urn = fit_urn(values)
    assert urn is not None
    return urn


def follow(urn: RankUrn, bets: Bets, values: np.ndarray, ties: np.ndarray, limit: float = 100) -> Martingale:
    return Martingale.begin(urn, bets).follow(values, ties, urn, bets, limit)


@pytest.mark.parametrize("bets", [shift_bets(), prevalence_bets(0.5), prevalence_bets(0.02)])
def test_every_bet_is_a_density_and_the_parts_are_a_whole(bets: Bets) -> None:
    assert WIDTHS @ bets.densities == pytest.approx(np.ones(len(bets.parts)), abs=1e-12)
    assert np.all(bets.densities > 0)
    assert bets.parts.sum() == pytest.approx(1, abs=1e-12)


def test_wealth_by_hand() -> None:
    densities = np.ones((len(WIDTHS), 2))
    densities[0], densities[-1] = (3, 1), (0.5, 2)
    bets = Bets(densities, np.array([0.25, 0.75]))
    stakes = play(np.zeros((1, 2)), 0, np.array([0.0]), bets)
    # Half of the wealth of 1 is staked: an eighth wins threefold, three eighths stay.
    assert stakes[0].tolist() == [0.375, 0.375]
    assert wealth(stakes, 1)[0] == 1.25
    begun = 0.5 - 0.5 / (1 + np.log1p(1 / 100))
    stakes = play(stakes, 1, np.array([1.0]), bets)
    assert stakes[0] == pytest.approx([(0.375 + begun / 4) / 2, (0.375 + begun * 3 / 4) * 2], rel=1e-15)
    assert wealth(stakes, 2)[0] == pytest.approx(stakes.sum() + 0.5 - begun, rel=1e-15)


def test_the_reserve_falls_from_one_and_hardly_after_a_million() -> None:
    counts = np.array([0, 1, 2, 1_000_000])
    assert np.all(np.diff(reserve(counts)) < 0)
    assert reserve(counts)[:2].tolist() == [1.0, 0.5]
    assert reserve(counts)[-1] > 0.04


def test_the_mean_wealth_at_the_next_number_is_the_wealth_now() -> None:
    """What makes it a martingale, exactly: the mean over the cells of the next p-value."""
    bets, rng = shift_bets(), np.random.default_rng(0)
    stakes = rng.random((1, len(bets.parts)))
    middles = np.cumsum(WIDTHS) - WIDTHS / 2
    after = wealth(play(np.repeat(stakes, len(WIDTHS), axis=0), 41, middles, bets), 42)
    assert WIDTHS @ after == pytest.approx(wealth(stakes, 41)[0], rel=1e-12)


@pytest.mark.parametrize("bets", [shift_bets(), prevalence_bets(0.3)])
@pytest.mark.parametrize("size", [20, 300])
def test_lives_without_a_change_keep_the_promise(size: int, bets: Bets) -> None:
    """1,000 lives of 3,000 numbers, ten or 150 times the reference: not significantly more false alarms than one in 100."""
    rng, count = np.random.default_rng(size), 1000
    urns = [urn_of(rng.normal(size=size)) for _ in range(count)]
    edges, balls = np.array([urn.edges for urn in urns]), np.array([urn.gaps for urn in urns])
    stakes, highest, rows = np.zeros((count, len(bets.parts))), np.ones(count), np.arange(count)
    for number in range(3000):
        bins = (edges <= rng.normal(size=count)[:, None]).sum(axis=1)
        stakes = play(stakes, number, p_values(balls, bins, rng.random(count)), bets)
        balls[rows, bins] += 1
        highest = np.maximum(highest, wealth(stakes, number + 1))
    alarms = int(np.sum(highest >= 100))
    # The lower bound of the rate at 99.9%, Clopper and Pearson: 1 less the upper bound of the lives without an alarm.
    assert 1 - upper_bound(count - alarms, count, 0.999) <= 0.01


@pytest.mark.parametrize(
    ("shift", "scale", "within"), [(-1.0, 1.0, 60), (1.0, 1.0, 60), (0.0, 2.0, 150), (0.0, 0.4, 150)]
)
def test_a_change_of_all_numbers_is_found_at_once(shift: float, scale: float, within: int) -> None:
    rng, found = np.random.default_rng(3), []
    for _ in range(20):
        urn, bets = urn_of(rng.normal(size=500)), shift_bets()
        found.append(follow(urn, bets, rng.normal(shift, scale, 400), rng.random(400), 285).alarm)
    assert np.median([400 if alarm is None else alarm for alarm in found]) <= within


def test_rare_strangers_are_found() -> None:
    rng = np.random.default_rng(4)
    urn, bets = urn_of(rng.normal(size=1000)), shift_bets()
    values = np.where(rng.random(400) < 0.05, -9.0, rng.normal(size=400))
    alarm = follow(urn, bets, values, rng.random(400)).alarm
    assert alarm is not None
    assert alarm < 300


def test_a_change_after_a_long_quiet_life_is_found() -> None:
    rng = np.random.default_rng(6)
    urn, bets = urn_of(rng.normal(size=500)), shift_bets()
    values = np.concatenate([rng.normal(size=10_000), rng.normal(-1, 1, 300)])
    alarm = follow(urn, bets, values, rng.random(len(values))).alarm
    assert alarm is not None
    assert 10_000 < alarm < 10_150


def test_a_life_in_two_parts_is_the_life_in_one() -> None:
    rng = np.random.default_rng(7)
    urn, bets, values, ties = urn_of(rng.normal(size=99)), shift_bets(), rng.normal(-1, 1, 90), rng.random(90)
    one = follow(urn, bets, values, ties)
    two = follow(urn, bets, values[:40], ties[:40]).follow(values[40:], ties[40:], urn, bets, 100)
    assert (one.stakes.tolist(), one.numbers.tolist()) == (two.stakes.tolist(), two.numbers.tolist())
    assert (one.highest, one.alarm, one.wealth) == (two.highest, two.alarm, two.wealth)


def test_the_alarm_stays_at_the_number_that_raised_it() -> None:
    rng = np.random.default_rng(8)
    urn, bets = urn_of(rng.normal(size=99)), shift_bets()
    alarmed = follow(urn, bets, np.full(50, -9.0), rng.random(50))
    later = alarmed.follow(rng.normal(size=200), rng.random(200), urn, bets, 100)
    assert alarmed.alarm is not None
    assert later.alarm == alarmed.alarm
    assert later.highest >= alarmed.highest >= 100


def test_wealth_stays_finite_however_long_all_is_strange() -> None:
    urn, bets = urn_of(np.arange(5000.0)), shift_bets()
    life = follow(urn, bets, np.full(3000, -1.0), np.full(3000, 0.5))
    assert np.isfinite(life.wealth)
