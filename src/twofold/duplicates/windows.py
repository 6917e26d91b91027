"""Windows of thumbnails: where an image was cropped or rotated a little, a window of one image matches a window of the other.

An index holds the hash of the middle of each image; it is searched in windows of the other image.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from twofold.core.arrays import Rows
from twofold.data import SMALL
from twofold.duplicates.perceptual_hash import COARSE, FINE, FLAT, Hash, Hashes, coarse_bits, distances, fine_bits
from twofold.duplicates.registration import GreyImages

Bits = NDArray[np.int64]  # of 255
Window = NDArray[np.float32]  # (..., 5): left, right, top and bottom as fractions of a side, and rotation in degrees

_MIDDLE: Final = (0.1, 0.9)
# Where the middle of an image may lie along a side of another: cropped by up to a tenth at either end, and the reverse.
_SPANS: Final = (
    *(_MIDDLE, (0.0, 0.89), (0.11, 1.0), (0.0, 1.0), (0.05, 0.95), (0.05, 0.89), (0.11, 0.95)),
    *((0.15, 0.85), (0.1, 0.82), (0.18, 0.9)),
)
_STEPS: Final = (
    (0.03, 3.0),
    (0.015, 1.5),
    (0.015, 1.0),
)  # steps of the search, for an edge (fraction of a side) and for the rotation (degrees)
_TURN: Final = 4  # index of the rotation in a window
_AT_ONCE: Final = 256


def hash_middles(greys: GreyImages) -> Hashes:
    """The hashes of the middle of each image."""
    transform = _side_transform(*_MIDDLE)
    waves = np.asarray(transform @ greys @ transform.T, np.float32)
    low, high = (round(SMALL * end) for end in _MIDDLE)
    flat = greys[:, low:high, low:high].std(axis=(1, 2)) < FLAT
    return Hashes(coarse_bits(waves), fine_bits(waves), flat)


def windows() -> Window:
    """All windows that are searched, (windows, 5)."""
    return np.array([(*across, *down, 0.0) for down in _SPANS for across in _SPANS], np.float32)


def coarse_of_windows(greys: GreyImages) -> Hash:
    """The coarse hashes of all windows of each image, (images, windows)."""
    transform = np.concatenate([_side_transform(*span)[:COARSE] for span in _SPANS])
    hashes = np.empty((len(greys), len(_SPANS) ** 2), np.uint64)
    for at in range(0, len(greys), _AT_ONCE):
        waves_of_all = (transform @ greys[at : at + _AT_ONCE] @ transform.T).reshape(
            -1, len(_SPANS), COARSE, len(_SPANS), COARSE
        )
        waves = waves_of_all.transpose(0, 1, 3, 2, 4).reshape(-1, COARSE, COARSE)
        hashes[at : at + _AT_ONCE] = coarse_bits(waves).reshape(-1, len(_SPANS) ** 2)
    return hashes


def hash_windows(greys: GreyImages, rows: Rows, window: Window) -> Hash:
    """The fine hashes, (n, 4), of a window (n, 5) of each of these rows (n,) of the images."""
    slices = [slice(at, at + _AT_ONCE) for at in range(0, len(rows), _AT_ONCE)]
    return np.concatenate(
        [np.empty((0, 4), np.uint64), *(_hash_window(greys[rows[batch]], window[batch]) for batch in slices)]
    )


def match_windows(greys: GreyImages, rows: Rows, begin: Window, hashes: Hash) -> Bits:
    """Bits in which the hashes (n, 4) differ from the best window of each row, searched from the window `begin` (n, 5)."""
    best, bits_of_best = begin, distances(hash_windows(greys, rows, begin), hashes)
    for edge, degrees in _STEPS:
        for number in range(_TURN + 1):
            for step in (-1, 1):
                candidate = best.copy()
                candidate[:, number] += np.float32(step * (degrees if number == _TURN else edge))
                bits = distances(hash_windows(greys, rows, candidate), hashes)
                best = np.where((bits < bits_of_best)[:, None], candidate, best)
                bits_of_best = np.minimum(bits_of_best, bits)
    return bits_of_best


def _side_transform(low: float, high: float) -> NDArray[np.float32]:
    """The matrix from the pixels along a side to the lowest frequencies of its part from `low` to `high`, (FINE, SMALL)."""
    from scipy.fft import dct  # here, because predictions do not need it

    positions = (low + (high - low) * (np.arange(SMALL) + 0.5) / SMALL) * SMALL - 0.5
    left = np.clip(np.floor(positions), 0, SMALL - 2).astype(int)
    weight = np.clip(positions, 0, SMALL - 1) - left
    interpolation = np.zeros((SMALL, SMALL))
    interpolation[np.arange(SMALL), left] = 1 - weight
    interpolation[np.arange(SMALL), left + 1] = weight
    return np.asarray(dct(interpolation, axis=0, norm="ortho")[:FINE], np.float32)


def _hash_window(greys: GreyImages, window: Window) -> Hash:
    """The fine hash of a window of each image, sampled."""
    from scipy.fft import dctn

    left, right, top, bottom, degrees = window.T[:, :, None, None]
    at = ((np.arange(SMALL) + 0.5) / SMALL).astype(np.float32)
    x, y = left + (right - left) * at - 0.5, top + (bottom - top) * at[:, None] - 0.5
    cosine, sine = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    x, y = (
        ((0.5 + coordinate) * SMALL - 0.5).clip(0, SMALL - 1)
        for coordinate in (cosine * x - sine * y, sine * x + cosine * y)
    )
    i, j, n = (
        np.minimum(x.astype(int), SMALL - 2),
        np.minimum(y.astype(int), SMALL - 2),
        np.arange(len(greys))[:, None, None],
    )
    u, v = x - i, y - j
    above = greys[n, j, i] * (1 - u) + greys[n, j, i + 1] * u
    below = greys[n, j + 1, i] * (1 - u) + greys[n, j + 1, i + 1] * u
    waves = dctn(above * (1 - v) + below * v, axes=(1, 2), norm="ortho")[:, :FINE, :FINE]
    return fine_bits(waves.astype(np.float32))
