"""Pairs of hashes that differ in few bits."""

import numpy as np
import pytest
from numpy.typing import NDArray

from twofold.duplicates import hamming_search as search
from twofold.duplicates.hamming_search import MAX_BITS, equal_pairs, pairs_within


def planted(count: int, seed: int = 0) -> NDArray[np.uint64]:
    """Random hashes of 63 bits, each second one near the one before: 0 to 12 bits away."""
    random = np.random.default_rng(seed)
    hashes = random.integers(0, 1 << 63, count, dtype=np.uint64)
    for row in range(1, count, 2):
        turned = random.permutation(63)[: random.integers(0, 13)]
        hashes[row] = hashes[row - 1] ^ np.bitwise_or.reduce(np.uint64(1) << turned.astype(np.uint64), initial=0)
    return hashes


def by_comparing_all(a: NDArray[np.uint64], b: NDArray[np.uint64]) -> set[tuple[int, int]]:
    first = {int(value): row for row, value in reversed(list(enumerate(b.tolist())))}
    apart = np.bitwise_count(a[:, None] ^ b[None, :])
    return {(int(x), first[int(b[y])]) for x, y in np.argwhere(apart <= MAX_BITS)}


@pytest.mark.parametrize("few", [10_000, 0], ids=["narrow bands", "wide bands"])
def test_all_pairs_within_eight_bits_are_found_and_no_others(few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "_MAX_NARROW", few)
    a, b = planted(600), planted(600)[100:500]
    pairs = pairs_within(a, b)
    assert {(int(x), int(y)) for x, y in pairs} == by_comparing_all(a, b)
    assert len(pairs) > 300


def test_thousands_of_equal_hashes_make_thousands_of_pairs_not_millions() -> None:
    same = np.full(20_000, 12345, np.uint64)
    assert len(pairs_within(same, same)) == 20_000
    fine = np.random.default_rng(0).integers(0, 1 << 63, (20_000, 4), dtype=np.uint64)
    fine[17] = fine[19_000]
    pairs = equal_pairs(same, fine)
    assert len(pairs) < 5 * 20_000
    assert {frozenset(map(int, pair)) for pair in pairs} >= {frozenset((17, 19_000))}


def alike(count: int, turned: int = 4) -> NDArray[np.uint64]:
    """Hashes of one, with up to so many bits turned."""
    bits = np.random.default_rng(0).integers(0, 63, (count, turned)).astype(np.uint64)
    return np.bitwise_xor.reduce(np.uint64(1) << bits, axis=1)


@pytest.mark.parametrize("few", [10_000, 0], ids=["narrow bands", "wide bands"])
def test_of_many_near_hashes_each_is_paired_with_the_nearest_alone(few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "_MAX_NARROW", few)
    monkeypatch.setattr(search, "_MAX_PAIRS", 10_000)  # so that what is found is thinned many times
    hashes = np.unique(alike(1000))
    apart = np.bitwise_count(hashes[:, None] ^ hashes[None])
    nearest = np.sort(apart, axis=1)[:, : search._MAX_NEIGHBOURS]
    assert (nearest[:, -1] < MAX_BITS).all()
    rows, others = pairs_within(hashes, hashes).T
    assert (np.bincount(rows) == search._MAX_NEIGHBOURS).all()
    assert len({*zip(rows.tolist(), others.tolist(), strict=True)}) == len(rows)
    assert (apart[rows, others].reshape(nearest.shape) == nearest).all()


def test_a_crowd_takes_no_pairs_from_those_outside_it() -> None:
    few = planted(600)
    crowded = np.concatenate([few, alike(3000)])
    pairs = pairs_within(crowded, crowded)
    assert len(pairs) < 3600 * search._MAX_NEIGHBOURS
    assert {(int(x), int(y)) for x, y in pairs if x < len(few)} == by_comparing_all(few, crowded)


def test_nothing_is_near_nothing() -> None:
    nothing = np.empty(0, np.uint64)
    assert pairs_within(nothing, nothing).shape == (0, 2)
    assert pairs_within(planted(4), nothing).shape == (0, 2)
    assert equal_pairs(nothing, np.empty((0, 4), np.uint64)).shape == (0, 2)
