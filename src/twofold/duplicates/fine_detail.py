"""Two images at full size: files of one exposure, exposures of one scene, or neither.

The noise and grain of a sensor agree in files of one exposure only, except for what an encoding destroyed, which is measured: the
other image is encoded in the same way.
"""

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from twofold.duplicates.alignment import Map, Plane, align, details_of
from twofold.duplicates.blocks import BLOCK, Incoherence, Table, compare_blocks, sample_blocks

_WINDOW_SIDE: Final = 1024  # larger images are compared in a window of this side
_SAME_SCALE: Final = 1.05  # ratio of the pixel sizes from which on the finer image is resized


@dataclass(frozen=True, slots=True, eq=False)
class GreyImage:
    """A grey image at full size, uint8 (height, width), and the luminance table of its JPEG file, None for other formats."""

    pixels: NDArray[np.uint8] = field(repr=False)
    table: Table | None = None

    @property
    def size(self) -> NDArray[np.float64]:
        """(width, height)."""
        return np.array(self.pixels.shape[::-1], np.float64)


def incoherence(first: GreyImage, second: GreyImage, at: Map, count: int) -> Incoherence | None:
    """The incoherence of two images, where `at` maps the first to the second; None where too little of them overlaps.

    They are compared in up to `count` blocks, at the pixel size of the coarser one.
    """
    still, moving, at = _coarser_first(first, second, at)
    still, moving, at = _windows(still, moving, at)
    scale = _scale(still, moving, at)
    planes = still.pixels.astype(np.float32), _shrink(moving.pixels.astype(np.float32), scale)
    if min(*planes[0].shape, *planes[1].shape) < BLOCK:
        return None
    pairs = sample_blocks(*planes, at, count)
    return None if pairs is None else compare_blocks(pairs, (still.table, moving.table))


def _scale(first: GreyImage, second: GreyImage, at: Map) -> float:
    """Pixels of the second image along a pixel of the first."""
    area = abs(np.linalg.det(at[:2, :2])) * second.pixels.size / first.pixels.size
    return float(np.sqrt(area))


def _coarser_first(first: GreyImage, second: GreyImage, at: Map) -> tuple[GreyImage, GreyImage, Map]:
    return (
        (first, second, at)
        if _scale(first, second, at) >= 1
        else (second, first, np.asarray(np.linalg.inv(at), np.float64))
    )


def _shrink(plane: Plane, scale: float) -> Plane:
    if scale < _SAME_SCALE:
        return plane
    height, width = (max(round(side / scale), 1) for side in plane.shape)
    return np.asarray(Image.fromarray(plane).resize((width, height), Image.Resampling.BICUBIC))


def _windows(still: GreyImage, moving: GreyImage, at: Map) -> tuple[GreyImage, GreyImage, Map]:
    """Where the first image is large, the windows of both that show its middle, and the map between them."""
    half = np.minimum(1.0, _WINDOW_SIDE / still.size)
    if (half == 1).all():
        return still, moving, at
    window, placed = _cut(still, np.stack([-half, half]))
    corners = np.array([[x, y, 1.0] for x in (-half[0], half[0]) for y in (-half[1], half[1])]) @ at[:2].T
    other, other_placed = _cut(moving, np.stack([corners.min(axis=0), corners.max(axis=0)]))
    if min(*window.pixels.shape, *other.pixels.shape) < BLOCK:
        return window, other, at
    start = np.linalg.inv(other_placed) @ at @ placed
    return window, other, align(details_of(window.pixels), details_of(other.pixels), start)[0]


def _cut(image: GreyImage, corners: NDArray[np.float64]) -> tuple[GreyImage, Map]:
    """The part of the image between two corners, (x, y) each from -1 to 1, and the map from it to the image."""
    low, high = (np.round((corners.clip(-1, 1) + 1) / 2 * image.size)).astype(int)
    placed = np.eye(3)
    placed[(0, 1), (0, 1)] = (high - low) / image.size
    placed[:2, 2] = (high + low) / image.size - 1
    return GreyImage(image.pixels[low[1] : high[1], low[0] : high[0]], image.table), placed
