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
_AT_ONCE = 1024  # rows


def directions(features: NDArray[np.float32], rows: Rows | None = None) -> NDArray[np.float32]:
    """These rows (m,) of the features (n, d), by default all, standardised, with rows of length 1.

    More than `_LONG` features are reduced by a random projection, which changes cosines by some hundredths (Johnson and
    Lindenstrauss 1984). The features are read in chunks, because copies of them would take most of the memory.
    """
    rows = np.arange(len(features)) if rows is None else rows
    chunks = [rows[start : start + _AT_ONCE] for start in range(0, len(rows), _AT_ONCE)]
    mean = sum(features[chunk].sum(axis=0, dtype=np.float64) for chunk in chunks) / max(len(rows), 1)
    variance = sum(np.square(features[chunk] - mean).sum(axis=0) for chunk in chunks) / max(len(rows), 1)
    mean, std = np.asarray(mean, np.float32), np.sqrt(variance).astype(np.float32)
    std = np.maximum(std, 0.01 * std.mean() + 1e-6)  # nearly constant features are noise
    width = features.shape[1]
    projection = np.random.default_rng(0).standard_normal((width, _LONG), np.float32) if width > _LONG else None
    unit = np.empty((len(rows), min(width, _LONG)), np.float32)
    for start, chunk in zip(range(0, len(rows), _AT_ONCE), chunks, strict=True):
        scaled = np.clip((features[chunk] - mean) / std, -_LARGEST, _LARGEST)
        projected = scaled if projection is None else scaled @ projection
        unit[start : start + len(chunk)] = projected / np.maximum(
            np.linalg.norm(projected, axis=1, keepdims=True), 1e-9
        )
    return unit


def nearest_pairs(features: NDArray[np.float32], count: int, min_cosine: float, seed: int = 0) -> Pairs:
    """Pairs of rows: each row of the directions (n, d) with its nearest other rows, at most `count`, of a cosine of at least
    `min_cosine`.

    Each row is put into the lists of its three nearest of sqrt(n) pivots, which are rows drawn at random, and compared within the
    lists: near neighbours share a list, and the time grows like n^1.5. A list that is too long is cut into shells around its
    pivot.
    """
    pivots = features[np.random.default_rng(seed).permutation(len(features))[: max(1, round(len(features) ** 0.5))]]
    lists = _nearest_pivots(features, pivots)
    longest = max(_SHORT, _CROWDED * _LISTS * len(pivots))
    pairs = [np.empty((0, 2), np.int64)]
    for number, pivot in enumerate(pivots):
        rows = np.flatnonzero((lists == number).any(axis=1))
        for positions, shell in _split_into_shells(features[rows] @ pivot, longest):
            pairs.append(_compare(features, rows[positions], rows[shell], count, min_cosine))
    return np.unique(np.concatenate(pairs), axis=0)


def _split_into_shells(cosines: NDArray[np.float32], longest: int) -> Iterator[tuple[Rows, Rows]]:
    """Positions whose cosines to a pivot lie in one range, at most `longest`, and all positions in that range."""
    order = np.argsort(cosines, kind="stable")
    segments = np.array_split(order, len(order) // longest + 1)
    shell = np.searchsorted(cosines[[segment[0] for segment in segments[1:]]], cosines, side="right")
    for number, segment in enumerate(segments):
        rows = np.flatnonzero(shell == number)
        for start in range(0, len(rows), longest):
            yield rows[start : start + longest], segment


def _compare(features: NDArray[np.float32], rows: Rows, neighbours: Rows, count: int, min_cosine: float) -> Pairs:
    if not len(rows) or not len(neighbours):
        return np.empty((0, 2), np.int64)
    cosines = features[rows] @ features[neighbours].T
    cosines[rows[:, None] == neighbours] = -1  # itself
    positions, best = _best(cosines, count, min_cosine)
    return np.column_stack([rows[positions], neighbours[best]])


def _nearest_pivots(features: NDArray[np.float32], pivots: NDArray[np.float32]) -> NDArray[np.intp]:
    count = min(_LISTS, len(pivots))
    return np.argpartition(-(features @ pivots.T), count - 1, axis=1)[:, :count]


def _best(cosines: NDArray[np.float32], count: int, min_cosine: float) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows and columns of the largest `count` of each row that are at least `min_cosine`."""
    count = min(count, cosines.shape[1])
    best = np.argpartition(-cosines, count - 1, axis=1)[:, :count]
    rows, ranks = np.nonzero(np.take_along_axis(cosines, best, axis=1) >= min_cosine)
    return rows, best[rows, ranks]
