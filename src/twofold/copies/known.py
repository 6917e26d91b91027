"""What is kept of pictures, so that copies of them are known again: hashes, nothing that shows them."""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, TextIO

import numpy as np

from twofold.copies.copies import Copy, Sights, exact_common
from twofold.copies.hashes import Hash, distances, hash_thumbnails
from twofold.copies.search import pairs_within

COLUMNS: Final = ("path", "sha256", "pixels", "perceptual")
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
    rows = list(csv.reader(lines))
    if not rows or tuple(rows[0]) != COLUMNS:
        raise ValueError(f"the columns are not {','.join(COLUMNS)}")
    words = np.zeros((len(rows) - 1, 5), np.uint64)
    for number, (*_, text) in enumerate(rows[1:]):
        words[number] = [int(text[at : at + 16] or "0", 16) for at in range(0, 80, 16)]
    keys = tuple((sha256, pixels) for _, sha256, pixels, _ in rows[1:])
    return Known(tuple(row[0] for row in rows[1:]), keys, words[:, 1:], words[:, 0])
