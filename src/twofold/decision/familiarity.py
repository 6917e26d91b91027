"""Familiarity: whether an image is like the training images at all, by what the network's features leave unexplained.

Images of the trained kind vary mostly along a few directions of the features: their first principal axes. What is left of the
features of another kind of image, outside of these axes, is larger. No image of another kind is needed to measure that. The
familiarity of an image is a conformal p-value (Vovk, Gammerman and Shafer 2005): the fraction of training images whose rest is at
least as large, each measured with axes that were computed without it.
"""

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from twofold.core.arrays import Reals
from twofold.decision.bounds import allowed_failures, upper_bound
from twofold.decision.feature_stripes import Matrix
from twofold.decision.principal_axes import without_each_fold

Parts = tuple[tuple[int, int], ...]

MAX_AXES: Final = 64
MAX_KNOTS: Final = 256
MAX_WIDTH: Final = 8192
"""Features that familiarity can be measured on. The products of more take too much memory."""

FALSE_ALARMS: Final = 0.01
"""Fraction of the images of the trained kind that the gate may call unfamiliar."""

CONFIDENCE: Final = 0.95

TINY: Final = 1e-12
"""Added to the length of a vector, so that one of zeros can be divided by it."""

NEAR: Final = 0.01
"""Added to the squared distance from the mean: within a tenth of the vectors' length the direction says little."""

_MAX_NUMBERS: Final = 190_000  # in the axes: 380 kB in float16
_MIN_STEP: Final = 1e-4  # between knots, which are at most 2
_ROUNDING: Final = 1e-9
_LONG: Final = 2048
_BLOCK: Final = 1024  # images at a time, for memory


@dataclass(frozen=True, slots=True, eq=False)
class Familiarity:
    """A p-value for each image: low where the training images are not like it.

    `parts` are ranges (start, end) of the features. Each is scaled to length 1; together they are a vector of w numbers. `mean`
    (w,) is that of the training images, `axes` (k, w) are their principal axes. What these leave of the vector, its rest, is
    mapped to a p-value by linear interpolation between `knots` (m,), ascending, with the p-values `levels` (m,), descending.
    """

    parts: Parts
    mean: Matrix = field(repr=False)
    axes: NDArray[np.float16] = field(repr=False)
    knots: Matrix = field(repr=False)
    levels: Matrix = field(repr=False)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Familiarity):
            return NotImplemented
        names = ("mean", "axes", "knots", "levels")
        same = all(np.array_equal(getattr(self, name), getattr(other, name)) for name in names)
        return same and self.parts == other.parts

    __hash__ = None  # type: ignore[assignment]

    def of(self, features: NDArray[np.float32]) -> Reals:
        """The familiarity of images with features (n, d), in (0, 1], float64 (n,). A row does not depend on the others."""
        starts = range(0, len(features), _BLOCK)
        return np.concatenate([np.empty(0), *(self._of_block(features[start : start + _BLOCK]) for start in starts)])

    def check(self, count: int) -> None:
        """Raises ValueError where it cannot be that of a model with `count` features."""
        width = sum(end - start for start, end in self.parts)
        shapes = self.mean.shape == (width,) and self.axes.ndim == 2 and self.axes.shape[1] == width
        if not shapes or self.parts[-1][1] > count or self.knots.shape != self.levels.shape or self.knots.ndim != 1:
            raise ValueError("the shapes of its familiarity do not fit each other")
        if not 1 < self.knots.size <= MAX_KNOTS or not 0 < len(self.axes) <= width:
            raise ValueError("its familiarity has too many or too few numbers")
        bounded = all(np.all(np.abs(array) <= 2) for array in (self.mean, self.axes, self.knots))  # also not NaN
        rising, falling = np.all(np.diff(self.knots) > 0), np.all(np.diff(self.levels) <= 0)
        if not (bounded and rising and falling and 0 < self.levels[-1] and self.levels[0] <= 1):
            raise ValueError("a number of its familiarity is out of range")

    def _of_block(self, features: NDArray[np.float32]) -> Reals:
        offsets = unit_vectors(features, self.parts) - self.mean
        axes = self.axes.astype(np.float64)
        # Not `@`: its result for a row depends, in the last digits, on the other rows.
        inside = np.einsum("nk,kw->nw", np.einsum("nw,kw->nk", offsets, axes), axes)
        return np.asarray(np.interp(_rests(offsets, offsets - inside), self.knots, self.levels))


@dataclass(frozen=True, slots=True)
class Gate:
    """Images with a familiarity below `level` are unfamiliar.

    At this confidence the gate calls at most a fraction `false_alarms` of the images of the trained kind unfamiliar; `groups` is
    the number of groups of images that this rests on.
    """

    level: float
    false_alarms: float
    confidence: float
    groups: int

    def as_json(self) -> dict[str, Any]:
        """The block "gate" of a rule."""
        return {
            "level": self.level,
            "false_alarms": self.false_alarms,
            "confidence": self.confidence,
            "groups": self.groups,
        }


@dataclass(frozen=True, slots=True, eq=False)
class FamiliarityFit:
    """The familiarity from all images, its gate, and the out-of-fold `values` (n,), NaN for images in no fold."""

    familiarity: Familiarity
    gate: Gate
    values: Reals = field(repr=False)


