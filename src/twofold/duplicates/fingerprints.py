"""What is kept of pictures, so that copies of them are known again: hashes, nothing that shows them."""

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, TextIO

import numpy as np
from numpy.typing import NDArray

from twofold.duplicates.detection import Duplicate, Fingerprints, exact_matches
from twofold.duplicates.hamming_search import Pairs, pairs_within
from twofold.duplicates.perceptual_hash import Hash, distances, greys, hash_thumbnails
from twofold.duplicates.windows import coarse_of_windows, fitted, hash_middles, hashed, windows

Found = tuple[NDArray[np.int64], NDArray[np.int64]]  # rows, and for each a row of the others

COLUMNS: Final = ("path", "sha256", "pixels", "perceptual")
_DIGITS: Final = 160  # of a perceptual hash
_HASHES: Final = ("[0-9a-f]{64}", "[0-9a-f]{80}", f"([0-9a-f]{{{_DIGITS}}})?")
# Of 255 bits: 4,500 copies of photographs of other size, quality, light or colour differed in at most 38, strangers in 72 and
# more. Where strangers are more alike than that, half of what they differ in.
_MOST: Final = 48
_STRANGERS: Final = 500
_RARE: Final = 0.002  # as many of the pairs of strangers may differ in fewer bits than are taken for theirs
_RARER: Final = 0.0001  # the same, where each pair is compared in a hundred windows
_NEARER: Final = 44  # bits by which the best of these brought strangers nearer, solar cells of one make
_RIVALS: Final = 6  # windows of a picture that are moved to fit better
_GAP: Final = 1.5  # times as far as the last copy of a picture the next picture is


@dataclass(frozen=True, slots=True, eq=False)
class FingerprintIndex:
    """Hashes of pictures by their paths, a row for each; `fine` (n, 4) is 0 for pictures of nearly one colour."""

    paths: tuple[str, ...] = field(repr=False)
    keys: tuple[tuple[str, str], ...] = field(repr=False)  # of bytes and of pixels
    fine: Hash = field(repr=False)
    coarse: Hash = field(repr=False)
    middle: Hash = field(
        repr=False
    )  # (n, 5), of the middle of each: coarse, then fine; 0 where it is of nearly one colour


def index_fingerprints(paths: Sequence[str], fingerprints: Fingerprints) -> FingerprintIndex:
    """What is kept of these pictures."""
    hashes, middle = hash_thumbnails(fingerprints.thumbnails)[0], hash_middles(greys(fingerprints.thumbnails))
    shown, inside = ~hashes.flat[:, None], ~middle.flat[:, None]
    kept = np.column_stack([middle.coarse, middle.fine])
    return FingerprintIndex(
        tuple(paths), tuple(fingerprints.keys), hashes.fine * shown, hashes.coarse * shown[:, 0], kept * inside
    )


def find_in_index(fingerprints: Fingerprints, others: FingerprintIndex) -> list[Duplicate]:
    """Pictures, as `first`, that are known, as `second`, each once: equal, or alike but for size, quality, light, quarter turns,
    a tenth cropped off its sides, or some degrees.

    What a network sees plays no part, so that all commands find the same.
    """
    found = exact_matches(fingerprints.keys, others.keys)
    for search in (_whole, _windows):
        rows = np.array([row for row in range(len(fingerprints)) if row not in found], np.int64)
        for row, other in zip(*search(fingerprints.thumbnails[rows], others), strict=True):
            found[int(rows[row])] = Duplicate(int(rows[row]), int(other), "near")
    return [found[row] for row in sorted(found)]


def _whole(thumbnails: NDArray[np.uint8], others: FingerprintIndex) -> Found:
    """By the hashes of the whole pictures."""
    rows = np.flatnonzero(others.coarse)
    most = min(_MOST, _strangers(others.fine[rows], _RARE) / 2)
    pairs, apart = [np.empty((0, 2), np.int64)], [np.empty(0, np.int64)]
    for way in hash_thumbnails(thumbnails):
        near = pairs_within(way.coarse, others.coarse[rows])
        near[:, 1] = rows[near[:, 1]]
        near = near[~way.flat[near[:, 0]]]
        pairs.append(near)
        apart.append(distances(way.fine[near[:, 0]], others.fine[near[:, 1]]))
    return _nearest(np.concatenate(pairs), np.concatenate(apart), most)


