"""Pairs of hashes that differ in few bits, without comparing all pairs."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate, combinations, pairwise

import numpy as np
from numpy.typing import NDArray

from twofold.duplicates.perceptual_hash import Hash

Pairs = NDArray[np.int64]  # (pairs, 2)

MAX_BITS = 8  # bits that may differ


@dataclass(frozen=True, slots=True)
class _Bands:
    """The division of a hash into bands of these widths. Of `MAX_BITS` bits that differ, one band has at most `flips` (pigeonhole
    principle): each hash is looked up in each band unchanged, and with up to `flips` bits of the band flipped."""

    widths: tuple[int, ...]
    flips: int


# Narrow bands need few look-ups, but each returns a fraction of all hashes; with wide bands the time is linear in their number.
_NARROW, _WIDE = _Bands((13, 13, 13, 12, 12), 1), _Bands((21, 21, 21), 2)
_MAX_NARROW = 10_000
# Largest number of neighbours of a hash: otherwise thousands of frames of one camera give millions of pairs.
_MAX_NEIGHBOURS = 64
_MAX_EQUAL = 4  # largest number of neighbours of a hash among equal hashes
_MAX_PAIRS = 1 << 22
# A pair is packed into one number, which sorts faster than two or three: row, bits apart, and column in the last 32 bits.
_ROW, _APART = np.uint64(36), np.uint64(32)


def pairs_within(a: Hash, b: Hash) -> Pairs:
    """All (row of a, row of b) whose coarse hashes, (n,) and (m,), differ in at most `MAX_BITS` bits; of each row of `a` the
    `_MAX_NEIGHBOURS` nearest.

    Of equal hashes in `b` only the first is paired.
    """
    distinct, first = np.unique(b, return_index=True)
    bands = _NARROW if min(len(a), len(distinct)) < _MAX_NARROW else _WIDE
    reach = np.full(len(a), MAX_BITS, np.uint8)
    nearest, batches, count = np.empty(0, np.uint64), [], 0
    for start, width in zip(accumulate(bands.widths, initial=0), bands.widths, strict=False):
        for near in _in_band(a, distinct, start, width, bands.flips, reach):
            batches.append(near)
            count += len(near)
            if count > len(nearest) + _MAX_PAIRS:
                nearest, batches, count = _nearest([nearest, *batches], reach), [], 0
    nearest = _nearest([nearest, *batches], reach)
    return np.column_stack([nearest >> _ROW, first[nearest & np.uint64(0xFFFFFFFF)]]).astype(np.int64)


def _nearest(batches: list[NDArray[np.uint64]], reach: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """The pairs in order, each once; of each row the `_MAX_NEIGHBOURS` nearest. `reach` is lowered for rows with that many."""
    pairs = np.sort(np.concatenate(batches))
    pairs = pairs[np.diff(pairs, prepend=~pairs[:1]) != 0]  # np.unique builds a hash table, which takes longer
    rows = pairs >> _ROW
    rank = np.arange(len(rows)) - np.searchsorted(rows, rows)
    last = pairs[rank == _MAX_NEIGHBOURS - 1]
    reach[last >> _ROW] = (last >> _APART & np.uint64(15)) - np.uint64(1)
    return np.asarray(pairs[rank < _MAX_NEIGHBOURS])


def equal_pairs(coarse: Hash, fine: Hash) -> Pairs:
    """Pairs of rows with equal coarse hashes: each row with the next few in the order of the fine hashes."""
    order = np.lexsort((*fine.T, coarse))
    pairs = [np.empty((0, 2), np.int64)]
    for step in range(1, _MAX_EQUAL + 1):
        before, after = order[:-step], order[step:]
        equal = coarse[before] == coarse[after]
        pairs.append(np.column_stack([before[equal], after[equal]]))
    return np.concatenate(pairs)


def _in_band(
    a: Hash, b: Hash, start: int, width: int, flips: int, reach: NDArray[np.uint8]
) -> Iterator[NDArray[np.uint64]]:
    """Packed pairs whose bands differ in at most `flips` bits, and whose hashes in at most the `reach` of the row of a.

    Some pairs come several times.
    """
    codes_a, codes_b = _codes(a, start, width), _codes(b, start, width)
    order_a, order_b = np.argsort(codes_a, kind="stable"), np.argsort(codes_b, kind="stable")
    codes_a = codes_a[order_a]  # neighbours in memory are looked up one after the other
    starts = np.zeros((1 << width) + 1, np.int32)  # of the hashes of each code, in the order of their codes
    np.cumsum(np.bincount(codes_b, minlength=1 << width), out=starts[1:])
    occupied = np.diff(starts) > 0
    for mask in _masks(width, flips):
        rows = np.flatnonzero(occupied[codes_a ^ mask])
        begin, end = starts[codes_a[rows] ^ mask], starts[(codes_a[rows] ^ mask) + 1]
        for batch in _slices(end - begin):
            counts = end[batch] - begin[batch]
            rows_a = order_a[np.repeat(rows[batch], counts)]
            rows_b = order_b[np.arange(counts.sum()) + np.repeat(begin[batch] - np.cumsum(counts) + counts, counts)]
            bits = np.bitwise_count(a[rows_a] ^ b[rows_b])
            near = bits <= reach[rows_a]
            yield _pack_pairs(rows_a[near], bits[near], rows_b[near])


def _slices(counts: NDArray[np.int32]) -> list[slice]:
    """Slices of the counts, each with a sum of about `_MAX_PAIRS`."""
    ends = np.cumsum(counts, dtype=np.int64)
    cuts = np.flatnonzero(np.diff(ends // _MAX_PAIRS)) + 1
    return [slice(*cut) for cut in pairwise([0, *cuts.tolist(), len(counts)])]


def _pack_pairs(row: NDArray[np.int64], distance: NDArray[np.uint8], target: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Each pair as one number; in ascending order the nearest pairs of a row come first."""
    rows, bits, columns = (column.astype(np.uint64) for column in (row, distance, target))
    return rows << _ROW | bits << _APART | columns


def _codes(hashes: Hash, start: int, width: int) -> NDArray[np.int64]:
    return ((hashes >> np.uint64(start)) & np.uint64((1 << width) - 1)).astype(np.int64)


def _masks(width: int, flips: int) -> list[int]:
    return [sum(1 << bit for bit in bits) for count in range(flips + 1) for bits in combinations(range(width), count)]
