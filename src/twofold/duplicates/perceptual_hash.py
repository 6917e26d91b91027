"""Perceptual hashes: similar for images that look similar, whatever their size, encoding, light and orientation.

Signs of a cosine transform against their median, as in the well-known pHash, on the whole image resized to a small square.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from twofold.core.parallel import prefetch
from twofold.data import SMALL

COARSE, FINE = 8, 16  # sides of the blocks of low frequencies
FLAT = 4.0  # standard deviation of the grey values, of 255, below which an image has too little structure for a hash
_GREY = np.array([0.299, 0.587, 0.114], np.float32)  # of R G B: the luma of ITU-R BT.601
_AT_ONCE = 4096
_ORIENTATIONS: Final = 8

Hash = NDArray[np.uint64]


class ThumbnailArray(Protocol):
    """Thumbnails, uint8 (n, SMALL, SMALL, 3): an array, or what reads the rows that are asked for from a file."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: Any, /) -> Any: ...


@dataclass(frozen=True, slots=True, eq=False)
class ThumbnailRows:
    """Some rows (m,) of thumbnails, which are copied only when they are asked for: all of them may not fit in memory."""

    thumbnails: NDArray[np.uint8] = field(repr=False)
    rows: NDArray[np.int64] = field(repr=False)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, rows: Any, /) -> NDArray[np.uint8]:
        return np.asarray(self.thumbnails[self.rows[rows]])


@dataclass(frozen=True, slots=True, eq=False)
class Hashes:
    """`coarse` (n,) has 63 bits, `fine` (n, 4) 255; `flat` (n,) marks images of nearly one colour, whose hashes are noise."""

    coarse: Hash = field(repr=False)
    fine: Hash = field(repr=False)
    flat: NDArray[np.bool_] = field(repr=False)

    def __len__(self) -> int:
        return len(self.coarse)


def greys(thumbnails: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The luma, float32 (n, side, side), of thumbnails (n, side, side, 3)."""
    return thumbnails.astype(np.float32) @ _GREY


def hash_thumbnails(thumbnails: ThumbnailArray, threads: int = 1) -> list[Hashes]:
    """The hashes of thumbnails (n, SMALL, SMALL, 3) in eight orientations: as they are, mirrored, and rotated by quarters.

    The last two are rotated by a quarter in opposite directions: each finds the pairs of the other.
    """
    count = len(thumbnails)
    coarse, flat = np.empty((_ORIENTATIONS, count), np.uint64), np.empty(count, np.bool_)
    fine = np.empty((_ORIENTATIONS, count, FINE * FINE // 64), np.uint64)
    parts = [slice(start, start + _AT_ONCE) for start in range(0, count, _AT_ONCE)]
    with ThreadPoolExecutor(threads, thread_name_prefix="hash") as pool:
        hashed = prefetch(pool, _hash, (thumbnails[part] for part in parts), threads)
        for part, bits in zip(parts, hashed, strict=True):
            coarse[:, part], fine[:, part], flat[part] = bits
    return [Hashes(*both, flat) for both in zip(coarse, fine, strict=True)]


def _hash(thumbnails: NDArray[np.uint8]) -> tuple[Hash, Hash, NDArray[np.bool_]]:
    """Coarse hashes (_ORIENTATIONS, m), fine ones (_ORIENTATIONS, m, 4), and which images are of nearly one colour, (m,)."""
    waves, flat = _waves(thumbnails)
    coarse, fine = zip(*((coarse_bits(oriented), fine_bits(oriented)) for oriented in _oriented(waves)), strict=True)
    return np.stack(coarse), np.stack(fine), flat


def _oriented(waves: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
    """The waves of the images in each orientation: mirroring changes the sign of the odd waves, turning swaps across and down."""
    odd = np.where(np.arange(FINE) % 2, np.float32(-1), np.float32(1))
    across, down = odd[None, None, :], odd[None, :, None]
    turned = np.swapaxes(waves, 1, 2)
    yield from (waves, waves * across, waves * down, waves * across * down)
    yield from (turned, turned * across * down, turned * across, turned * down)


def _waves(thumbnails: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    from scipy.fft import dctn  # here, because predictions do not need it

    grey = greys(thumbnails)
    waves = dctn(grey, axes=(1, 2), norm="ortho")[:, :FINE, :FINE].astype(np.float32)
    return waves, grey.std(axis=(1, 2)) < FLAT


def coarse_bits(waves: NDArray[np.float32]) -> Hash:
    """The coarse hashes, (n,), of waves (n, FINE, FINE)."""
    return _pack_bits(waves, COARSE)[:, 0]


def fine_bits(waves: NDArray[np.float32]) -> Hash:
    """The fine hashes, (n, 4), of waves (n, FINE, FINE)."""
    return _pack_bits(waves, FINE)


def _pack_bits(waves: NDArray[np.float32], side: int) -> Hash:
    """Bits of the block of low frequencies but the mean, (n, words); the last bit is 0."""
    block = waves[:, :side, :side].reshape(len(waves), side * side)[:, 1:]
    bits = np.zeros((len(waves), side * side), np.uint8)
    bits[:, :-1] = block > np.median(block, axis=1, keepdims=True)
    return (
        np.packbits(bits, axis=1, bitorder="little").reshape(-1).view(np.uint64).reshape(len(bits), side * side // 64)
    )


def distances(a: Hash, b: Hash) -> NDArray[np.int64]:
    """Bits in which the fine hashes a (n, 4) and b (n, 4) differ, (n,)."""
    return np.asarray(np.bitwise_count(a ^ b).sum(axis=1, dtype=np.int64))


assert SMALL >= FINE
