"""Pairs of images that may be duplicates, by hashes and by features, without comparing all pairs."""

from concurrent.futures import ThreadPoolExecutor
from typing import Final

import numpy as np
from numpy.typing import NDArray

from twofold.duplicates.hamming_search import Pairs, equal_pairs, pairs_within
from twofold.duplicates.nearest_neighbours import directions, nearest_pairs
from twofold.duplicates.perceptual_hash import Hashes, distances

# These were chosen by the measurements in docs/decisions/010.
_MIN_COSINE: Final = 0.65  # of the features of two images that may be duplicates
# Below it images may be files of one exposure, which is proven at full size: those of drawn images that were cropped had 0.57.
_MIN_WEAK_COSINE: Final = 0.55
_NEIGHBOURS: Final = 2
_MAX_CANDIDATES: Final = 3  # largest number of candidates by hash that an image is compared with
_SEARCHES: Final = 2  # by hash at once: more would take more memory
_ROWS_AT_ONCE: Final = 1 << 17  # rows whose neighbours by hash are in memory


def find_candidates(
    features: NDArray[np.float32] | None, rows: NDArray[np.int64], hashes: list[Hashes], threads: int, *, weak: bool
) -> tuple[Pairs, NDArray[np.bool_]]:
    """Pairs among these rows that may be duplicates, and whether each is a strong candidate; with `weak` also others."""
    with ThreadPoolExecutor(min(threads, _SEARCHES), thread_name_prefix="duplicates") as pool:
        candidates = list(pool.map(lambda oriented: _nearest(oriented, hashes[0]), hashes[:-1]))
    candidates.append(equal_pairs(hashes[0].coarse, hashes[0].fine))
    weak_pairs = np.empty((0, 2), np.int64)
    if features is not None:
        unit = directions(features, rows)
        nearest = nearest_pairs(unit, _NEIGHBOURS, _MIN_WEAK_COSINE)
        cosines = np.einsum("pd,pd->p", *(unit[nearest[:, column]] for column in (0, 1)))
        candidates.append(nearest[cosines >= _MIN_COSINE])
        weak_pairs = nearest if weak else weak_pairs
    strong = pack_pairs(_hashable(np.concatenate(candidates), hashes[0]))
    pairs = _hashable(np.concatenate([*candidates, weak_pairs]), hashes[0])
    return pairs, np.isin(pack_pairs(pairs), strong, assume_unique=True)


def _nearest(first: Hashes, second: Hashes) -> Pairs:
    """The pairs (row of first, row of second) with the nearest fine hashes among those with near coarse hashes, up to
    `_MAX_CANDIDATES` for each row of first."""
    nearest = [np.empty((0, 2), np.int64)]
    for start in range(0, len(first), _ROWS_AT_ONCE):
        pairs = pairs_within(first.coarse[start : start + _ROWS_AT_ONCE], second.coarse)
        pairs[:, 0] += start
        bits = _distances(first, second, pairs)
        bits[pairs[:, 0] == pairs[:, 1]] = 256  # itself
        order = np.lexsort((bits, pairs[:, 0]))
        rows = pairs[order, 0]
        rank = np.arange(len(rows)) - np.searchsorted(rows, rows)
        nearest.append(pairs[order[rank < _MAX_CANDIDATES]])
    return np.concatenate(nearest)


def _distances(first: Hashes, second: Hashes, pairs: Pairs) -> NDArray[np.int16]:
    """The bits in which the fine hashes of each pair differ, (pairs,)."""
    bits = np.empty(len(pairs), np.int16)
    for start in range(0, len(pairs), _ROWS_AT_ONCE):
        rows, others = pairs[start : start + _ROWS_AT_ONCE].T
        bits[start : start + _ROWS_AT_ONCE] = distances(first.fine[rows], second.fine[others])
    return bits


def _hashable(candidates: Pairs, hashes: Hashes) -> Pairs:
    """The candidates that are not of nearly one colour: pairs of rows in order, each once."""
    hashable = ~hashes.flat[candidates].any(axis=1) & (candidates[:, 0] != candidates[:, 1])
    packed = np.unique(pack_pairs(np.sort(candidates[hashable], axis=1)))  # faster than np.unique of rows, and smaller
    return np.column_stack([packed >> 32, packed & 0xFFFFFFFF])


def pack_pairs(pairs: Pairs) -> NDArray[np.int64]:
    """Each pair as one number, (pairs,), in the same order."""
    return np.asarray(pairs[:, 0] << 32 | pairs[:, 1])