def _windows(thumbnails: NDArray[np.uint8], others: FingerprintIndex) -> Found:
    """By the hashes of their middles, which are looked for in windows of the pictures, upright and mirrored."""
    rows, planes, begins = np.flatnonzero(others.middle[:, 0]), greys(thumbnails), windows()
    wanted, most = others.middle[rows], min(_MOST, _strangers(others.middle[rows, 1:], _RARER) - _NEARER)
    pairs, apart = [np.empty((0, 2), np.int64)], [np.empty(0, np.int64)]
    for seen in (planes, planes[:, :, ::-1]):
        near = pairs_within(coarse_of_windows(seen).reshape(-1), wanted[:, 0])
        places, back = np.unique(near[:, 0], return_inverse=True)
        bits = hashed(seen, places // len(begins), begins[places % len(begins)])
        near = _few(near, near[:, 0] // len(begins), distances(bits[back], wanted[near[:, 1], 1:]))
        image, other = near[:, 0] // len(begins), near[:, 1]
        pairs.append(np.column_stack([image, rows[other]]))
        apart.append(fitted(seen, image, begins[near[:, 0] % len(begins)], wanted[other, 1:]))
    return _nearest(np.concatenate(pairs), np.concatenate(apart), most)


def _few(near: Pairs, image: NDArray[np.int64], apart: NDArray[np.int64]) -> Pairs:
    """Of the pairs, each of a window of an image and another image, the nearest few of each image."""
    order = np.lexsort((apart, image))
    image = image[order]
    return near[order[np.arange(len(image)) - np.searchsorted(image, image) < _RIVALS]]


def _nearest(pairs: Pairs, apart: NDArray[np.int64], most: float) -> Found:
    """Of pairs that differ in at most so many bits, the best of each first row."""
    kept = apart <= most
    pairs = pairs[kept][np.lexsort((pairs[kept, 1], apart[kept]))]
    _, first = np.unique(pairs[:, 0], return_index=True)
    return pairs[first, 0], pairs[first, 1]


def _strangers(fine: Hash, rare: float) -> float:
    """Bits that all but a few pairs of strangers differ in, of pictures of these hashes (n, 4)."""
    shown = np.unique(fine, axis=0)
    if len(shown) < 2:
        return 255
    some = np.random.default_rng(0).permutation(shown)[:_STRANGERS]
    apart = np.sort([distances(own[None], some) for own in some], axis=1)
    gaps = (apart[:, :-1] <= _MOST) & (apart[:, 1:] > _GAP * apart[:, :-1])
    # What comes before a gap is the picture itself and its copies; without any, pictures are alike by nature.
    duplicates = np.logical_or.accumulate(gaps[:, ::-1], axis=1)[:, ::-1]
    strangers = np.concatenate([apart[:, :-1][~duplicates], apart[:, -1]])
    return float(np.quantile(strangers, rare))


def write_index(kept: FingerprintIndex, file: TextIO) -> None:
    """A row for each picture, the hashes in hexadecimal."""
    rows = csv.writer(file)  # its own line ends: with others, a name with a carriage return is not quoted
    rows.writerow(COLUMNS)
    for path, keys, words in zip(
        kept.paths, kept.keys, np.column_stack([kept.coarse, kept.fine, kept.middle]), strict=True
    ):
        rows.writerow((path, *keys, "".join(f"{int(word):016x}" for word in words) if words.any() else ""))


def read_index(lines: Iterable[str]) -> FingerprintIndex:
    """What `write_index` wrote. ValueError where it is something else."""
    rows = _rows(csv.reader(lines))
    if next(rows, None) != COLUMNS:
        raise ValueError(f"the columns are not {','.join(COLUMNS)}")
    paths: list[str] = []
    keys: list[tuple[str, str]] = []
    words = bytearray()
    for number, row in enumerate(rows, 1):
        if len(row) != len(COLUMNS) or not all(map(re.fullmatch, _HASHES, row[1:])):
            raise ValueError(f"row {number} holds something else than a path and its hashes")
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
