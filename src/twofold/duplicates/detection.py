"""Duplicates: images with equal bytes, with equal pixels, files of one exposure, or exposures of one scene."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from twofold.duplicates.confirmation import FullImages, Likeness, compare_at_full_size
from twofold.duplicates.duplicate_candidates import find_candidates, pack_pairs
from twofold.duplicates.fine_detail import GreyImage
from twofold.duplicates.grey_planes import GreyPlanes
from twofold.duplicates.hamming_search import Pairs
from twofold.duplicates.perceptual_hash import Hashes, ThumbnailArray, ThumbnailRows, hash_thumbnails
from twofold.duplicates.strangers import strangers_agree
from twofold.duplicates.thumbnail_registration import register_pairs

DuplicateKind = Literal["exact", "pixels", "near", "same-scene"]
Keys = Sequence[tuple[str, str]]  # for each image the hash of its bytes and the hash of its pixels

# These were chosen by the measurements in docs/decisions/010.
_MIN_AGREEMENT: Final = 0.85
_MANY: Final = 20  # images from which on the mean is subtracted: it is common to all
_MAX_UNLINKED: Final = 30  # non-candidate pairs of a group that are compared
_MAJORITY: Final = 0.5
_MIN_LIKELY: Final = 0.6  # agreement of thumbnails from which on a pair is compared at full size
_BEST: Final = 2  # pairs of an image that are compared at full size


@dataclass(frozen=True, slots=True)
class Duplicate:
    """Two rows that are duplicates; those of kind `exact` have equal pixels as well.

    Those of kind `same-scene` are no duplicates: they show the same object, and belong in one group.
    """

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


def find_duplicates(fingerprints: Fingerprints, images: FullImages | None = None) -> list[Duplicate]:
    """Pairs of duplicates, the first row before the second, sorted; in large groups each row is in one or a few pairs.

    Thumbnails give candidates, which are compared in `images` at full size. Without them, pairs among similar images are
    `same-scene`, because thumbnails do not distinguish files from exposures.
    """
    exact = _exact_duplicates(fingerprints.keys)
    rows = np.unique(_group_roots(len(fingerprints), exact))  # one for each group of exact duplicates
    near = find_near_duplicates(ThumbnailRows(fingerprints.thumbnails, rows), rows, images, fingerprints.features)
    return sorted([*exact, *near], key=lambda duplicate: (duplicate.first, duplicate.second))


def find_near_duplicates(
    thumbnails: ThumbnailArray,
    rows: NDArray[np.int64],
    images: FullImages | None = None,
    features: NDArray[np.float32] | None = None,
) -> list[Duplicate]:
    """The pairs of kinds `near` and `same-scene` of images whose pixels differ: `rows` (n,) are their rows in `images` and
    `features`, and `thumbnails` (n, SMALL, SMALL, 3) need not be in memory. See `find_duplicates`."""
    threads = 1 if images is None else images.threads
    hashes = hash_thumbnails(thumbnails, threads)
    pairs, is_strong = find_candidates(features, rows, hashes, threads, weak=images is not None)
    of_rows = None if images is None else FullImages(lambda row: images.load(int(rows[row])), images.threads)
    kinds = _kinds(GreyPlanes(thumbnails), hashes, pairs, is_strong, of_rows)
    return [
        Duplicate(int(rows[first]), int(rows[second]), kind)
        for (first, second), kind in zip(pairs, kinds, strict=True)
        if kind is not None
    ]


def count_comparisons(fingerprints: Fingerprints) -> int:
    """The number of pairs that `find_duplicates` compares at full size."""
    rows = np.unique(_group_roots(len(fingerprints), _exact_duplicates(fingerprints.keys)))
    hashes = hash_thumbnails(fingerprints.thumbnails[rows])
    pairs, _ = find_candidates(fingerprints.features, rows, hashes, 1, weak=True)
    if not len(pairs):
        return 0
    planes = GreyPlanes(fingerprints.thumbnails[rows])
    agreements = register_pairs(_centred(planes), hashes, pairs)[0]
    return int(_likely(pairs, agreements, register_pairs(planes, hashes, pairs)[0]).sum())


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


def confirm_matches(
    matches: Sequence[Duplicate], sides: tuple[Fingerprints, Fingerprints], images: tuple[FullImages, FullImages]
) -> list[Duplicate]:
    """The matches between two datasets, compared at full size: with their kinds, and without unrelated images.

    `first` is a row of the first dataset, `second` of the second. Of images that hashes call near duplicates none is left out.
    """
    doubtful = [match for match in matches if match.kind not in ("exact", "pixels")]
    if not doubtful:
        return list(matches)
    rows = np.array([(match.first, match.second) for match in doubtful], np.int64)
    thumbnails = np.concatenate([side.thumbnails[rows[:, number]] for number, side in enumerate(sides)])
    pairs = np.arange(2 * len(rows)).reshape(2, -1).T

    def load(row: int) -> GreyImage | None:
        side, number = divmod(row, len(rows))
        return images[side].load(int(rows[number, side]))

    _, maps, orientations = register_pairs(GreyPlanes(thumbnails), hash_thumbnails(thumbnails), pairs)
    likeness = compare_at_full_size(pairs, orientations, maps, FullImages(load, images[0].threads))
    kinds = {
        match.first: _confirmed_kind(match.kind, bool(near), bool(scene), bool(np.isnan(misfit)))
        for match, near, scene, misfit in zip(
            doubtful, likeness.near, likeness.same_scene, likeness.misfit, strict=True
        )
    }
    confirmed = [(match, kinds.get(match.first, match.kind)) for match in matches]
    return [replace(match, kind=kind) for match, kind in confirmed if kind is not None]


def _confirmed_kind(kind: DuplicateKind, near: bool, scene: bool, unknown: bool) -> DuplicateKind | None:
    if unknown:
        return kind
    if near:
        return "near"
    return "same-scene" if scene or kind == "near" else None


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


def _kinds(
    planes: GreyPlanes,
    hashes: list[Hashes],
    pairs: Pairs,
    is_strong: NDArray[np.bool_],
    images: FullImages | None,
) -> list[DuplicateKind | None]:
    """The kind of each pair, None for unrelated images; a weak candidate is `near` by its comparison at full size, or none."""
    if not len(pairs):
        return []
    centred, threads = _centred(planes), 1 if images is None else images.threads
    agreements = register_pairs(centred, hashes, pairs, threads)[0]
    strong_agreements = np.where(is_strong, agreements, np.float32(-1))
    similar, scene = _similar_and_agreeing(centred, hashes, pairs, strong_agreements, threads)
    likeness, compared = _likeness(planes, hashes, pairs, agreements, images)
    scene &= compared
    unknown = np.isnan(likeness.misfit)
    rare = images is None or not strangers_agree(centred, hashes[0], pairs[likeness.near], _MIN_AGREEMENT)
    near = likeness.near | (unknown & scene & ~similar & rare)
    scene &= (rare & ~likeness.unrelated) | unknown | likeness.same_scene
    return ["near" if a else "same-scene" if b else None for a, b in zip(near, scene, strict=True)]


def _centred(planes: GreyPlanes) -> GreyPlanes:
    """The thumbnails without their mean: what all have in common is no evidence."""
    return planes.centred() if len(planes) >= _MANY else planes


def _similar_and_agreeing(
    planes: GreyPlanes, hashes: list[Hashes], pairs: Pairs, agreements: NDArray[np.float32], threads: int
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Whether each pair is in a group of similar images, and whether its thumbnails agree as those of duplicates do."""
    accepted = np.flatnonzero(agreements >= _MIN_AGREEMENT)
    thresholds = _min_agreements(planes, hashes, pairs[accepted], threads)
    similar, scene = np.zeros((2, len(pairs)), np.bool_)
    similar[accepted] = thresholds > _MIN_AGREEMENT
    scene[accepted] = agreements[accepted] >= thresholds
    return similar, scene


