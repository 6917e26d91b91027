"""Images with equal bytes or equal pixels, from arrays of digests: a million take a hundred megabytes."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from twofold.duplicates.hamming_search import Pairs

Digests = NDArray[np.bytes_]
"""(n,), all of one length."""


@dataclass(frozen=True, slots=True, eq=False)
class EqualImages:
    """Each row that equals an earlier one with the first of the same bytes, or else of the same pixels: `pairs` (m, 2), the
    earlier row first. `of_bytes` (m,) says which of the two. `distinct` are the rows that are the second of no pair."""

    pairs: Pairs = field(repr=False)
    of_bytes: NDArray[np.bool_] = field(repr=False)
    distinct: NDArray[np.int64] = field(repr=False)


def find_equal_images(of_bytes: Digests, of_pixels: Digests) -> EqualImages:
    """The equal images among those with these digests."""
    rows, first = np.arange(len(of_bytes)), _first_rows(of_bytes)
    by_bytes = first != rows
    first = np.where(by_bytes, first, _first_rows(of_pixels))
    second = np.flatnonzero(first != rows)
    return EqualImages(np.column_stack([first[second], second]), by_bytes[second], np.flatnonzero(first == rows))


def _first_rows(digests: Digests) -> NDArray[np.int64]:
    """For each row the first one with the same digest, (n,)."""
    _, first, inverse = np.unique(digests, return_index=True, return_inverse=True)
    return first[inverse]
