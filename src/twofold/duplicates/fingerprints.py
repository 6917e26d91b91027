"""The fingerprint index: hashes of images that detect later duplicates. No image can be restored from it."""

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, TextIO

import numpy as np
from numpy.typing import NDArray

from twofold.duplicates.detection import Duplicate, DuplicateKind, Fingerprints, exact_matches
from twofold.duplicates.hamming_search import Pairs, pairs_within
from twofold.duplicates.perceptual_hash import Hash, distances, greys, hash_thumbnails
from twofold.duplicates.windows import coarse_of_windows, hash_middles, hash_windows, match_windows, windows

Matches = tuple[NDArray[np.int64], NDArray[np.int64]]  # rows, and for each a row of the index

COLUMNS: Final = ("path", "sha256", "pixels", "perceptual")
_DIGITS: Final = 160  # of a perceptual hash
_HASHES: Final = ("[0-9a-f]{64}", "[0-9a-f]{80}", f"([0-9a-f]{{{_DIGITS}}})?")
# Of 255 bits: 4,500 duplicates of photographs with another size, quality, light or colour differed in at most 38, unrelated
# images in 72 or more. Where unrelated images are more similar than that, the limit is half of the bits in which they differ.
_MAX_BITS: Final = 48
_UNRELATED: Final = 500
_QUANTILE: Final = 0.002  # fraction of the pairs of unrelated images that may differ in fewer bits
_WINDOW_QUANTILE: Final = 0.0001  # the same, where each pair is compared in a hundred windows
# Bits by which the best of these windows lowers the distance of unrelated images (solar cells of one make).
_WINDOW_BIAS: Final = 44
_MAX_CANDIDATES: Final = 6  # windows of an image that are moved to fit better
_AT_ONCE: Final = 4096  # thumbnails, to bound memory
_GAP: Final = 1.5  # least ratio of the distance of the next image to that of the last duplicate


@dataclass(frozen=True, slots=True, eq=False)
class FingerprintIndex:
    """Hashes of images and their paths, one row per image; `fine` (n, 4) is 0 for images of nearly one colour."""

    paths: tuple[str, ...] = field(repr=False)
    keys: tuple[tuple[str, str], ...] = field(repr=False)  # of bytes and of pixels
    fine: Hash = field(repr=False)
    coarse: Hash = field(repr=False)
    # (n, 5), of the middle of each: coarse, then fine; 0 where it is of nearly one colour
    middle: Hash = field(repr=False)


def index_fingerprints(paths: Sequence[str], fingerprints: Fingerprints) -> FingerprintIndex:
    """The index of images with these paths and fingerprints."""
    hashes, thumbnails = hash_thumbnails(fingerprints.thumbnails)[0], fingerprints.thumbnails
    hashable = ~hashes.flat[:, None]
    blocks = (thumbnails[start : start + _AT_ONCE] for start in range(0, len(thumbnails), _AT_ONCE))
    middles = np.concatenate([np.empty((0, 5), np.uint64), *(_middles(block) for block in blocks)])
    return FingerprintIndex(
        tuple(paths),
        tuple(fingerprints.keys),
        hashes.fine * hashable,
        hashes.coarse * hashable[:, 0],
        middles,
    )


def _middles(thumbnails: NDArray[np.uint8]) -> Hash:
    """The hashes (n, 5) of the middles of thumbnails, coarse, then fine; 0 where they are of nearly one colour."""
    middle = hash_middles(greys(thumbnails))
    return np.asarray(np.column_stack([middle.coarse, middle.fine]) * ~middle.flat[:, None])


def find_in_index(fingerprints: Fingerprints, index: FingerprintIndex) -> list[Duplicate]:
    """The images that have a duplicate in the index, each once: `first` is the row of the image, `second` that of the index.

    Duplicates may differ in size, quality, light, quarter turns, a tenth cropped off the sides, or some degrees of rotation.
    Features are not used, so that all commands find the same images. Where images of the index resemble each other so much that a
    smaller distance is required, matches are `same-scene`: hashes do not distinguish files of one exposure there.
    """
    duplicates = exact_matches(fingerprints.keys, index.keys)
    kind: DuplicateKind = "near" if _max_bits(index.fine[index.coarse != 0]) == _MAX_BITS else "same-scene"
    for search in (_by_whole_image, _by_windows):
        rows = np.array([row for row in range(len(fingerprints)) if row not in duplicates], np.int64)
        for row, index_row in zip(*search(fingerprints.thumbnails[rows], index), strict=True):
            duplicates[int(rows[row])] = Duplicate(int(rows[row]), int(index_row), kind)
    return [duplicates[row] for row in sorted(duplicates)]


def _by_whole_image(thumbnails: NDArray[np.uint8], index: FingerprintIndex) -> Matches:
    """The matches by the hashes of the whole images."""
    rows = np.flatnonzero(index.coarse)
    max_bits = _max_bits(index.fine[rows])
    pairs, bits = [np.empty((0, 2), np.int64)], [np.empty(0, np.int64)]
    for hashes in hash_thumbnails(thumbnails):
        near = pairs_within(hashes.coarse, index.coarse[rows])
        near[:, 1] = rows[near[:, 1]]
        near = near[~hashes.flat[near[:, 0]]]
        pairs.append(near)
        bits.append(distances(hashes.fine[near[:, 0]], index.fine[near[:, 1]]))
    return _nearest(np.concatenate(pairs), np.concatenate(bits), max_bits)


