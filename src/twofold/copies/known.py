"""What is kept of pictures, so that copies of them are known again: hashes, nothing that shows them."""

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, TextIO

import numpy as np

from twofold.copies.copies import Copy, Sights, exact_common
from twofold.copies.hashes import Hash, distances, hash_thumbnails
from twofold.copies.search import pairs_within

COLUMNS: Final = ("path", "sha256", "pixels", "perceptual")
_DIGITS: Final = 80  # of a perceptual hash
_HASHES: Final = ("[0-9a-f]{64}", "[0-9a-f]{80}", f"([0-9a-f]{{{_DIGITS}}})?")
# Of 255 bits: 4,500 copies of photographs of other size, quality, light or colour differed in at most 38, strangers in 72 and
# more. Where strangers are more alike than that, half of what they differ in.
_MOST: Final = 48
_STRANGERS: Final = 500
_GAP: Final = 1.5  # times as far as the last copy of a picture the next picture is


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """Hashes of pictures by their paths, a row for each; `fine` (n, 4) is 0 for pictures of nearly one colour."""

    paths: tuple[str, ...] = field(repr=False)
    keys: tuple[tuple[str, str], ...] = field(repr=False)  # of bytes and of pixels
    fine: Hash = field(repr=False)
    coarse: Hash = field(repr=False)


def known(paths: Sequence[str], sights: Sights) -> Known:
    """What is kept of these pictures."""
    hashes = hash_thumbnails(sights.thumbnails)[0]
    shown = ~hashes.flat
    return Known(tuple(paths), tuple(sights.keys), hashes.fine * shown[:, None], hashes.coarse * shown)


def find_known(sights: Sights, others: Known) -> list[Copy]:
    """Pictures, as `first`, that are known, as `second`: equal, or alike but for size, quality, light and quarter turns."""
    found = exact_common(sights.keys, others.keys)
    ways, shown = hash_thumbnails(sights.thumbnails), others.coarse != 0
    rows, most = np.flatnonzero(shown), _most(others)
    for way in ways:
        pairs = pairs_within(way.coarse, others.coarse[rows])
        pairs[:, 1] = rows[pairs[:, 1]]
        apart = distances(way.fine[pairs[:, 0]], others.fine[pairs[:, 1]])
        for a, b in pairs[(apart <= most) & ~way.flat[pairs[:, 0]]]:
            found.setdefault(int(a), Copy(int(a), int(b), "near"))
    return [found[row] for row in sorted(found)]


def _most(others: Known) -> float:
    """Bits that a copy may differ in."""
    shown = np.unique(others.fine[others.coarse != 0], axis=0)
    if len(shown) < 2:
        return _MOST
    some = np.random.default_rng(0).permutation(shown)[:_STRANGERS]
    apart = np.sort([distances(own[None], some) for own in some], axis=1)
    gaps = (apart[:, :-1] <= _MOST) & (apart[:, 1:] > _GAP * apart[:, :-1])
    # What comes before a gap is the picture itself and its copies; without any, pictures are alike by nature.
    copies = np.logical_or.accumulate(gaps[:, ::-1], axis=1)[:, ::-1]
    strangers = np.concatenate([apart[:, :-1][~copies], apart[:, -1]])
    return min(_MOST, float(np.quantile(strangers, 0.002)) / 2)


def write_known(kept: Known, file: TextIO) -> None:
    """A row for each picture, the hashes in hexadecimal."""
    rows = csv.writer(file)  # its own line ends: with others, a name with a carriage return is not quoted
    rows.writerow(COLUMNS)
    for path, keys, fine, coarse in zip(kept.paths, kept.keys, kept.fine, kept.coarse, strict=True):
        rows.writerow((path, *keys, "".join(f"{int(word):016x}" for word in (coarse, *fine)) if coarse else ""))


def read_known(lines: Iterable[str]) -> Known:
    """What `write_known` wrote. ValueError where it is something else."""
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
    hashes = np.frombuffer(words, ">u8").reshape(-1, 5).astype(np.uint64)
    return Known(tuple(paths), tuple(keys), hashes[:, 1:], hashes[:, 0])


def _rows(rows: Iterator[list[str]]) -> Iterator[tuple[str, ...]]:
    try:
        yield from map(tuple, rows)
    except csv.Error as error:
        raise ValueError(str(error)) from error
