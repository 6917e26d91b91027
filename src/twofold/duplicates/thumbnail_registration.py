"""Registration of the thumbnails of many pairs, each in the orientation in which their hashes are nearest."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import numpy as np
from numpy.typing import NDArray

from twofold.core.parallel import prefetch
from twofold.duplicates.alignment import turn
from twofold.duplicates.grey_planes import GreyPlanes
from twofold.duplicates.hamming_search import Pairs
from twofold.duplicates.perceptual_hash import Hashes, distances
from twofold.duplicates.registration import register

# Bits by which hashes must be closer when mirrored or rotated: for cropped images the orientation is uncertain.
_UPRIGHT: Final = 24
_AT_ONCE: Final = 512  # pairs, of about 100 kB each
_HASHES_AT_ONCE: Final = 1 << 17  # pairs whose hashes are compared


def register_pairs(
    planes: GreyPlanes, hashes: list[Hashes], pairs: Pairs, threads: int = 1
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.intp]]:
    """The agreement of each pair, the map from its first image to its second, and the orientation of the first image.

    That is the orientation whose hash is nearest to the second's.
    """
    agreements, maps = [np.empty(0, np.float32)], [np.empty((0, 3, 3), np.float32)]
    orientations = _orientations(hashes, pairs)

    def batches() -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32]]]:  # read in this thread
        for at in range(0, len(pairs), _AT_ONCE):
            (first, second), turns = pairs[at : at + _AT_ONCE].T, orientations[at : at + _AT_ONCE]
            turned = [turn(plane, int(number)) for plane, number in zip(planes[first], turns, strict=True)]
            yield np.stack(turned), planes[second]

    with ThreadPoolExecutor(threads, thread_name_prefix="duplicates") as pool:
        for agreement, map_to_second in prefetch(pool, lambda both: register(*both), batches(), threads):
            agreements.append(agreement)
            maps.append(map_to_second)
    return np.concatenate(agreements), np.concatenate(maps), orientations


def _orientations(hashes: list[Hashes], pairs: Pairs) -> NDArray[np.intp]:
    """The orientation of the first image of each pair, (pairs,)."""
    orientations = np.empty(len(pairs), np.intp)
    for at in range(0, len(pairs), _HASHES_AT_ONCE):
        first, second = pairs[at : at + _HASHES_AT_ONCE].T
        bits = np.stack([distances(oriented.fine[first], hashes[0].fine[second]) for oriented in hashes])
        bits[0] -= _UPRIGHT
        orientations[at : at + _HASHES_AT_ONCE] = bits.argmin(axis=0)
    return orientations
