"""Blocks of two aligned images, and how far their details agree at each spatial frequency."""

import io
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from twofold.duplicates.alignment import Map, Plane

Blocks = NDArray[np.float32]  # (blocks, BLOCK, BLOCK)
Table = tuple[int, ...]  # the 64 steps by which a JPEG file quantises luminance, as Pillow orders them
Energies = NDArray[np.floating]  # (blocks, BLOCK, BLOCK // 2 + 1)

BLOCK: Final = 32  # side of a block, in pixels
_FEW: Final = 24  # blocks below which they overlap by half
_EDGE: Final = 2  # pixels around a block that must be inside
_SATURATED: Final = 0.1  # fraction of black and white pixels from which on a block is left out
_ENOUGH: Final = 4  # blocks
_CORRECTIONS: Final = 2  # of the position of each block, before the affine map and after it
_MAX_SHIFT: Final = 2.0  # pixels

_TAPER: Final = np.outer(*[np.hanning(BLOCK + 2)[1:-1]] * 2).astype(np.float32)
_FREQUENCY: Final = np.hypot(np.fft.fftfreq(BLOCK)[:, None], np.fft.rfftfreq(BLOCK)[None])  # cycles per pixel
_EDGES: Final = (0.08, 0.15, 0.22, 0.3, 0.4)
_BANDS: Final = [(_FREQUENCY >= low) & (_FREQUENCY < high) for low, high in pairwise(_EDGES)]
_LOW: Final = (_FREQUENCY > 0.02) & (_FREQUENCY < 0.15)
_MIDDLE: Final = (_FREQUENCY > 0.08) & (_FREQUENCY < 0.3)
_ROUNDING: Final = float((_TAPER**2).sum() / 12)  # energy at one frequency of rounding to integers


