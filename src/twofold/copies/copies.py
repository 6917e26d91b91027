"""Copies of a picture: equal bytes, equal pixels, or nearly alike."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from twofold.copies.hashes import Hashes, distances, greys, hash_thumbnails
from twofold.copies.neighbours import directions, nearest_pairs
from twofold.copies.registration import agreement
from twofold.copies.search import Pairs, equal_pairs, pairs_within

Kind = Literal["bytes", "pixels", "near"]
Keys = Sequence[tuple[str, str]]  # for each picture the hash of its bytes and that of its pixels

# docs/decisions/010 has what these rest on.
_LEAST_COSINE: Final = 0.6  # of vectors of pictures that may be copies
_NEIGHBOURS: Final = 2
_UPRIGHT: Final = (
    24  # bits by which a picture must look more alike mirrored or turned: cropped ones hardly tell by their hashes
)
_LEAST_AGREEMENT: Final = 0.85
_RARE: Final = 0.02  # share of the pictures with a copy up to which nobody asks whether all of them are alike
_STRANGERS: Final = (
    1000  # pairs drawn at random, to learn how alike the pictures are that have nothing to do with one another
)


@dataclass(frozen=True, slots=True)
class Copy:
    """Two rows that show the same picture; of `bytes` and `pixels` the closer kind alone is told."""

    first: int
    second: int
    kind: Kind


@dataclass(frozen=True, slots=True, eq=False)
class Sights:
    """What tells copies, a row for each picture: hashes of bytes and of pixels, thumbnails (n, SMALL, SMALL, 3) and, where a
    network saw the pictures, its vectors (n, d)."""

    keys: Keys
    thumbnails: NDArray[np.uint8]
    vectors: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.keys)


def find_copies(sights: Sights, *, seed: int = 0) -> list[Copy]:
    """Pairs of copies, the first row before the second, sorted; of many alike each with one or a few of the others."""
    exact = _exact(sights.keys)
    _, apart = np.unique(
        _roots(len(sights), exact), return_index=True
    )  # one row for each picture that is told apart so far
    near = _near(_taken(sights, np.sort(apart)), None, seed)
    rows = np.sort(apart)
    alike = [Copy(int(rows[a]), int(rows[b]), "near") for a, b in np.sort(near, axis=1)]
    return sorted([*exact, *alike], key=lambda copy: (copy.first, copy.second))


def find_common(sights: Sights, others: Sights, *, seed: int = 0) -> list[Copy]:
    """Copies of the pictures, as `first`, among others, as `second`: one of the closest kind for each picture that has any."""
    found = exact_common(sights.keys, others.keys)
    rest = np.array([row for row in range(len(sights)) if row not in found], np.int64)
    for a, b in _near(_taken(sights, rest), others, seed):
        found.setdefault(int(rest[a]), Copy(int(rest[a]), int(b), "near"))
    return [found[row] for row in sorted(found)]


def exact_common(keys: Keys, others: Keys) -> dict[int, Copy]:
    """For each picture that others have too, by its row, the first with the same bytes, or else with the same pixels."""
    found: dict[int, Copy] = {}
    kinds: tuple[Kind, Kind] = ("bytes", "pixels")
    for place, kind in enumerate(kinds):
        theirs = {own[place]: row for row, own in reversed(list(enumerate(others)))}
        for row, own in enumerate(keys):
            if own[place] in theirs:
                found.setdefault(row, Copy(row, theirs[own[place]], kind))
    return found


def _exact(keys: Keys) -> list[Copy]:
    """Each row with the first that has the same bytes, or else the same pixels."""
    first: tuple[dict[str, int], dict[str, int]] = ({}, {})
    copies = []
    for row, own in enumerate(keys):
        by_bytes, by_pixels = (known.setdefault(key, row) for known, key in zip(first, own, strict=True))
        if by_bytes != row:
            copies.append(Copy(by_bytes, row, "bytes"))
        elif by_pixels != row:
            copies.append(Copy(by_pixels, row, "pixels"))
    return copies


def _roots(count: int, copies: Sequence[Copy]) -> NDArray[np.int64]:
    root = np.arange(count)
    for copy in copies:  # first comes before second, and is a root or has been led to one
        root[copy.second] = root[copy.first]
    return root


def _taken(sights: Sights, rows: NDArray[Any]) -> Sights:
    vectors = None if sights.vectors is None else sights.vectors[rows]
    return Sights([sights.keys[row] for row in rows], sights.thumbnails[rows], vectors)


def _near(sights: Sights, others: Sights | None, seed: int) -> Pairs:
    """Pairs that are nearly alike, of rows among themselves or with others: candidates, confirmed by comparing thumbnails."""
    if len(sights) < 1 or (others is not None and len(others) < 1):
        return np.empty((0, 2), np.int64)
    ways = hash_thumbnails(sights.thumbnails)
    theirs = ways[0] if others is None else hash_thumbnails(others.thumbnails)[0]
    pairs = _candidates(sights, others, ways, theirs)
    pairs = pairs[~(ways[0].flat[pairs[:, 0]] | theirs.flat[pairs[:, 1]])]
    mine = greys(sights.thumbnails)
    ours = mine if others is None else greys(others.thumbnails)
    common = np.concatenate([mine, ours] if others is not None else [mine]).mean(
        axis=0
    )  # what all of them show tells nothing
    apart = np.stack([distances(each.fine[pairs[:, 0]], theirs.fine[pairs[:, 1]]) for each in ways])
    apart[0] -= _UPRIGHT
    way = apart.argmin(axis=0)
    turned = np.stack(
        [_turned(plane, number) for plane, number in zip(mine[pairs[:, 0]], way, strict=True)] or [common]
    )
    alike = agreement(turned[: len(pairs)] - common, ours[pairs[:, 1]] - common)
    pairs, alike = pairs[alike >= _LEAST_AGREEMENT], alike[alike >= _LEAST_AGREEMENT]
    if len(np.unique(pairs[:, 0])) <= _RARE * len(sights):
        return pairs
    return pairs[alike >= _least(mine - common, ours - common, seed)]


def _candidates(sights: Sights, others: Sights | None, ways: list[Hashes], theirs: Hashes) -> Pairs:
    by_hash = [pairs_within(way.coarse, theirs.coarse) for way in ways[:-1]]
    if others is None:
        by_hash += [equal_pairs(ways[0].coarse, ways[0].fine)]
    pairs = np.concatenate([*by_hash, _by_vector(sights, others)])
    if others is None:
        pairs = np.sort(pairs[pairs[:, 0] != pairs[:, 1]], axis=1)
    return np.unique(pairs, axis=0)


def _by_vector(sights: Sights, others: Sights | None) -> Pairs:
    if sights.vectors is None or (others is not None and others.vectors is None):
        return np.empty((0, 2), np.int64)
    if others is None or others.vectors is None:
        (ours,) = directions(sights.vectors)
        return nearest_pairs(ours, None, _NEIGHBOURS, _LEAST_COSINE)
    ours, theirs = directions(sights.vectors, others.vectors)
    return nearest_pairs(ours, theirs, _NEIGHBOURS, _LEAST_COSINE)


def _turned(plane: NDArray[np.float32], way: int) -> NDArray[np.float32]:
    """The plane mirrored and turned in the way of `hash_thumbnails` with this number."""
    plane = plane.T if way >= 4 else plane
    across, down = ((0, 0), (1, 0), (0, 1), (1, 1), (0, 0), (1, 1), (1, 0), (0, 1))[way]
    return plane[:: -1 if down else 1, :: -1 if across else 1]


def _least(a: NDArray[np.float32], b: NDArray[np.float32], seed: int) -> float:
    """The agreement from which on two pictures are called copies: well above what strangers reach here.

    Pictures of one make, as solar cells of one module, agree by nature.
    """
    random = np.random.default_rng(seed)
    rows, others = random.integers(0, len(a), _STRANGERS), random.integers(0, len(b), _STRANGERS)
    apart = rows != others if a is b or len(a) == len(b) else np.ones(_STRANGERS, np.bool_)
    strangers = agreement(a[rows[apart]], b[others[apart]])
    reached = float(np.quantile(strangers, 0.998)) if len(strangers) else 0.0
    return max(_LEAST_AGREEMENT, (1 + reached) / 2)
