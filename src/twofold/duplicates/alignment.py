"""The affine map from one image to another, found on their details: robust against text, black corners and clipped light.

Registration of Lucas and Kanade with the reweighting of Geman and McClure for outliers, from several starts: the thumbnails', the
identity, and translations found by phase correlation (Kuglin and Hines 1975) at equal pixel size and for small rotations.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from twofold.duplicates.registration import pixel_grid, sample_bilinear

T = TypeVar("T", bound=np.generic)
Plane = NDArray[np.float32]  # (height, width)
Map = NDArray[
    np.float64
]  # (3, 3): from positions in one image to positions in another, both from -1 to 1 along each side

SIDES: Final = (64, 128)  # of the squares on which images are aligned
_FINE_BLUR, _COARSE_BLUR = 1.0, 6.0  # details are what lies between, in pixels
_STEPS: Final = (6, 6)  # for each side, at most
_SMALL: Final = 5e-4  # change of a map after which no further step is taken
_ENOUGH: Final = 0.98  # correlation from which on no start is tried beside the thumbnails' and the identity
_ROTATIONS: Final = (-3.0, 3.0)  # degrees
_MAJORITY: Final = 0.6  # weight per pixel below which a correlation is lowered: it is that of few pixels
_SAMPLE: Final = 7  # every seventh pixel gives the scale of the residuals


@dataclass(frozen=True, slots=True, eq=False)
class Details:
    """The details of an image at each of `SIDES`, squashed to squares, and its size as (height, width)."""

    planes: tuple[Plane, ...] = field(repr=False)
    shape: tuple[int, int]

    def turned(self, orientation: int) -> "Details":
        """The details of the image in another orientation, a number of the list of `hash_thumbnails`."""
        shape = self.shape[::-1] if orientation >= 4 else self.shape
        return Details(tuple(np.ascontiguousarray(turn(plane, orientation)) for plane in self.planes), shape)


def turn(plane: NDArray[T], orientation: int) -> NDArray[T]:
    """The plane in this orientation, a number of the list of `hash_thumbnails`."""
    plane = plane.T if orientation >= 4 else plane
    across, down = ((0, 0), (1, 0), (0, 1), (1, 1), (0, 0), (1, 1), (1, 0), (0, 1))[orientation]
    return plane[:: -1 if down else 1, :: -1 if across else 1]


def details_of(image: NDArray[np.uint8]) -> Details:
    """The details of a grey image (height, width)."""
    return Details(tuple(_details(squash(image, side)) for side in SIDES), image.shape[:2])


def squash(image: NDArray[np.uint8], side: int) -> Plane:
    """The image resized to a square."""
    return np.asarray(Image.fromarray(image).resize((side, side), Image.Resampling.BILINEAR), np.float32)


def _details(plane: Plane) -> Plane:
    from scipy.ndimage import gaussian_filter  # here, because predictions do not need it

    return np.asarray(gaussian_filter(plane, _FINE_BLUR) - gaussian_filter(plane, _COARSE_BLUR), np.float32)


def align(first: Details, second: Details, start: Map) -> tuple[Map, float]:
    """The map from the first image to the second from the best of several starts, and the correlation of details under it."""
    best: tuple[Map, float] = (start, -1.0)
    for number, candidate in enumerate(_starts(first, second, start)):
        refined = _refine(first.planes[0], second.planes[0], candidate, _STEPS[0])
        best = max(best, refined, key=lambda pair: pair[1])
        if number > 0 and best[1] >= _ENOUGH:
            break
    return _refine(first.planes[1], second.planes[1], best[0], _STEPS[1])


def _starts(first: Details, second: Details, start: Map) -> Iterator[Map]:
    yield start
    yield np.eye(3)
    height, width = first.shape[0] / second.shape[0], first.shape[1] / second.shape[1]
    if max(height, width, 1 / height, 1 / width) > 1.01:  # cropped: of equal pixel size
        yield _translate(first.planes[0], second.planes[0], np.diag([width, height, 1.0]))
    aspect = first.shape[0] / first.shape[1]
    for degrees in np.deg2rad(_ROTATIONS):
        rotation = np.eye(3)
        rotation[:2, :2] = (np.cos(degrees), -np.sin(degrees) * aspect), (np.sin(degrees) / aspect, np.cos(degrees))
        yield _translate(first.planes[0], second.planes[0], rotation)


def _translate(first: Plane, second: Plane, at: Map) -> Map:
    """The map with the translation that phase correlation finds."""
    side = len(first)
    values, inside = sample(second, at[:2] @ pixel_grid(side))
    window = np.outer(np.hanning(side), np.hanning(side))
    cross = np.fft.rfft2(first * window) * np.fft.rfft2((values * inside).reshape(side, side) * window).conj()
    peaks = np.fft.fftshift(np.fft.irfft2(cross / (np.abs(cross) ** 0.7 + 1e-6), (side, side)))
    low, high = side // 2 - side // 5, side // 2 + side // 5 + 1
    area = peaks[low:high, low:high]
    down, across = np.unravel_index(int(area.argmax()), area.shape)
    shift = np.eye(3)
    shift[:2, 2] = -2 * (across - side // 5) / side, -2 * (down - side // 5) / side
    return at @ shift


def _refine(first: Plane, second: Plane, at: Map, steps: int) -> tuple[Map, float]:
    """The map after some steps of Gauss and Newton, and the weighted correlation under it."""
    side, stride = len(first), max(len(first) // SIDES[0], 1)  # as many pixels on each side of `SIDES`
    kept = np.arange(side * side).reshape(side, side)[stride // 2 :: stride, stride // 2 :: stride].ravel()
    ground, flat = pixel_grid(side)[:, kept], first.ravel()[kept]
    slopes = np.gradient(first, 2 / side)
    along = np.concatenate([slope.ravel()[kept] * ground for slope in (slopes[1], slopes[0])])  # (6, pixels)
    for _ in range(steps):
        values, inside = sample(second, at[:2] @ ground)
        if inside.mean() < 0.3:
            return at, -1.0
        off, weights, _ = _residuals(values, flat, inside)
        normal = (along * weights) @ along.T
        normal[np.diag_indices(6)] *= 1.001
        normal[np.diag_indices(6)] += 1e-6
        change = np.eye(3)
        change[:2] += np.linalg.solve(normal, along @ (weights * off)).clip(-0.2, 0.2).reshape(2, 3)
        at = at @ np.linalg.inv(change)
        if np.abs(change - np.eye(3)).max() < _SMALL:
            break
    values, inside = sample(second, at[:2] @ ground)
    return at, _residuals(values, flat, inside)[2]


def _residuals(values: Plane, target: Plane, inside: NDArray[np.bool_]) -> tuple[Plane, Plane, float]:
    """What remains of `values` minus `target` after gain and offset, the weight of each pixel, and the weighted correlation."""
    weights = inside.astype(np.float32)
    for _ in range(2):
        total = max(float(weights.sum()), 1.0)
        centred, wanted = values - weights @ values / total, target - weights @ target / total
        product, energy = float((weights * centred) @ wanted), float((weights * centred) @ centred)
        off = np.clip(product / max(energy, 1e-6), 0.2, 5) * centred - wanted
        scale = 3 * np.median(np.abs(off[::_SAMPLE])) + 2e-3
        weights = (inside / (1 + (off / scale) ** 2) ** 2).astype(np.float32)
    correlation = product / max(np.sqrt(energy * float((weights * wanted) @ wanted)), 1e-6)
    fitting = min(float(weights.sum()) / max(float(inside.sum()), 1.0) / _MAJORITY, 1.0)
    return off, weights, float(min(correlation, 1.0)) * fitting


def sample(plane: Plane, positions: NDArray[np.floating]) -> tuple[Plane, NDArray[np.bool_]]:
    """Bilinear values (pixels,) of a square at positions (2, pixels) from -1 to 1, and a mask of those inside."""
    values, inside = sample_bilinear(plane[None], np.asarray(positions, np.float32)[None])
    return values[0], inside[0]
