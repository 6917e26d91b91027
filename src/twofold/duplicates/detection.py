"""Copies of a picture: equal bytes, equal pixels, or nearly alike."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from twofold.duplicates.hamming_search import Pairs, equal_pairs, pairs_within
from twofold.duplicates.nearest_neighbours import directions, nearest_pairs
from twofold.duplicates.perceptual_hash import Hashes, distances, greys, hash_thumbnails
from twofold.duplicates.registration import agreement

Kind = Literal["exact", "pixels", "near"]
Keys = Sequence[tuple[str, str]]  # for each picture the hash of its bytes and that of its pixels

# docs/decisions/010 has what these rest on.
_LEAST_COSINE: Final = 0.65  # of vectors of pictures that may be copies
_NEIGHBOURS: Final = 2
_UPRIGHT: Final = (
    24  # bits by which a picture must look more alike mirrored or turned: cropped ones hardly tell by their hashes
)
_LEAST_AGREEMENT: Final = 0.85
_MANY: Final = 20  # pictures whose mean shows what they share, and none of them
_RIVALS: Final = 3  # most candidates by its hash that a picture is compared with
_WITHIN: Final = 30  # pairs of a group that are compared, of those that were no candidates
_MOST_OF_THEM: Final = 0.5
_AT_ONCE: Final = 512  # pairs, of about 100 kB each


@dataclass(frozen=True, slots=True)
class Duplicate:
    """Two rows that show the same picture; of `bytes` and `pixels` the closer kind alone is told."""

    first: int
    second: int
    kind: Kind


@dataclass(frozen=True, slots=True, eq=False)
class Fingerprints:
    """What tells copies, a row for each picture: hashes of bytes and of pixels, thumbnails (n, SMALL, SMALL, 3) and, where a
    network saw the pictures, its vectors (n, d)."""

    keys: Keys = field(repr=False)
    thumbnails: NDArray[np.uint8] = field(repr=False)
    features: NDArray[np.float32] | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return len(self.keys)


def find_duplicates(fingerprints: Fingerprints) -> list[Duplicate]:
    """Pairs of copies, the first row before the second, sorted; of many alike each with one or a few of the others."""
    exact = _exact(fingerprints.keys)
    rows = np.unique(_roots(len(fingerprints), exact))  # one for each picture that is told apart so far
    thumbnails = fingerprints.thumbnails[rows]
    ways = hash_thumbnails(thumbnails)
    found = [_nearest(way, ways[0], pairs_within(way.coarse, ways[0].coarse)) for way in ways[:-1]]
    found.append(equal_pairs(ways[0].coarse, ways[0].fine))
    if fingerprints.features is not None:
        (own,) = directions(fingerprints.features[rows])
        found.append(nearest_pairs(own, None, _NEIGHBOURS, _LEAST_COSINE))
    pairs = rows[_confirmed(thumbnails, ways, np.concatenate(found))]
    near = [Duplicate(int(first), int(second), "near") for first, second in pairs]
    return sorted([*exact, *near], key=lambda copy: (copy.first, copy.second))


def exact_matches(keys: Keys, others: Keys) -> dict[int, Duplicate]:
    """For each picture that others have too, by its row, the first with the same bytes, or else with the same pixels."""
    found: dict[int, Duplicate] = {}
    kinds: tuple[Kind, Kind] = ("exact", "pixels")
    for place, kind in enumerate(kinds):
        theirs = {own[place]: row for row, own in reversed(list(enumerate(others)))}
        for row, own in enumerate(keys):
            if own[place] in theirs:
                found.setdefault(row, Duplicate(row, theirs[own[place]], kind))
    return found


def _exact(keys: Keys) -> list[Duplicate]:
    """Each row with the first that has the same bytes, or else the same pixels."""
    first: tuple[dict[str, int], dict[str, int]] = ({}, {})
    duplicates = []
    for row, own in enumerate(keys):
        by_bytes, by_pixels = (known.setdefault(key, row) for known, key in zip(first, own, strict=True))
        if by_bytes != row:
            duplicates.append(Duplicate(by_bytes, row, "exact"))
        elif by_pixels != row:
            duplicates.append(Duplicate(by_pixels, row, "pixels"))
    return duplicates


def _roots(count: int, duplicates: Sequence[Duplicate]) -> NDArray[np.int64]:
    root = np.arange(count)
    for copy in duplicates:  # first comes before second, and is a root or has been led to one
        root[copy.second] = root[copy.first]
    return root


def _nearest(ours: Hashes, theirs: Hashes, pairs: Pairs) -> Pairs:
    """Of the pairs the few of each first row with the nearest fine hashes."""
    apart = distances(ours.fine[pairs[:, 0]], theirs.fine[pairs[:, 1]])
    apart[pairs[:, 0] == pairs[:, 1]] = 256  # itself
    order = np.lexsort((apart, pairs[:, 0]))
    rows = pairs[order, 0]
    place = np.arange(len(rows)) - np.searchsorted(rows, rows)
    return np.asarray(pairs[order[place < _RIVALS]])


def _confirmed(thumbnails: NDArray[np.uint8], ways: list[Hashes], candidates: Pairs) -> Pairs:
    """Those candidates, as pairs of rows in order and each once, whose pictures agree when they are laid over each other."""
    shown = ~ways[0].flat[candidates].any(axis=1) & (candidates[:, 0] != candidates[:, 1])
    pairs = np.unique(np.sort(candidates[shown], axis=1), axis=0)
    if not len(pairs):
        return pairs
    planes = greys(thumbnails)
    if len(planes) >= _MANY:
        planes -= planes.mean(axis=0)  # what all of them show tells nothing
    alike = _alike(planes, ways, pairs)
    pairs, alike = pairs[alike >= _LEAST_AGREEMENT], alike[alike >= _LEAST_AGREEMENT]
    return pairs[alike >= _least(planes, ways, pairs)]


def _alike(planes: NDArray[np.float32], ways: list[Hashes], pairs: Pairs) -> NDArray[np.float32]:
    """The agreement of each pair, in the way to mirror or turn the first that its hash comes nearest in."""
    found = [np.empty(0, np.float32)]
    for at in range(0, len(pairs), _AT_ONCE):
        first, second = pairs[at : at + _AT_ONCE].T
        apart = np.stack([distances(way.fine[first], ways[0].fine[second]) for way in ways])
        apart[0] -= _UPRIGHT
        turned = [_turned(planes[row], int(way)) for row, way in zip(first, apart.argmin(axis=0), strict=True)]
        found.append(agreement(np.stack(turned), planes[second]))
    return np.concatenate(found)


def _least(planes: NDArray[np.float32], ways: list[Hashes], pairs: Pairs) -> NDArray[np.float64]:
    """The agreement from which on each pair makes copies, (pairs,).

    Copies of one picture all agree. Where a group is held together by its nearest neighbours alone, its pictures are alike by
    nature, as solar cells of one make: there a copy must stand out from what most of the group reaches.
    """
    from scipy.sparse import coo_array  # here, because answering does not need it
    from scipy.sparse.csgraph import connected_components

    graph = coo_array((np.ones(len(pairs)), pairs.T), shape=(len(planes), len(planes)))
    _, group = connected_components(graph, directed=False)
    members = np.split(np.argsort(group, kind="stable"), np.cumsum(np.bincount(group))[:-1])
    linked, random = set(map(tuple, pairs.tolist())), np.random.default_rng(0)
    within = {number: _unlinked(rows, linked, random) for number, rows in enumerate(members) if len(rows) > 2}
    least = np.full(len(members), _LEAST_AGREEMENT)
    for number, others in within.items():
        alike = _alike(planes, ways, others) if len(others) else np.ones(1)
        if np.mean(alike >= _LEAST_AGREEMENT) < _MOST_OF_THEM:
            least[number] = max(_LEAST_AGREEMENT, (1 + float(np.quantile(alike, 0.9))) / 2)
    return np.asarray(least[group[pairs[:, 0]]])


def _unlinked(rows: NDArray[np.int64], linked: set[tuple[int, int]], random: np.random.Generator) -> Pairs:
    """Some pairs of these rows that are no candidates."""
    drawn = np.sort(random.choice(rows, (4 * _WITHIN, 2)), axis=1)
    others = sorted({(a, b) for a, b in drawn.tolist() if a != b and (a, b) not in linked})
    return np.array(others[:: max(1, len(others) // _WITHIN)], np.int64).reshape(-1, 2)


def _turned(plane: NDArray[np.float32], way: int) -> NDArray[np.float32]:
    """The plane mirrored and turned in the way of `hash_thumbnails` with this number."""
    plane = plane.T if way >= 4 else plane
    across, down = ((0, 0), (1, 0), (0, 1), (1, 1), (0, 0), (1, 1), (1, 0), (0, 1))[way]
    return plane[:: -1 if down else 1, :: -1 if across else 1]
