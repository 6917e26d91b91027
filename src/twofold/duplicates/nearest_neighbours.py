"""Nearest neighbours in feature space, without comparing all pairs."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from twofold.duplicates.hamming_search import Pairs

Rows = NDArray[np.intp]

_LISTS = 3  # lists that each row is in: those of its nearest pivots
_CROWDED = 4  # longest list, relative to the average
_SHORT = 1000
_LONG = 256
_LARGEST = 5.0  # standard deviations at which features are clipped


def directions(*parts: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """Each array of features (n, d), standardised over all arrays together, with rows of length 1.

    More than `_LONG` features are reduced by a random projection, which changes cosines by some hundredths (Johnson and
    Lindenstrauss 1984).
    """
    features = np.concatenate(parts)
    mean, std = features.mean(axis=0), features.std(axis=0)
    std = np.maximum(std, 0.01 * std.mean() + 1e-6)  # nearly constant features are noise
    scaled = [np.clip((part - mean) / std, -_LARGEST, _LARGEST) for part in parts]
    if features.shape[1] > _LONG:
        projection = np.random.default_rng(0).standard_normal((features.shape[1], _LONG), np.float32)
        scaled = [part @ projection for part in scaled]
    return [part / np.maximum(np.linalg.norm(part, axis=1, keepdims=True), 1e-9) for part in scaled]


def nearest_pairs(
    a: NDArray[np.float32], b: NDArray[np.float32] | None, count: int, least: float, seed: int = 0
) -> Pairs:
    """Pairs (row of a, row of b): each row of directions a (n, d) with the nearest rows of b (m, d), at most `count`, of a cosine
    of at least `least`. Without b, with other rows of a.

    Each row is put into the lists of its three nearest of sqrt(m) pivots, which are rows drawn at random, and compared within the
    lists: near neighbours share a list, and the time grows like m^1.5. A list that is too long is cut into shells around its
    pivot.
    """
    targets = a if b is None else b
    pivots = targets[np.random.default_rng(seed).permutation(len(targets))[: max(1, round(len(targets) ** 0.5))]]
    lists_a = _lists(a, pivots)
    lists_b = lists_a if b is None else _lists(targets, pivots)
    longest = max(_SHORT, _CROWDED * _LISTS * len(pivots))
    pairs = [np.empty((0, 2), np.int64)]
    for number, pivot in enumerate(pivots):
        rows, others = (np.flatnonzero((lists == number).any(axis=1)) for lists in (lists_a, lists_b))
        for some, among in _shells(a[rows] @ pivot, targets[others] @ pivot, longest):
            pairs.append(_compared(a, b, rows[some], others[among], count, least))
    return np.unique(np.concatenate(pairs), axis=0)


def _shells(a: NDArray[np.float32], b: NDArray[np.float32], longest: int) -> Iterator[tuple[Rows, Rows]]:
    """Positions in a and b whose cosines to a pivot lie in one range, at most `longest` of each."""
    order = np.argsort(b, kind="stable")
    parts = np.array_split(order, len(order) // longest + 1)
    shell = np.searchsorted(b[[part[0] for part in parts[1:]]], a, side="right")
    for number, part in enumerate(parts):
        rows = np.flatnonzero(shell == number)
        for at in range(0, len(rows), longest):
            yield rows[at : at + longest], part


def _compared(
    a: NDArray[np.float32], b: NDArray[np.float32] | None, rows: Rows, others: Rows, count: int, least: float
) -> Pairs:
    if not len(rows) or not len(others):
        return np.empty((0, 2), np.int64)
    cosines = a[rows] @ (a if b is None else b)[others].T
    if b is None:
        cosines[rows[:, None] == others] = -1  # itself
    at, best = _best(cosines, count, least)
    return np.column_stack([rows[at], others[best]])


def _lists(features: NDArray[np.float32], pivots: NDArray[np.float32]) -> NDArray[np.intp]:
    count = min(_LISTS, len(pivots))
    return np.argpartition(-(features @ pivots.T), count - 1, axis=1)[:, :count]


def _best(cosines: NDArray[np.float32], count: int, least: float) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows and columns of the largest `count` of each row that are at least `least`."""
    count = min(count, cosines.shape[1])
    best = np.argpartition(-cosines, count - 1, axis=1)[:, :count]
    rows, places = np.nonzero(np.take_along_axis(cosines, best, axis=1) >= least)
    return rows, best[rows, places]