def fit_familiarity(
    features: NDArray[np.float32],
    folds: NDArray[np.int64],
    groups: NDArray[np.int64],
    parts: Parts,
    *,
    max_axes: int = MAX_AXES,
) -> FamiliarityFit:
    """The familiarity of images with features (n, d) in folds (n,) and groups (n,); `parts` are ranges of the features.

    An image with a negative fold is in no fold: it has a part in all axes, and its own rest is not measured. No group may be in
    two folds; each counts once.
    """
    from threadpoolctl import threadpool_limits

    unit = unit_vectors(features, parts).astype(np.float32)
    with threadpool_limits(1):  # several threads wait for each other in the small products
        coordinates, basis = _reduce(unit)
        rests, mean, axes = _out_of_fold(coordinates, folds, min(max_axes, _count_axes(unit.shape[1], groups, folds)))
    mean, axes = (mean, axes) if basis is None else (basis @ mean, axes @ basis.T)
    measured = folds >= 0
    knots, levels, gate = _p_values(rests[measured], groups[measured])
    values = np.full(len(features), np.nan)
    values[measured] = np.interp(rests[measured], knots, levels)
    return FamiliarityFit(Familiarity(parts, mean, axes.astype(np.float16), knots, levels), gate, values)


def unit_vectors(features: NDArray[np.float32], parts: Parts) -> Reals:
    """The parts of features (n, d), each with the length 1, one after the other and scaled to the length 1 together, (n, w)."""
    blocks = [features[:, start:end].astype(np.float64) for start, end in parts]
    units = [block / (np.sqrt(_squares(block))[:, None] + TINY) for block in blocks]
    return np.asarray(np.concatenate(units, axis=1) / np.sqrt(len(parts)))


def _rests(offsets: NDArray[Any], outside: NDArray[Any]) -> Reals:
    """What the axes leave of offsets from the mean, (n,): the length outside of them, times its fraction of the whole length.

    The length alone misses images of other kinds that lie close to the mean of a varied kind, the fraction alone those that lie
    far from a narrow one (docs/decisions/015).
    """
    return np.asarray(_squares(outside) / np.sqrt(_squares(offsets) + NEAR))


def _squares(rows: NDArray[Any]) -> Reals:
    return np.asarray(np.einsum("nw,nw->n", rows, rows, dtype=np.float64))


def _count_axes(width: int, groups: NDArray[np.int64], folds: NDArray[np.int64]) -> int:
    """The number of axes: fewer where few groups determine them, and for the size of the file."""
    everything = len(np.unique(groups))
    fewest = min(everything - len(np.unique(groups[folds == fold])) for fold in np.unique(folds[folds >= 0]))
    return max(1, min(fewest // 4, width // 2, _MAX_NUMBERS // width))


def _reduce(unit: Matrix) -> tuple[Matrix, Matrix | None]:
    """Coordinates (n, n) of n vectors of many more numbers, and their basis (w, n), which loses nothing; else the vectors."""
    if len(unit) >= unit.shape[1] or unit.shape[1] <= _LONG:
        return unit, None
    basis, coordinates = np.linalg.qr(unit.T)
    return np.ascontiguousarray(coordinates.T), basis


def _out_of_fold(rows: Matrix, folds: NDArray[np.int64], count: int) -> tuple[Reals, Matrix, Matrix]:
    """The rest of each vector (n, w) outside of `count` axes of the other folds, (n,); and mean and axes of all vectors."""
    centre = rows.mean(axis=0)  # products of centred vectors keep more digits
    rows, rests = rows - centre, np.full(len(rows), np.nan)
    mean = axes = np.empty(0, np.float32)
    for held_out, moments in without_each_fold(rows, folds):
        fold_axes = moments.axes(count)
        if not held_out.any():
            mean, axes = moments.mean + centre, fold_axes
            continue
        offsets = rows[held_out] - moments.mean
        rests[held_out] = _rests(offsets, offsets - (offsets @ fold_axes.T) @ fold_axes)
    return rests, mean, axes


def _p_values(rests: Reals, groups: NDArray[np.int64]) -> tuple[Matrix, Matrix, Gate]:
    """Knots and levels of the p-values of rests (n,), and the gate.

    The p-value of a rest r is (1 + images with at least r) / (1 + images), where each group counts as one image. Interpolation
    between neighbours never makes it lower.
    """
    _, member, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    values, place = np.unique(rests, return_inverse=True)
    weights, count = np.bincount(place, 1 / sizes[member]), len(sizes)
    at_least = np.cumsum(weights[::-1])[::-1]
    allowed = max(allowed_failures(count, FALSE_ALARMS, CONFIDENCE), 0)
    last = int(np.argmax(at_least - weights <= allowed + _ROUNDING))  # what is larger than this value is unfamiliar
    step = max((values[-1] - values[0]) / (MAX_KNOTS - 5), _MIN_STEP)
    chosen = _spaced(values, last, step)
    p_values = (1 + at_least[chosen]) / (1 + count)
    knots = [values[chosen[0]] - step, *values[chosen], values[chosen[-1]] + step]
    levels = [1.0, *p_values, 1 / (1 + count)]
    end = chosen.index(last) + 1
    if knots[end + 1] > knots[end] + 1.5 * step:  # a gap: the p-value falls at its start, as that of the images does
        knots.insert(end + 1, knots[end] + step)
        levels.insert(end + 1, levels[end + 1])
    # Between the last image that passes and the first that does not, so that rounding decides about neither.
    level = float(levels[end] + levels[end + 1]) / 2
    gate = Gate(level, upper_bound(allowed, count, CONFIDENCE), CONFIDENCE, count)
    return np.array(knots, np.float32), np.array(levels, np.float32), gate


def _spaced(values: Reals, first: int, step: float) -> list[int]:
    """The numbers, ascending, of `first` and of other values, sorted, that are at least a step apart."""
    chosen = [first]
    while (lower := int(np.searchsorted(values, values[chosen[0]] - step, "right")) - 1) >= 0:
        chosen.insert(0, lower)
    while (higher := int(np.searchsorted(values, values[chosen[-1]] + step))) < len(values):
        chosen.append(higher)
    return chosen