def _likeness(
    planes: GreyPlanes,
    hashes: list[Hashes],
    pairs: Pairs,
    agreements: NDArray[np.float32],
    images: FullImages | None,
) -> tuple[Likeness, NDArray[np.bool_]]:
    """The likeness of each pair at full size, NaN where it is unknown, and which pairs were compared; all without images."""
    values = np.full((3, len(pairs)), np.nan)
    if images is None:
        return Likeness(*values), np.ones(len(pairs), np.bool_)
    uncentred, maps, orientations = register_pairs(planes, hashes, pairs, images.threads)
    compared = _likely(pairs, agreements, uncentred)
    likeness = compare_at_full_size(pairs[compared], orientations[compared], maps[compared], images)
    values[:, compared] = likeness.misfit, likeness.overall, likeness.everywhere
    return Likeness(*values), compared


def _likely(pairs: Pairs, agreements: NDArray[np.float32], uncentred: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Whether each pair is compared at full size, by the agreement of its thumbnails without and with their mean."""
    return (np.maximum(uncentred, agreements) >= _MIN_LIKELY) & _among_best(pairs, uncentred)


def _among_best(pairs: Pairs, scores: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Whether each pair is among the best few of either of its images."""
    chosen = np.zeros(len(pairs), np.bool_)
    rows, numbers = pairs.T.ravel(), np.tile(np.arange(len(pairs)), 2)
    order = np.lexsort((-np.tile(scores, 2), rows))
    rank = np.arange(len(order)) - np.searchsorted(rows[order], rows[order])
    chosen[numbers[order[rank < _BEST]]] = True
    return chosen


def _min_agreements(planes: GreyPlanes, hashes: list[Hashes], pairs: Pairs, threads: int) -> NDArray[np.float64]:
    """The lowest agreement of duplicates, for each pair, (pairs,).

    Duplicates of one image all agree with each other. In a group where only nearest neighbours agree, the images are similar by
    nature, such as solar cells of one make: there duplicates must agree more than most pairs of the group.
    """
    from scipy.sparse import coo_array  # here, because predictions do not need it
    from scipy.sparse.csgraph import connected_components

    graph = coo_array((np.ones(len(pairs)), pairs.T), shape=(len(planes), len(planes)))
    _, group = connected_components(graph, directed=False)
    order, counts = np.argsort(group, kind="stable"), np.bincount(group)
    ends = np.cumsum(counts)
    linked, random = set(pack_pairs(pairs).tolist()), np.random.default_rng(0)
    unlinked_by_group = {
        number: _sample_unlinked(order[ends[number] - counts[number] : ends[number]], linked, random)
        for number in np.flatnonzero(counts > 2).tolist()
    }
    thresholds = np.full(len(counts), _MIN_AGREEMENT)
    unlinked = np.concatenate([np.empty((0, 2), np.int64), *unlinked_by_group.values()])
    ends = np.cumsum([0, *map(len, unlinked_by_group.values())])
    all_agreements = register_pairs(planes, hashes, unlinked, threads)[0]
    for number, (start, end) in zip(unlinked_by_group, pairwise(ends), strict=True):
        agreements = all_agreements[start:end] if start < end else np.ones(1)
        if np.mean(agreements >= _MIN_AGREEMENT) < _MAJORITY:
            thresholds[number] = max(_MIN_AGREEMENT, (1 + float(np.quantile(agreements, 0.9))) / 2)
    return np.asarray(thresholds[group[pairs[:, 0]]])


def _sample_unlinked(rows: NDArray[np.int64], linked: set[int], random: np.random.Generator) -> Pairs:
    """A random sample of the pairs of these rows that are not candidates."""
    random_pairs = np.sort(random.choice(rows, (4 * _MAX_UNLINKED, 2)), axis=1)
    unlinked = sorted({(a, b) for a, b in random_pairs.tolist() if a != b and a << 32 | b not in linked})
    return np.array(unlinked[:: max(1, len(unlinked) // _MAX_UNLINKED)], np.int64).reshape(-1, 2)