def _max_bits(fine: Hash) -> float:
    """The largest distance of near duplicates of images with these hashes."""
    return min(_MAX_BITS, _unrelated_distance(fine, _QUANTILE) / 2)


def _by_windows(thumbnails: NDArray[np.uint8], index: FingerprintIndex) -> Matches:
    """The matches by the hashes of the middles in the index, searched in windows of the images, upright and mirrored."""
    rows, planes, begins = np.flatnonzero(index.middle[:, 0]), greys(thumbnails), windows()
    middles, max_bits = (
        index.middle[rows],
        min(_MAX_BITS, _unrelated_distance(index.middle[rows, 1:], _WINDOW_QUANTILE) - _WINDOW_BIAS),
    )
    pairs, bits = [np.empty((0, 2), np.int64)], [np.empty(0, np.int64)]
    for oriented in (planes, planes[:, :, ::-1]):
        near = pairs_within(coarse_of_windows(oriented).reshape(-1), middles[:, 0])
        window, inverse = np.unique(near[:, 0], return_inverse=True)
        window_hashes = hash_windows(oriented, window // len(begins), begins[window % len(begins)])
        near = _select_nearest_windows(
            near, near[:, 0] // len(begins), distances(window_hashes[inverse], middles[near[:, 1], 1:])
        )
        image, index_row = near[:, 0] // len(begins), near[:, 1]
        pairs.append(np.column_stack([image, rows[index_row]]))
        bits.append(match_windows(oriented, image, begins[near[:, 0] % len(begins)], middles[index_row, 1:]))
    return _nearest(np.concatenate(pairs), np.concatenate(bits), max_bits)


def _select_nearest_windows(near: Pairs, image: NDArray[np.int64], bits: NDArray[np.int64]) -> Pairs:
    """The nearest few pairs of each image, from pairs (window of an image, image of the index)."""
    order = np.lexsort((bits, image))
    image = image[order]
    return near[order[np.arange(len(image)) - np.searchsorted(image, image) < _MAX_CANDIDATES]]


def _nearest(pairs: Pairs, bits: NDArray[np.int64], max_bits: float) -> Matches:
    """The nearest pair of each first row, among pairs that differ in at most `max_bits` bits."""
    near = bits <= max_bits
    pairs = pairs[near][np.lexsort((pairs[near, 1], bits[near]))]
    _, first = np.unique(pairs[:, 0], return_index=True)
    return pairs[first, 0], pairs[first, 1]


def _unrelated_distance(fine: Hash, rare: float) -> float:
    """The number of bits in which all but a fraction `rare` of the pairs of unrelated images differ, from hashes (n, 4)."""
    distinct = np.unique(fine, axis=0)
    if len(distinct) < 2:
        return 255
    hashes = np.random.default_rng(0).permutation(distinct)[:_UNRELATED]
    bits = np.sort([distances(row[None], hashes) for row in hashes], axis=1)
    gaps = (bits[:, :-1] <= _MAX_BITS) & (bits[:, 1:] > _GAP * bits[:, :-1])
    # Before a gap come the image itself and its duplicates; without a gap, images are similar by nature.
    duplicates = np.logical_or.accumulate(gaps[:, ::-1], axis=1)[:, ::-1]
    unrelated_bits = np.concatenate([bits[:, :-1][~duplicates], bits[:, -1]])
    return float(np.quantile(unrelated_bits, rare))


def write_index(index: FingerprintIndex, file: TextIO) -> None:
    """Writes one row per image, with hashes in hexadecimal."""
    rows = csv.writer(file)  # its own line ends: with others, a name with a carriage return is not quoted
    rows.writerow(COLUMNS)
    for path, keys, words in zip(
        index.paths, index.keys, np.column_stack([index.coarse, index.fine, index.middle]), strict=True
    ):
        rows.writerow((path, *keys, "".join(f"{int(word):016x}" for word in words) if words.any() else ""))


def read_index(lines: Iterable[str]) -> FingerprintIndex:
    """The index that `write_index` wrote. Raises ValueError for any other text."""
    rows = _rows(csv.reader(lines))
    if next(rows, None) != COLUMNS:
        raise ValueError(f"the columns are not {','.join(COLUMNS)}")
    paths: list[str] = []
    keys: list[tuple[str, str]] = []
    words = bytearray()
    for number, row in enumerate(rows, 1):
        if len(row) != len(COLUMNS) or not all(map(re.fullmatch, _HASHES, row[1:])):
            raise ValueError(f"row {number} does not hold a path and its hashes")
        paths.append(row[0])
        keys.append((row[1], row[2]))
        words += bytes.fromhex(row[3] or "0" * _DIGITS)
    hashes = np.frombuffer(words, ">u8").reshape(-1, 10).astype(np.uint64)
    return FingerprintIndex(tuple(paths), tuple(keys), hashes[:, 1:5], hashes[:, 0], hashes[:, 5:])


def _rows(rows: Iterator[list[str]]) -> Iterator[tuple[str, ...]]:
    try:
        yield from map(tuple, rows)
    except csv.Error as error:
        raise ValueError(str(error)) from error
