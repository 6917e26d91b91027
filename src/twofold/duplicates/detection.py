"""Duplicates: images with equal bytes, with equal pixels, or near duplicates."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from twofold.duplicates.hamming_search import Pairs, equal_pairs, pairs_within
from twofold.duplicates.nearest_neighbours import directions, nearest_pairs
from twofold.duplicates.perceptual_hash import Hashes, distances, greys, hash_thumbnails
from twofold.duplicates.registration import agreement

DuplicateKind = Literal["exact", "pixels", "near"]
Keys = Sequence[tuple[str, str]]  # for each image the hash of its bytes and the hash of its pixels

# These were chosen by the measurements in docs/decisions/010.
_MIN_COSINE: Final = 0.65  # of the features of two images that may be duplicates
_NEIGHBOURS: Final = 2
# Bits by which hashes must be closer when mirrored or rotated: for cropped images the orientation is uncertain.
_UPRIGHT: Final = 24
_MIN_AGREEMENT: Final = 0.85
_MANY: Final = 20  # images from which on the mean is subtracted: it is common to all
_MAX_CANDIDATES: Final = 3  # largest number of candidates by hash that an image is compared with
_MAX_UNLINKED: Final = 30  # non-candidate pairs of a group that are compared
_MAJORITY: Final = 0.5
_AT_ONCE: Final = 512  # pairs, of about 100 kB each


@dataclass(frozen=True, slots=True)
class Duplicate:
    """Two rows that are duplicates; those of kind `exact` have equal pixels as well."""

    first: int
    second: int
    kind: DuplicateKind


@dataclass(frozen=True, slots=True, eq=False)
class Fingerprints:
    """The fingerprints of n images, by which duplicates are detected: hashes of bytes and pixels, thumbnails (n, SMALL, SMALL, 3)
    and, where the images were embedded, features (n, d)."""

    keys: Keys = field(repr=False)
    thumbnails: NDArray[np.uint8] = field(repr=False)
    features: NDArray[np.float32] | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return len(self.keys)


def find_duplicates(fingerprints: Fingerprints) -> list[Duplicate]:
    """Pairs of duplicates, the first row before the second, sorted; in large groups each row is in one or a few pairs."""
    exact = _exact_duplicates(fingerprints.keys)
    rows = np.unique(_group_roots(len(fingerprints), exact))  # one for each group of exact duplicates
    thumbnails = fingerprints.thumbnails[rows]
    hashes = hash_thumbnails(thumbnails)
    candidates = [
        _nearest(oriented, hashes[0], pairs_within(oriented.coarse, hashes[0].coarse)) for oriented in hashes[:-1]
    ]
    candidates.append(equal_pairs(hashes[0].coarse, hashes[0].fine))
    if fingerprints.features is not None:
        unit = directions(fingerprints.features[rows])
        candidates.append(nearest_pairs(unit, _NEIGHBOURS, _MIN_COSINE))
    pairs = rows[_confirm(thumbnails, hashes, np.concatenate(candidates))]
    near = [Duplicate(int(first), int(second), "near") for first, second in pairs]
    return sorted([*exact, *near], key=lambda duplicate: (duplicate.first, duplicate.second))


def exact_matches(keys: Keys, index_keys: Keys) -> dict[int, Duplicate]:
    """For each row, the first of `index_keys` with the same bytes, or else with the same pixels."""
    duplicates: dict[int, Duplicate] = {}
    kinds: tuple[DuplicateKind, DuplicateKind] = ("exact", "pixels")
    for column, kind in enumerate(kinds):
        first = {key[column]: row for row, key in reversed(list(enumerate(index_keys)))}
        for row, key in enumerate(keys):
            if key[column] in first:
                duplicates.setdefault(row, Duplicate(row, first[key[column]], kind))
    return duplicates


def _exact_duplicates(keys: Keys) -> list[Duplicate]:
    """Each row paired with the first row of the same bytes, or else of the same pixels."""
    first: tuple[dict[str, int], dict[str, int]] = ({}, {})
    duplicates = []
    for row, key in enumerate(keys):
        by_bytes, by_pixels = (rows.setdefault(digest, row) for rows, digest in zip(first, key, strict=True))
        if by_bytes != row:
            duplicates.append(Duplicate(by_bytes, row, "exact"))
        elif by_pixels != row:
            duplicates.append(Duplicate(by_pixels, row, "pixels"))
    return duplicates


def _group_roots(count: int, duplicates: Sequence[Duplicate]) -> NDArray[np.int64]:
    root = np.arange(count)
    for duplicate in duplicates:  # first comes before second, so its root is known
        root[duplicate.second] = root[duplicate.first]
    return root


def _nearest(first: Hashes, second: Hashes, pairs: Pairs) -> Pairs:
    """The pairs (row of first, row of second) with the nearest fine hashes, up to `_MAX_CANDIDATES` for each row of first."""
    bits = distances(first.fine[pairs[:, 0]], second.fine[pairs[:, 1]])
    bits[pairs[:, 0] == pairs[:, 1]] = 256  # itself
    order = np.lexsort((bits, pairs[:, 0]))
    rows = pairs[order, 0]
    rank = np.arange(len(rows)) - np.searchsorted(rows, rows)
    return np.asarray(pairs[order[rank < _MAX_CANDIDATES]])


def _confirm(thumbnails: NDArray[np.uint8], hashes: list[Hashes], candidates: Pairs) -> Pairs:
    """The candidates whose thumbnails agree after registration: pairs of rows in order, each once."""
    hashable = ~hashes[0].flat[candidates].any(axis=1) & (candidates[:, 0] != candidates[:, 1])
    pairs = np.unique(np.sort(candidates[hashable], axis=1), axis=0)
    if not len(pairs):
        return pairs
    planes = greys(thumbnails)
    if len(planes) >= _MANY:
        planes -= planes.mean(axis=0)  # what all images have in common is no evidence of a duplicate
    agreements = _agreements(planes, hashes, pairs)
    accepted = agreements >= _MIN_AGREEMENT
    pairs, agreements = pairs[accepted], agreements[accepted]
    return pairs[agreements >= _min_agreements(planes, hashes, pairs)]


def _agreements(planes: NDArray[np.float32], hashes: list[Hashes], pairs: Pairs) -> NDArray[np.float32]:
    """The agreement of each pair, in the orientation of the first image whose hash is nearest to the second's."""
    agreements = [np.empty(0, np.float32)]
    for at in range(0, len(pairs), _AT_ONCE):
        first, second = pairs[at : at + _AT_ONCE].T
        bits = np.stack([distances(planes_of_first.fine[first], hashes[0].fine[second]) for planes_of_first in hashes])
        bits[0] -= _UPRIGHT
        planes_of_first = [
            _turn(planes[row], int(orientation)) for row, orientation in zip(first, bits.argmin(axis=0), strict=True)
        ]
        agreements.append(agreement(np.stack(planes_of_first), planes[second]))
    return np.concatenate(agreements)