@dataclass(frozen=True, slots=True, eq=False)
class BlockPairs:
    """Blocks of two aligned images."""

    first: Blocks = field(repr=False)
    second: Blocks = field(repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class Incoherence:
    """One minus the coherence of two images in four bands of spatial frequency, from 0.08 to 0.4 cycles per pixel, (4,).

    `expected` is that of two files of one exposure, by what encoding and rounding destroyed. `balance` is the energy of the
    weaker image relative to the stronger one from 0.22 to 0.3 cycles per pixel: small where one lost its details otherwise.
    `overall` is the correlation of details of 7 to 12 pixels, `everywhere` the one that three quarters of all blocks reach.
    """

    observed: NDArray[np.float64]
    expected: NDArray[np.float64]
    balance: float
    overall: float
    everywhere: float


def sample_blocks(first: Plane, second: Plane, at: Map, count: int) -> BlockPairs | None:
    """Up to `count` blocks of two images of about one pixel size, where `at` maps the first to the second; None for one or none.

    Each block is moved by up to two pixels to where it fits best. Blocks with many black or white pixels are left out unless
    hardly any others remain.
    """
    from scipy.ndimage import map_coordinates, spline_filter  # here, because predictions do not need it

    rows, columns = _block_pixels(first.shape[0], first.shape[1], count)
    positions = _mapped(rows, columns, at, first.shape, second.shape)
    low, high = positions.min(axis=(2, 3)), positions.max(axis=(2, 3))
    limits = np.array(second.shape)[:, None] - 1
    inside = ((low >= _EDGE / 2) & (high <= limits - _EDGE / 2)).all(axis=0)
    if inside.sum() < 2:
        return None
    blocks, positions = first[rows[inside], columns[inside]], positions[:, inside]
    positions = _correct(blocks, second, positions)
    coefficients = spline_filter(second, order=3, output=np.float32)
    others = map_coordinates(coefficients, positions, order=3, prefilter=False, mode="nearest", output=np.float32)
    saturated = ((blocks <= 1) | (blocks >= 254) | (others <= 1) | (others >= 254)).mean(axis=(1, 2)) > _SATURATED
    usable = ~saturated if (~saturated).sum() >= _ENOUGH else slice(None)
    return BlockPairs(blocks[usable], others[usable])


def _block_pixels(height: int, width: int, count: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows and columns of the pixels of blocks that are spread over an image, each (blocks, BLOCK, BLOCK)."""
    step = BLOCK if (height // BLOCK) * (width // BLOCK) >= _FEW else BLOCK // 2
    starts = []
    for side in (height, width):
        edge = min(_EDGE, (side - BLOCK) // 2)
        starts.append(np.linspace(edge, side - BLOCK - edge, max((side - 2 * edge - BLOCK) // step + 1, 1)).astype(int))
    corners = np.stack(np.meshgrid(*starts, indexing="ij"), -1).reshape(-1, 2)
    corners = np.random.default_rng(0).permutation(corners)[:count]
    down, across = np.mgrid[:BLOCK, :BLOCK]
    return corners[:, 0, None, None] + down, corners[:, 1, None, None] + across


def _mapped(
    rows: NDArray[np.intp], columns: NDArray[np.intp], at: Map, shape: tuple[int, ...], other: tuple[int, ...]
) -> NDArray[np.float64]:
    """The positions of these pixels in the other image, down above across, (2, blocks, BLOCK, BLOCK)."""
    x, y = (columns * 2 + 1) / shape[1] - 1, (rows * 2 + 1) / shape[0] - 1
    across, down = (at[row, 0] * x + at[row, 1] * y + at[row, 2] for row in (0, 1))
    return np.stack([(down + 1) * other[0] / 2 - 0.5, (across + 1) * other[1] / 2 - 0.5])


def _correct(blocks: Blocks, second: Plane, positions: NDArray[np.float64]) -> NDArray[np.float64]:
    """The positions moved so that each block fits best, by the method of Lucas and Kanade.

    First an affine map is fitted to the shifts of all blocks: where images have hardly any details but lines, each block shows
    how far it is off across a line, and not along it.
    """
    from scipy.ndimage import gaussian_filter, map_coordinates

    smooth, other = gaussian_filter(blocks, (0, 1, 1)), gaussian_filter(second, 1)
    target, slopes = _centre(smooth), np.stack(np.gradient(smooth, axis=(1, 2)))
    normal = np.einsum("abij,cbij,ij->bac", slopes, slopes, _TAPER)
    damped = normal + np.eye(2) * (0.05 * BLOCK**2)

    def shifts_from(start: NDArray[np.float64]) -> NDArray[np.float64]:
        shifts = np.zeros((len(blocks), 2))
        for _ in range(_CORRECTIONS):
            moved = start + shifts.T[:, :, None, None]
            values = _centre(map_coordinates(other, moved, order=1, mode="nearest", output=np.float32))
            gain = (target * values * _TAPER).sum(axis=(1, 2)) / np.maximum((values**2 * _TAPER).sum(axis=(1, 2)), 1e-3)
            off = gain.clip(0.2, 5)[:, None, None] * values - target
            pull = np.einsum("abij,bij,ij->ba", slopes, off, _TAPER)
            shifts = (shifts - np.linalg.solve(damped, pull[:, :, None])[:, :, 0]).clip(-_MAX_SHIFT, _MAX_SHIFT)
        return shifts

    positions = positions + _affine_field(positions, shifts_from(positions), normal)
    return positions + shifts_from(positions).T[:, :, None, None]


def _affine_field(
    positions: NDArray[np.float64], shifts: NDArray[np.float64], normal: NDArray[np.floating]
) -> NDArray[np.float64]:
    """The affine field at these positions, (2, blocks, BLOCK, BLOCK), that fits the shifts of the blocks best."""
    scale = np.abs(positions).max()
    at = np.concatenate([np.ones_like(positions[:1]), positions / scale])  # (3, blocks, BLOCK, BLOCK)
    centres = at.mean(axis=(2, 3)).T
    left = np.einsum("bi,bj,bac->aicj", centres, centres, normal).reshape(6, 6)
    right = np.einsum("bi,bac,bc->ai", centres, normal, shifts).ravel()
    left[np.diag_indices(6)] += 0.001 * np.trace(left) / 6
    return np.asarray(np.einsum("ai,ibjk->abjk", np.linalg.solve(left, right).reshape(2, 3), at), np.float64)


def _centre(blocks: Blocks) -> Blocks:
    return np.asarray(blocks - (blocks * _TAPER).sum(axis=(1, 2), keepdims=True) / _TAPER.sum(), np.float32)


def compare_blocks(pairs: BlockPairs, tables: tuple[Table | None, Table | None]) -> Incoherence:
    """The incoherence of blocks from JPEG files with these luminance tables, None for files of another format.

    The half of the blocks that agrees least is left out: text may cover them, or something may have moved.
    """
    gain, offset = _light(pairs)
    first, second = pairs.first * gain + offset, pairs.second  # both in the light of the second image
    first_loss = gain * _encoding_loss((second - offset) / gain, tables[0])
    second_loss = _encoding_loss(first, tables[1])
    a, b, a_loss, b_loss = map(_spectra, (first, second, first_loss, second_loss))
    gains = ((a * b.conj()).real * _LOW).sum(axis=(1, 2)) / np.maximum((np.abs(a) ** 2 * _LOW).sum(axis=(1, 2)), 1)
    a *= gains.clip(0.2, 5)[:, None, None]
    energies = np.abs(a) ** 2, np.abs(b) ** 2
    rounding = _ROUNDING * (1 + gain**2)
    weights = _weights(np.abs(a - b) ** 2, energies)
    observed = _incoherence(a, b, weights)
    first_energy, second_energy = (np.einsum("b,bij->ij", weights, energy) for energy in energies)
    weaker = np.minimum(first_energy, second_energy)
    noise = rounding * weights.sum() / np.maximum(weaker, 1e-9)
    expected = _incoherence(b, b + a_loss, weights) + _incoherence(a, a + b_loss, weights) + noise
    medians = [np.array([np.median(part[band]) for band in _BANDS]) for part in (observed, expected)]
    stronger = np.maximum(first_energy, second_energy)
    balance = np.median((weaker / np.maximum(stronger, 1e-9))[_BANDS[2]])
    return Incoherence(medians[0], medians[1].clip(0, 1), float(balance), *_correlations(a, b))


def _light(pairs: BlockPairs) -> tuple[float, float]:
    """Gain and offset that bring the first blocks into the light of the second."""
    x, y = pairs.first[:, ::2, ::2].ravel(), pairs.second[:, ::2, ::2].ravel()
    clear = (x > 2) & (x < 253) & (y > 2) & (y < 253)
    x, y = (x[clear], y[clear]) if clear.sum() > 64 else (x, y)
    gain = float(np.clip(((x - x.mean()) @ (y - y.mean())) / max(float(((x - x.mean()) ** 2).sum()), 1e-6), 0.2, 5))
    return gain, float(y.mean() - gain * x.mean())


def _encoding_loss(blocks: Blocks, table: Table | None) -> Blocks:
    """What a JPEG file with this table changes in the blocks."""
    if table is None:
        return np.zeros_like(blocks)
    strip = blocks.reshape(-1, BLOCK)
    encoded, file = strip.clip(0, 255).round().astype(np.uint8), io.BytesIO()
    Image.fromarray(encoded).save(file, "JPEG", qtables=[list(table)])
    with Image.open(file) as image:
        return np.asarray(np.asarray(image, np.float32) - strip, np.float32).reshape(blocks.shape)


def _spectra(blocks: Blocks) -> NDArray[np.complexfloating]:
    return np.fft.rfft2(_centre(blocks) * _TAPER)


def _weights(residual: Energies, energies: tuple[Energies, Energies]) -> NDArray[np.float64]:
    """The weight of each block, (blocks,): equal for all contrasts, 0 for the half that agrees least."""
    left, first, second = (part[:, _MIDDLE].sum(axis=1) for part in (residual, *energies))
    energy = first + second + _ROUNDING
    kept = np.argsort(left / energy, kind="stable")[: max(len(left) // 2, min(len(left), _ENOUGH))]
    weights = np.zeros(len(left))
    weights[kept] = 1 / energy[kept]
    return weights


def _correlations(a: NDArray[np.complexfloating], b: NDArray[np.complexfloating]) -> tuple[float, float]:
    """The correlation of the coarsest details in all blocks, and the lower quartile of the blocks' own.

    All frequencies count alike, so the lines of a grid, which lie at few frequencies, count little.
    """
    a, b = (part[:, _BANDS[0]] / np.sqrt((np.abs(part[:, _BANDS[0]]) ** 2).mean(axis=0) + 1e-9) for part in (a, b))
    cross, first, second = ((x * y.conj()).real.sum(axis=1) for x, y in ((a, b), (a, a), (b, b)))
    overall = cross.sum() / (np.sqrt(first.sum() * second.sum()) + 1e-9)
    return float(overall), float(np.quantile(cross / (np.sqrt(first * second) + 1e-9), 0.25))


def _incoherence(
    a: NDArray[np.complexfloating], b: NDArray[np.complexfloating], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """One minus the squared coherence at each frequency, above 1 where the signs are opposite."""
    cross, first, second = (np.einsum("b,bij->ij", weights, (x * y.conj()).real) for x, y in ((a, b), (a, a), (b, b)))
    return np.asarray(1 - np.sign(cross) * cross**2 / (first * second + 1e-9))
