"""Nearest neighbours in feature space, without comparing all pairs."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from twofold.core.arrays import Rows
from twofold.duplicates.hamming_search import Pairs

_LISTS = 3  # lists that each row is in: those of its nearest pivots
_CROWDED = 4  # longest list, relative to the average
_SHORT = 1000
_LONG = 256
_LARGEST = 5.0  # standard deviations at which features are clipped


def directions(*arrays: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """Each array of features (n, d), standardised over all arrays together, with rows of length 1.

    More than `_LONG` features are reduced by a random projection, which changes cosines by some hundredths (Johnson and
    Lindenstrauss 1984).
    """
    features = np.concatenate(arrays)
    mean, std = features.mean(axis=0), features.std(axis=0)
    std = np.maximum(std, 0.01 * std.mean() + 1e-6)  # nearly constant features are noise
    scaled = [np.clip((array - mean) / std, -_LARGEST, _LARGEST) for array in arrays]
    if features.shape[1] > _LONG:
        projection = np.random.default_rng(0).standard_normal((features.shape[1], _LONG), np.float32)
        scaled = [array @ projection for array in scaled]
    return [array / np.maximum(np.linalg.norm(array, axis=1, keepdims=True), 1e-9) for array in scaled]


def nearest_pairs(
    a: NDArray[np.float32], b: NDArray[np.float32] | None, count: int, min_cosine: float, seed: int = 0
) -> Pairs:
    """Pairs (row of a, row of b): each row of directions a (n, d) with the nearest rows of b (m, d), at most `count`, of a cosine
    of at least `min_cosine`. Without b, with other rows of a.

    Each row is put into the lists of its three nearest of sqrt(m) pivots, which are rows drawn at random, and compared within the
    lists: near neighbours share a list, and the time grows like m^1.5. A list that is too long is cut into shells around its
    pivot.
    """
    targets = a if b is None else b
    pivots = targets[np.random.default_rng(seed).permutation(len(targets))[: max(1, round(len(targets) ** 0.5))]]
    lists_a = _nearest_pivots(a, pivots)
    lists_b = lists_a if b is None else _nearest_pivots(targets, pivots)
    longest = max(_SHORT, _CROWDED * _LISTS * len(pivots))
    pairs = [np.empty((0, 2), np.int64)]
    for number, pivot in enumerate(pivots):
        rows, targets_in_list = (np.flatnonzero((lists == number).any(axis=1)) for lists in (lists_a, lists_b))
        for shell_rows, shell_targets in _split_into_shells(a[rows] @ pivot, targets[targets_in_list] @ pivot, longest):
            pairs.append(_compare(a, b, rows[shell_rows], targets_in_list[shell_targets], count, min_cosine))
    return np.unique(np.concatenate(pairs), axis=0)


def _split_into_shells(a: NDArray[np.float32], b: NDArray[np.float32], longest: int) -> Iterator[tuple[Rows, Rows]]:
    """Positions in a and b whose cosines to a pivot lie in one range, at most `longest` of each."""
    order = np.argsort(b, kind="stable")
    segments = np.array_split(order, len(order) // longest + 1)
    shell = np.searchsorted(b[[segment[0] for segment in segments[1:]]], a, side="right")
    for number, segment in enumerate(segments):
        rows = np.flatnonzero(shell == number)
        for start in range(0, len(rows), longest):
            yield rows[start : start + longest], segment


def _compare(
    a: NDArray[np.float32], b: NDArray[np.float32] | None, rows: Rows, target_rows: Rows, count: int, min_cosine: float
) -> Pairs:
    if not len(rows) or not len(target_rows):
        return np.empty((0, 2), np.int64)
    cosines = a[rows] @ (a if b is None else b)[target_rows].T
    if b is None:
        cosines[rows[:, None] == target_rows] = -1  # itself
    positions, best = _best(cosines, count, min_cosine)
    return np.column_stack([rows[positions], target_rows[best]])


def _nearest_pivots(features: NDArray[np.float32], pivots: NDArray[np.float32]) -> NDArray[np.intp]:
    count = min(_LISTS, len(pivots))
    return np.argpartition(-(features @ pivots.T), count - 1, axis=1)[:, :count]


def _best(cosines: NDArray[np.float32], count: int, min_cosine: float) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows and columns of the largest `count` of each row that are at least `min_cosine`."""
    count = min(count, cosines.shape[1])
    best = np.argpartition(-cosines, count - 1, axis=1)[:, :count]
    rows, ranks = np.nonzero(np.take_along_axis(cosines, best, axis=1) >= min_cosine)
    return rows, best[rows, ranks]
