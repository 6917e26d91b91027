"""Pairs of hashes that differ in few bits, without comparing all pairs."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate, combinations

import numpy as np
from numpy.typing import NDArray

from twofold.copies.hashes import Hash

Pairs = NDArray[np.int64]  # (pairs, 2)

MOST = 8  # bits that may differ


@dataclass(frozen=True, slots=True)
class _Bands:
    """A hash in bands of so many bits. Of `MOST` bits that differ, one band has at most `turned` (pigeonhole): each hash is
    looked up in each band as it is, and with up to so many bits of the band turned."""

    widths: tuple[int, ...]
    turned: int


# Narrow bands need few look-ups, but there each meets a share of all hashes; in wide ones the time grows like their number.
_NARROW, _WIDE = _Bands((13, 13, 13, 12, 12), 1), _Bands((21, 21, 21), 2)
_FEW = 10_000
_ALIKE = (
    4  # neighbours that a hash is paired with among hashes equal to it: thousands of blank pages make no million pairs
)


def pairs_within(a: Hash, b: Hash) -> Pairs:
    """All (row of a, row of b) whose coarse hashes, (n,) and (m,), differ in at most `MOST` bits.

    Of hashes that stand several times in `b` the first alone is paired.
    """
    theirs, first = np.unique(b, return_index=True)
    bands = _NARROW if min(len(a), len(theirs)) < _FEW else _WIDE
    starts = accumulate(bands.widths, initial=0)
    found = [
        pair
        for start, width in zip(starts, bands.widths, strict=False)
        for pair in _in_band(a, theirs, start, width, bands.turned)
    ]
    pairs = np.unique(np.concatenate(found), axis=0)
    return np.column_stack([pairs[:, 0], first[pairs[:, 1]]])


def equal_pairs(coarse: Hash, fine: Hash) -> Pairs:
    """Pairs of rows whose coarse hashes are equal: each with the next few that its fine hash is sorted among."""
    order = np.lexsort((*fine.T, coarse))
    found = [np.empty((0, 2), np.int64)]
    for step in range(1, _ALIKE + 1):
        before, after = order[:-step], order[step:]
        same = coarse[before] == coarse[after]
        found.append(np.column_stack([before[same], after[same]]))
    return np.concatenate(found)


def _in_band(ours: Hash, theirs: Hash, start: int, width: int, turned: int) -> Iterator[Pairs]:
    mine, codes = _codes(ours, start, width), _codes(theirs, start, width)
    by_mine, by_code = np.argsort(mine, kind="stable"), np.argsort(codes, kind="stable")
    mine = mine[by_mine]  # so that neighbours are looked up in neighbouring places
    places = np.zeros((1 << width) + 1, np.int32)  # where the hashes of each code begin, in the order of their codes
    np.cumsum(np.bincount(codes, minlength=1 << width), out=places[1:])
    there = np.diff(places) > 0
    for mask in _masks(width, turned):
        met = np.flatnonzero(there[mine ^ mask])
        begin, end = places[mine[met] ^ mask], places[(mine[met] ^ mask) + 1]
        counts = end - begin
        left = by_mine[np.repeat(met, counts)]
        right = by_code[np.arange(counts.sum()) + np.repeat(begin - np.cumsum(counts) + counts, counts)]
        near = np.bitwise_count(ours[left] ^ theirs[right]) <= MOST
        yield np.column_stack([left[near], right[near]])


def _codes(hashes: Hash, start: int, width: int) -> NDArray[np.int64]:
    return ((hashes >> np.uint64(start)) & np.uint64((1 << width) - 1)).astype(np.int64)


def _masks(width: int, turned: int) -> list[int]:
    return [sum(1 << bit for bit in bits) for count in range(turned + 1) for bits in combinations(range(width), count)]
