"""Candidates for duplicates compared at full size: files of one exposure, exposures of one scene, or neither."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from twofold.duplicates.alignment import Details, Map, align, details_of, turn
from twofold.duplicates.blocks import Incoherence
from twofold.duplicates.fine_detail import GreyImage, incoherence
from twofold.duplicates.hamming_search import Pairs

# Chosen on one half of photographs, solar cells, tiles and drawn slices; docs/decisions/010 has the measurements on the other.
_TOLERANCE: Final = np.array([0.02, 0.01, 0.02, 0.05])  # incoherence by interpolation, in each band
_EXCESS: Final = 1.3  # by how much the measured loss may be too small
_MAX_MISFIT: Final = 1.1
_MAX_UNINFORMATIVE: Final = 0.75  # incoherence of the coarsest band from which on the images are not compared
_MIN_BALANCE: Final = 0.5  # energy of the weaker image's details below which they were lost in a way unknown
_MAX_EXPECTED: Final = 0.4  # incoherence from 0.15 to 0.22 cycles per pixel from which on a misfit says nothing
_SAME_SCENE: Final = 0.45  # correlation of details that three quarters of the blocks of exposures of one scene reach
_UNRELATED: Final = 0.3  # correlation of details below which images show no common scene, however alike from afar
_FIRST_BLOCKS, _BLOCKS = 24, 48
_DOUBTFUL: Final = (0.72, 1.5)  # misfit in the first blocks between which more are compared
_CACHED: Final = 32  # images in memory
_AT_ONCE: Final = 64  # pairs

Values = tuple[float, float, float]
"""The numbers of `Likeness`, of one pair."""

_UNKNOWN: Final[Values] = (np.nan, np.nan, np.nan)


@dataclass(frozen=True, slots=True, eq=False)
class FullImages:
    """The images at full size: `load` returns that of a row, None where it cannot be read; it is called in `threads` threads."""

    load: Callable[[int], GreyImage | None]
    threads: int = 1


@dataclass(frozen=True, slots=True, eq=False)
class Likeness:
    """How alike the pairs are at full size, (pairs,) each.

    `misfit` is the largest ratio of the incoherence in a band to that of files of one exposure, infinite where it is unknown,
    `overall` the correlation of their details, and `everywhere` the one that three quarters of their blocks reach: images of one
    make share a layout, and no more. NaN where images are missing or too small.
    """

    misfit: NDArray[np.float64] = field(repr=False)
    overall: NDArray[np.float64] = field(repr=False)
    everywhere: NDArray[np.float64] = field(repr=False)

    @property
    def near(self) -> NDArray[np.bool_]:
        """Whether the images are files of one exposure."""
        return np.asarray(self.misfit <= _MAX_MISFIT)

    @property
    def same_scene(self) -> NDArray[np.bool_]:
        """Whether the images share the details of one scene."""
        return np.asarray(self.everywhere >= _SAME_SCENE)

    @property
    def unrelated(self) -> NDArray[np.bool_]:
        """Whether the images share hardly any details."""
        return np.asarray(self.overall < _UNRELATED)


def compare_at_full_size(
    pairs: Pairs, orientations: NDArray[np.intp], maps: NDArray[np.float32], images: FullImages
) -> Likeness:
    """The likeness of pairs of rows; each map leads from the first image in this orientation to the second.

    Pairs that a chain of near duplicates links already are near duplicates, and are not compared.
    """
    from threadpoolctl import threadpool_limits  # here, because predictions do not need it

    values = np.zeros((len(pairs), 3))
    root = list(range(int(pairs.max(initial=-1)) + 1))
    load = lru_cache(_CACHED)(lambda row: _load(images, row))

    def compare(number: int) -> Values:
        first, second = (load(int(row)) for row in pairs[number])
        if first is None or second is None:
            return _UNKNOWN
        return _compare(first, second, int(orientations[number]), maps[number].astype(np.float64))

    # The arrays are too small for the threads of a matrix product to pay.
    with threadpool_limits(1), ThreadPoolExecutor(images.threads, thread_name_prefix="duplicates") as pool:
        for numbers in _batches(len(pairs)):
            unlinked = [number for number in numbers if _root(root, pairs[number, 0]) != _root(root, pairs[number, 1])]
            for number, likeness in zip(unlinked, pool.map(compare, unlinked), strict=True):
                values[number] = likeness
                if likeness[0] <= _MAX_MISFIT:
                    root[_root(root, pairs[number, 0])] = _root(root, pairs[number, 1])
    return Likeness(*values.T)


def _batches(count: int) -> Iterator[range]:
    return (range(at, min(at + _AT_ONCE, count)) for at in range(0, count, _AT_ONCE))


def _root(root: list[int], row: int) -> int:
    while root[row] != row:
        root[row] = root[root[row]]
        row = root[row]
    return int(row)


def _load(images: FullImages, row: int) -> tuple[GreyImage, Details] | None:
    image = images.load(row)
    return None if image is None else (image, details_of(image.pixels))


def _compare(
    first: tuple[GreyImage, Details], second: tuple[GreyImage, Details], orientation: int, start: Map
) -> Values:
    """The likeness of two images."""
    image = GreyImage(np.ascontiguousarray(turn(first[0].pixels, orientation)), first[0].table)
    at, _ = align(first[1].turned(orientation), second[1], start)
    values = _measure(incoherence(image, second[0], at, _FIRST_BLOCKS))
    if _DOUBTFUL[0] < values[0] < _DOUBTFUL[1]:
        return _measure(incoherence(image, second[0], at, _BLOCKS))
    return values


def _measure(measured: Incoherence | None) -> Values:
    if measured is None:
        return _UNKNOWN
    misfit = (measured.observed / (_EXCESS * measured.expected + _TOLERANCE)).max()
    lost = measured.balance < _MIN_BALANCE or measured.expected[1] > _MAX_EXPECTED
    # A copy whose file does not say how details were lost, or another image; or hardly any details.
    unknown = (misfit > _MAX_MISFIT and lost) or measured.observed[0] > _MAX_UNINFORMATIVE
    return np.inf if unknown else float(misfit), measured.overall, measured.everywhere