def _min_agreements(planes: NDArray[np.float32], hashes: list[Hashes], pairs: Pairs) -> NDArray[np.float64]:
    """The lowest agreement of duplicates, for each pair, (pairs,).

    Duplicates of one image all agree with each other. In a group where only nearest neighbours agree, the images are similar by
    nature, such as solar cells of one make: there duplicates must agree more than most pairs of the group.
    """
    from scipy.sparse import coo_array  # here, because predictions do not need it
    from scipy.sparse.csgraph import connected_components

    graph = coo_array((np.ones(len(pairs)), pairs.T), shape=(len(planes), len(planes)))
    _, group = connected_components(graph, directed=False)
    members = np.split(np.argsort(group, kind="stable"), np.cumsum(np.bincount(group))[:-1])
    linked, random = set(map(tuple, pairs.tolist())), np.random.default_rng(0)
    unlinked_by_group = {
        number: _sample_unlinked(rows, linked, random) for number, rows in enumerate(members) if len(rows) > 2
    }
    thresholds = np.full(len(members), _MIN_AGREEMENT)
    for number, unlinked in unlinked_by_group.items():
        agreements = _agreements(planes, hashes, unlinked) if len(unlinked) else np.ones(1)
        if np.mean(agreements >= _MIN_AGREEMENT) < _MAJORITY:
            thresholds[number] = max(_MIN_AGREEMENT, (1 + float(np.quantile(agreements, 0.9))) / 2)
    return np.asarray(thresholds[group[pairs[:, 0]]])


def _sample_unlinked(rows: NDArray[np.int64], linked: set[tuple[int, int]], random: np.random.Generator) -> Pairs:
    """A random sample of the pairs of these rows that are not candidates."""
    random_pairs = np.sort(random.choice(rows, (4 * _MAX_UNLINKED, 2)), axis=1)
    unlinked = sorted({(a, b) for a, b in random_pairs.tolist() if a != b and (a, b) not in linked})
    return np.array(unlinked[:: max(1, len(unlinked) // _MAX_UNLINKED)], np.int64).reshape(-1, 2)


def _turn(plane: NDArray[np.float32], orientation: int) -> NDArray[np.float32]:
    """The plane in this orientation, a number of the list of `hash_thumbnails`."""
    plane = plane.T if orientation >= 4 else plane
    across, down = ((0, 0), (1, 0), (0, 1), (1, 1), (0, 0), (1, 1), (1, 0), (0, 1))[orientation]
    return plane[:: -1 if down else 1, :: -1 if across else 1]
