"""Test martingales: the wealth of a gambler who bets against the claim that new numbers are like reference values.

A bet is a density on [0, 1]; it multiplies its stake by its value at the next p-value. While p-values are independent and
uniform, no bet gains on average, so the wealth, which begins with 1, ever reaches L with a probability of at most 1 / L, however
often one looks (Ville 1939; Vovk, Nouretdinov and Gammerman 2003, "Testing exchangeability on-line"). The stakes are a mixture
over bets and over the time at which the numbers change: what no bet holds yet is kept, so the wealth is not lost while nothing
happens.
"""

from dataclasses import dataclass, field
from itertools import accumulate
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from twofold.core.arrays import Reals
from twofold.decision.rank_urn import FRACTIONS, Counts, RankUrn, p_values

_EDGES: Final = np.array([0, *FRACTIONS, 1])
_FIRST: Final = 0.5  # of the wealth is staked at once
_SLOW: Final = 100  # numbers
_MOST: Final = 1e300  # wealth beyond it is cut
_BLOCK: Final = 1024  # numbers at a time, to bound memory


@dataclass(frozen=True, slots=True, eq=False)
class Bets:
    """Densities (cells, j) of p-values, constant in each cell between `FRACTIONS`, and their parts (j,) of every stake."""

    densities: Reals = field(repr=False)
    parts: Reals = field(repr=False)


def shift_bets() -> Bets:
    """Bets on any change: power densities e * p^(e - 1) towards either end (Vovk and others 2003), half of them on rare ones; the
    middle; and both ends."""
    lower = [_EDGES**power for power in (0.3, 0.5, 0.7)]
    # A twentieth, or a fifth, of all numbers are among the lowest or highest 1%, the others are as before.
    rare = [part * np.minimum(_EDGES / 0.01, 1) + (1 - part) * _EDGES for part in (0.05, 0.2)]
    one_sided = [*lower, *rare]
    middle = _EDGES**2 * (3 - 2 * _EDGES)
    both = [*one_sided, *(1 - distribution[::-1] for distribution in one_sided), middle, 2 * _EDGES - middle]
    return _bets(np.array(both).T)


def prevalence_bets(prevalence: float) -> Bets:
    """Bets on another prevalence, for p-values of logits: numbers in the upper part, as large as the prevalence, become more or
    fewer by 10 or 25 percentage points, at most by four fifths of what is there."""
    changes = [sign * points for points in (0.1, 0.25) for sign in (-1, 1)]
    others = [float(np.clip(prevalence + change, prevalence / 5, 1 - (1 - prevalence) / 5)) for change in changes]
    cut = 1 - prevalence
    return _bets(np.array([np.interp(_EDGES, (0, cut, 1), (0, 1 - other, 1)) for other in others]).T)


def _bets(distributions: Reals) -> Bets:
    """The bets with these distribution functions at the edges of the cells, (cells + 1, j)."""
    densities = np.diff(distributions, axis=0) / np.diff(_EDGES)[:, None]
    return Bets(densities, np.full(densities.shape[1], 1 / densities.shape[1]))


def reserve(count: int | NDArray[np.int64]) -> Reals:
    """The part of the wealth that no bet holds yet after `count` numbers. It falls as 1 / log: so a change after T numbers costs
    a factor of about T, times log T squared."""
    late = _FIRST / (1 + np.log1p((np.maximum(count, 1) - 1) / _SLOW))
    return np.asarray(np.where(np.asarray(count) == 0, 1.0, late))


def play(stakes: Reals, count: int, p: Reals, bets: Bets) -> Reals:
    """The stakes (n, j) of n martingales after `count` numbers and one more, with p-values (n,)."""
    begun = float(reserve(count) - reserve(count + 1))
    return _stake(stakes, (begun * bets.parts, _densities(p, bets)))


def _stake(stakes: Reals, step: tuple[Reals, Reals]) -> Reals:
    """The stakes after what is newly staked on each bet, (j,), and the densities of the bets at the next p-value."""
    begun, densities = step
    return np.minimum((stakes + begun) * densities, _MOST)


def _densities(p: Reals, bets: Bets) -> Reals:
    """The density of each bet at p-values (n,), (n, j)."""
    return np.asarray(bets.densities[np.searchsorted(FRACTIONS, p, "right")])


def wealth(stakes: Reals, count: int) -> Reals:
    """The wealth (n,) of martingales with stakes (n, j) after `count` numbers."""
    return np.asarray(stakes.sum(axis=-1) + reserve(count))


@dataclass(frozen=True, slots=True, eq=False)
class Martingale:
    """The life of one martingale: the numbers in each bin so far (k,), the stakes of its bets (j,), the highest wealth, and the
    number, from 1, at which that reached the limit; None where it has not."""

    numbers: Counts = field(repr=False)
    stakes: Reals = field(repr=False)
    highest: float = 1.0
    alarm: int | None = None

    @classmethod
    def begin(cls, urn: RankUrn, bets: Bets) -> Self:
        """A martingale before its first number."""
        return cls(np.zeros(len(urn.gaps), np.int64), np.zeros(len(bets.parts)))

    @property
    def count(self) -> int:
        """The numbers so far."""
        return int(self.numbers.sum())

    @property
    def wealth(self) -> float:
        """The wealth now."""
        return float(wealth(self.stakes, self.count))

    def follow(self, values: Reals, ties: Reals, urn: RankUrn, bets: Bets, limit: float) -> "Martingale":
        """The martingale after these numbers (n,), in their order; `ties` (n,) are uniform in [0, 1)."""
        after, bins = self, urn.bins(values)
        for start in range(0, len(bins), _BLOCK):
            block = slice(start, start + _BLOCK)
            after = after._follow_block(bins[block], ties[block], urn, bets, limit)
        return after

    def _follow_block(self, bins: Counts, ties: Reals, urn: RankUrn, bets: Bets, limit: float) -> "Martingale":
        each = (bins[:, None] == np.arange(len(urn.gaps))).astype(np.int64)
        numbers = self.numbers + each.cumsum(axis=0)  # after each number
        p = p_values(urn.gaps + numbers - each, bins, ties)
        reserves = reserve(self.count + np.arange(len(bins) + 1))
        begun = (reserves[:-1] - reserves[1:])[:, None] * bets.parts
        steps = zip(begun, _densities(p, bets), strict=True)
        stakes = np.array([*accumulate(steps, _stake, initial=self.stakes)][1:])
        wealths = stakes.sum(axis=-1) + reserves[1:]
        reached = np.flatnonzero(wealths >= limit)
        alarm = self.count + int(reached[0]) + 1 if self.alarm is None and len(reached) else self.alarm
        return Martingale(numbers[-1], stakes[-1], max(self.highest, float(wealths.max())), alarm)
