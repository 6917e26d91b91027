"""The region of an image in which the evidence for a class lies."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

AREA: Final = 0.1
"""The fraction of the image that a region has."""

_ROWS: Final = ("upper", "", "lower")
_COLUMNS: Final = ("left", "", "right")
_SCATTERED: Final = 0.22  # standard deviation of positions, in sides of the image; 0.29 where they are uniform


@dataclass(frozen=True, slots=True)
class Region:
    """The cells with the strongest evidence for the class `label`: `fraction` of that evidence lies in `area` of the image.

    `place` is "upper left", "top", "centre" and the like, or "scattered". `fraction` is 0 where nothing speaks for the class.
    """

    label: str
    fraction: float
    area: float
    place: str


def find_region(evidence: NDArray[np.float32], label: str) -> Region:
    """The region of a map (h, w) whose positive cells speak for `label`."""
    support = np.maximum(evidence, 0)
    count = max(round(AREA * support.size), 1)
    strongest = np.argpartition(support, -count, axis=None)[-count:]  # a tenth of the time of sorting
    weights, total = support.ravel()[strongest].astype(np.float64), float(support.sum(dtype=np.float64))
    if total == 0:
        return Region(label, 0.0, count / support.size, "scattered")
    positions = (np.stack(np.unravel_index(strongest, support.shape)) + 0.5) / np.array(support.shape)[:, None]
    centre = positions @ weights / weights.sum()
    stds = np.sqrt((positions - centre[:, None]) ** 2 @ weights / weights.sum())
    place = "scattered" if stds.max() > _SCATTERED else _name(*centre.tolist())
    return Region(label, float(weights.sum() / total), count / support.size, place)


def _name(row: float, column: float) -> str:
    """The third of the image's height and of its width, in words.

    >>> [_name(0.1, 0.1), _name(0.1, 0.5), _name(0.5, 0.9), _name(0.5, 0.5)]
    ['upper left', 'top', 'right', 'centre']
    """
    down, across = _ROWS[min(int(row * 3), 2)], _COLUMNS[min(int(column * 3), 2)]
    if down and across:
        return f"{down} {across}"
    return {"upper": "top", "lower": "bottom"}.get(down) or across or "centre"
