"""Pairs of hashes that differ in few bits, without comparing all pairs."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate, combinations, pairwise

import numpy as np
from numpy.typing import NDArray

from twofold.duplicates.perceptual_hash import Hash

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
_MANY = 64  # neighbours that a hash is paired with: thousands of frames of one camera make no million pairs
_ALIKE = 4  # neighbours that a hash is paired with among hashes equal to it
_AT_ONCE = 1 << 22
# Where these begin in a pair that is one number, which is sorted sooner than two or three; its last 32 bits are the column.
_ROW, _APART = np.uint64(36), np.uint64(32)


def pairs_within(a: Hash, b: Hash) -> Pairs:
    """All (row of a, row of b) whose coarse hashes, (n,) and (m,), differ in at most `MOST` bits; where a row of `a` has more
    than `_MANY` of these, as many of the nearest.

    Of hashes that stand several times in `b` the first alone is paired.
    """
    theirs, first = np.unique(b, return_index=True)
    bands = _NARROW if min(len(a), len(theirs)) < _FEW else _WIDE
    reach = np.full(len(a), MOST, np.uint8)
    kept, found, count = np.empty(0, np.uint64), [], 0
    for start, width in zip(accumulate(bands.widths, initial=0), bands.widths, strict=False):
        for near in _in_band(a, theirs, start, width, bands.turned, reach):
            found.append(near)
            count += len(near)
            if count > len(kept) + _AT_ONCE:
                kept, found, count = _nearest([kept, *found], reach), [], 0
    kept = _nearest([kept, *found], reach)
    return np.column_stack([kept >> _ROW, first[kept & np.uint64(0xFFFFFFFF)]]).astype(np.int64)


def _nearest(found: list[NDArray[np.uint64]], reach: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """The pairs in order, each once, and of each row the `_MANY` nearest: a row with so many is made to reach less far."""
    pairs = np.sort(np.concatenate(found))
    pairs = pairs[np.diff(pairs, prepend=~pairs[:1]) != 0]  # np.unique makes a table of them, which takes longer
    rows = pairs >> _ROW
    place = np.arange(len(rows)) - np.searchsorted(rows, rows)
    last = pairs[place == _MANY - 1]
    reach[last >> _ROW] = (last >> _APART & np.uint64(15)) - np.uint64(1)
    return np.asarray(pairs[place < _MANY])


def equal_pairs(coarse: Hash, fine: Hash) -> Pairs:
    """Pairs of rows whose coarse hashes are equal: each with the next few that its fine hash is sorted among."""
    order = np.lexsort((*fine.T, coarse))
    found = [np.empty((0, 2), np.int64)]
    for step in range(1, _ALIKE + 1):
        before, after = order[:-step], order[step:]
        same = coarse[before] == coarse[after]
        found.append(np.column_stack([before[same], after[same]]))
    return np.concatenate(found)


def _in_band(
    ours: Hash, theirs: Hash, start: int, width: int, turned: int, reach: NDArray[np.uint8]
) -> Iterator[NDArray[np.uint64]]:
    """Pairs, some several times, that share the band but for so many bits and differ in no more than the row reaches."""
    mine, codes = _codes(ours, start, width), _codes(theirs, start, width)
    by_mine, by_code = np.argsort(mine, kind="stable"), np.argsort(codes, kind="stable")
    mine = mine[by_mine]  # so that neighbours are looked up in neighbouring places
    places = np.zeros((1 << width) + 1, np.int32)  # where the hashes of each code begin, in the order of their codes
    np.cumsum(np.bincount(codes, minlength=1 << width), out=places[1:])
    there = np.diff(places) > 0
    for mask in _masks(width, turned):
        met = np.flatnonzero(there[mine ^ mask])
        begin, end = places[mine[met] ^ mask], places[(mine[met] ^ mask) + 1]
        for part in _parts(end - begin):
            counts = end[part] - begin[part]
            left = by_mine[np.repeat(met[part], counts)]
            right = by_code[np.arange(counts.sum()) + np.repeat(begin[part] - np.cumsum(counts) + counts, counts)]
            apart = np.bitwise_count(ours[left] ^ theirs[right])
            near = apart <= reach[left]
            yield _pairs(left[near], apart[near], right[near])


def _parts(counts: NDArray[np.int32]) -> list[slice]:
    """Slices of the counts that each add up to `_AT_ONCE` or little more."""
    ends = np.cumsum(counts, dtype=np.int64)
    cuts = np.flatnonzero(np.diff(ends // _AT_ONCE)) + 1
    return [slice(*cut) for cut in pairwise([0, *cuts.tolist(), len(counts)])]


def _pairs(left: NDArray[np.int64], apart: NDArray[np.uint8], right: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Each pair as one number: in the order of these are a row's nearest its first."""
    rows, bits, columns = (part.astype(np.uint64) for part in (left, apart, right))
    return rows << _ROW | bits << _APART | columns


def _codes(hashes: Hash, start: int, width: int) -> NDArray[np.int64]:
    return ((hashes >> np.uint64(start)) & np.uint64((1 << width) - 1)).astype(np.int64)


def _masks(width: int, turned: int) -> list[int]:
    return [sum(1 << bit for bit in bits) for count in range(turned + 1) for bits in combinations(range(width), count)]
