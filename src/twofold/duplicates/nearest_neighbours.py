"""Nearest vectors, without comparing all pairs."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from twofold.duplicates.hamming_search import Pairs

Rows = NDArray[np.intp]

_LISTS = 3  # that each vector stands in: those of the pivots nearest to it
_CROWDED = 4  # times as long as others a list may be
_SHORT = 1000
_LONG = 256
_LARGEST = 5.0  # deviations that a number may stand out by


def directions(*parts: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """Each part of the vectors, (n, d), standardised as all of them together, and of length 1.

    Long ones are shortened by a random projection, which changes cosines by some hundredths (Johnson and Lindenstrauss 1984).
    """
    whole = np.concatenate(parts)
    mean, std = whole.mean(axis=0), whole.std(axis=0)
    std = np.maximum(std, 0.01 * std.mean() + 1e-6)  # numbers that hardly vary tell nothing
    scaled = [np.clip((part - mean) / std, -_LARGEST, _LARGEST) for part in parts]
    if whole.shape[1] > _LONG:
        chance = np.random.default_rng(0).standard_normal((whole.shape[1], _LONG), np.float32)
        scaled = [part @ chance for part in scaled]
    return [part / np.maximum(np.linalg.norm(part, axis=1, keepdims=True), 1e-9) for part in scaled]


def nearest_pairs(
    a: NDArray[np.float32], b: NDArray[np.float32] | None, count: int, least: float, seed: int = 0
) -> Pairs:
    """Each row of directions a (n, d) with up to `count` rows of b (m, d), or without b other rows of a, that are nearest to it
    among those of a cosine of `least` or more.

    Rows are dealt out to the lists of their three nearest of sqrt(m) pivots, rows drawn at random, and compared within
    these: what is very near stands in a common list, and the time grows like m^1.5. Where one pivot is the nearest of many, its
    list is cut into shells around it.
    """
    targets = a if b is None else b
    pivots = targets[np.random.default_rng(seed).permutation(len(targets))[: max(1, round(len(targets) ** 0.5))]]
    ours = _lists(a, pivots)
    theirs = ours if b is None else _lists(targets, pivots)
    longest = max(_SHORT, _CROWDED * _LISTS * len(pivots))
    found = [np.empty((0, 2), np.int64)]
    for number, pivot in enumerate(pivots):
        rows, others = (np.flatnonzero((lists == number).any(axis=1)) for lists in (ours, theirs))
        for some, among in _shells(a[rows] @ pivot, targets[others] @ pivot, longest):
            found.append(_compared(a, b, rows[some], others[among], count, least))
    return np.unique(np.concatenate(found), axis=0)


def _shells(ours: NDArray[np.float32], theirs: NDArray[np.float32], longest: int) -> Iterator[tuple[Rows, Rows]]:
    """Places of both whose cosines to a pivot lie in one range, and no more than `longest` of each."""
    order = np.argsort(theirs, kind="stable")
    parts = np.array_split(order, len(order) // longest + 1)
    shell = np.searchsorted(theirs[[part[0] for part in parts[1:]]], ours, side="right")
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
