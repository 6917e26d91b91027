"""How often unrelated images of these data agree: each of a sample with one of its nearest that is no duplicate of it."""

from math import erfc, sqrt
from typing import Final

import numpy as np
from numpy.typing import NDArray

from twofold.duplicates.grey_planes import GreyPlanes
from twofold.duplicates.hamming_search import Pairs
from twofold.duplicates.perceptual_hash import Hashes, distances
from twofold.duplicates.registration import agreement

_SAMPLE: Final = 200
_RANKS: Final = (3, 11)  # the nearest are likely to be duplicates


def strangers_agree(planes: GreyPlanes, hashes: Hashes, linked: Pairs, threshold: float) -> bool:
    """Whether more than one image is expected to reach this agreement with an unrelated one.

    A normal distribution is fitted to the agreements of strangers (their z by Fisher), as in a score normalisation; the expected
    number of false pairs decides, as in Desolneux, Moisan and Morel (2000).
    """
    random = np.random.default_rng(0)
    pairs = _strangers(hashes, random.permutation(len(planes))[:_SAMPLE], set(map(tuple, linked.tolist())), random)
    if len(pairs) < 10:
        return False
    z = np.arctanh(agreement(planes[pairs[:, 0]], planes[pairs[:, 1]]).clip(-0.99, 0.999))
    above = (np.arctanh(threshold) - z.mean()) / max(float(z.std()), 0.05)
    return len(planes) * erfc(above / sqrt(2)) / 2 > 1


def _strangers(
    hashes: Hashes, rows: NDArray[np.int64], linked: set[tuple[int, int]], random: np.random.Generator
) -> Pairs:
    """One of the third to tenth neighbours of each row, (pairs, 2)."""
    pairs, last = [], min(_RANKS[1], len(hashes)) - 1
    for row in rows.tolist():
        bits = distances(hashes.fine[row][None], hashes.fine)
        near = np.flatnonzero(
            bits <= np.partition(bits, last)[last]
        )  # to sort all of a million takes a tenth of a second
        nearest = near[np.argsort(bits[near], kind="stable")][_RANKS[0] : _RANKS[1]]
        strangers = [
            other for other in nearest.tolist() if (min(row, other), max(row, other)) not in linked and other != row
        ]
        if strangers:
            pairs.append((row, strangers[random.integers(len(strangers))]))
    return np.array(pairs, np.int64).reshape(-1, 2)
