"""Slices: the images of an evaluation cut by brightness, size and the like, and the slice that is less accurate than the rest.

Many slices are looked at, so the worst of them looks bad by chance alone. The intervals hold for all slices together: each has a
level of 1 - 0.05 / k for k slices (Bonferroni), from exact binomial tails, because normal ones are too narrow that far out.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from twofold.core.arrays import Reals
from twofold.evaluation.groups import Groups, effect_of_correlation, group_correlation
from twofold.evaluation.intervals import Interval, clopper_pearson, difference
from twofold.evaluation.sample import Sample

MIN_GROUPS: Final = 20
"""A slice with fewer groups (images, where each is a group) is merged with its neighbour."""

LEVEL: Final = 0.95
_PARTS: Final = 3  # of a column of numbers
_MAX_VALUES: Final = 5  # of a column of texts; the others are one slice

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Slice:
    """The images with certain values of a feature: numbers from `low` to `high`, or the text `value`.

    `accuracy`, that of answers, and `difference`, to the accuracy of all other images, have intervals that hold for all slices
    together.
    """

    feature: str
    low: float | None
    high: float | None
    value: str | None
    images: int
    groups: int
    accuracy: Interval
    difference: Interval

    @property
    def is_worse(self) -> bool:
        """Whether it is less accurate than the rest by more than chance."""
        return self.difference.high < 0

    def as_json(self) -> dict[str, Any]:
        """The fields, with {"value", "low", "high"} for each interval."""
        intervals = {"accuracy": self.accuracy.as_json(), "difference": self.difference.as_json()}
        return asdict(self) | intervals


@dataclass(frozen=True, slots=True)
class Slices:
    """All slices that were looked at, at least two."""

    slices: tuple[Slice, ...] = field(repr=False)

    @property
    def worst(self) -> Slice | None:
        """The least accurate of the slices that are worse than the rest by more than chance; None if there is none."""
        return min((each for each in self.slices if each.is_worse), key=lambda each: each.accuracy.value, default=None)

    @property
    def features(self) -> list[str]:
        """The features that the images are cut by."""
        return list(dict.fromkeys(each.feature for each in self.slices))

    def as_json(self) -> dict[str, Any]:
        """{"count", "level", "worst", "slices"}: each interval has such a level that all hold together at `level`."""
        worst = None if self.worst is None else self.worst.as_json()
        slices = [each.as_json() for each in self.slices]
        return {"count": len(slices), "level": LEVEL, "worst": worst, "slices": slices}


def find_slices(sample: Sample, columns: Mapping[str, NDArray[Any]]) -> Slices | None:
    """The slices of images by columns (n,): numbers into thirds, NaN left out; texts by value, "" as unknown.

    None where no column tells images apart. The cuts do not depend on labels and decisions.
    """
    masks = [(name, mask) for name, column in columns.items() for mask in _masks(np.asarray(column), sample.groups)]
    cut = _Cut(sample, _correlation(sample), 1 - (1 - LEVEL) / max(len(masks), 1))
    return Slices(tuple(cut.slice(name, np.asarray(columns[name]), mask) for name, mask in masks)) if masks else None


def _masks(column: NDArray[Any], groups: Groups | None) -> list[Mask]:
    """The masks (n,) of the slices of a column, each of enough groups; none where fewer than two are left."""
    if column.dtype.kind in "fiub":
        masks = _merge(list(_thirds(column.astype(np.float64))), groups)
    else:
        masks = list(_frequent(column, groups))
    return masks if len(masks) > 1 else []


def _thirds(numbers: Reals) -> Iterator[Mask]:
    """Masks of the smallest, middle and largest numbers: cut between values, as near to thirds as these allow."""
    values, counts = np.unique(numbers[~np.isnan(numbers)], return_counts=True)
    below = np.cumsum(counts)[:-1] / max(int(counts.sum()), 1)  # the fraction of the images below each cut
    cuts = {int(np.abs(below - part / _PARTS).argmin()) for part in range(1, _PARTS) if len(below)}
    bins = np.where(np.isnan(numbers), -1, np.searchsorted(values[sorted(cuts)], numbers, "left"))
    return (bins == number for number in range(len(cuts) + 1))


def _merge(masks: list[Mask], groups: Groups | None) -> list[Mask]:
    """The masks with neighbours joined until each has enough groups."""
    while len(masks) > 1:
        counts = [_count_groups(mask, groups) for mask in masks]
        least = int(np.argmin(counts))
        if counts[least] >= MIN_GROUPS:
            break
        neighbour = min((k for k in (least - 1, least + 1) if 0 <= k < len(masks)), key=counts.__getitem__)
        first = min(least, neighbour)
        masks = [*masks[:first], masks[first] | masks[first + 1], *masks[first + 2 :]]
    return masks


def _frequent(texts: NDArray[Any], groups: Groups | None) -> Iterator[Mask]:
    """Masks of the most frequent texts, and one of all others where they have enough groups."""
    values, counts = np.unique(texts, return_counts=True)
    others = np.ones(len(texts), np.bool_)
    for value in values[np.argsort(-counts, kind="stable")][:_MAX_VALUES]:
        mask = texts == value
        if _count_groups(mask, groups) >= MIN_GROUPS:
            others &= ~mask
            yield mask
    if _count_groups(others, groups) >= MIN_GROUPS:
        yield others


def _count_groups(mask: Mask, groups: Groups | None) -> int:
    return int(mask.sum()) if groups is None else len(np.unique(groups[mask]))


def _correlation(sample: Sample) -> float:
    """The correlation of correct answers within groups, over all images."""
    correct = (sample.decisions == sample.labels).astype(np.float64)
    return group_correlation(correct - correct.mean(), sample.groups)


@dataclass(frozen=True, slots=True, eq=False)
class _Cut:
    """The images to cut, the correlation within their groups, and the level of the interval of each slice."""

    sample: Sample
    correlation: float
    level: float

    def slice(self, name: str, column: NDArray[Any], mask: Mask) -> Slice:
        low, high, value = None, None, None
        if column.dtype.kind in "fiub":
            low, high = float(column[mask].min()), float(column[mask].max())
        else:
            values = np.unique(column[mask])
            value = (str(values[0]) or "unknown") if len(values) == 1 else "other"
        accuracy = self._accuracy(mask)
        counts = int(mask.sum()), _count_groups(mask, self.sample.groups)
        return Slice(name, low, high, value, *counts, accuracy, difference(accuracy, self._accuracy(~mask)))

    def _accuracy(self, mask: Mask) -> Interval:
        """The accuracy of these images. Few errors hardly tell how groups raise its variance, so those of all images do, too."""
        sample = self.sample
        groups = None if sample.groups is None else sample.groups[mask]
        of_all = sample.factors.decisions * effect_of_correlation(self.correlation, groups)
        correct = sample.decisions[mask] == sample.labels[mask]
        factor = max(sample.of_rate(mask, self.level), of_all)
        return clopper_pearson(int(correct.sum()), len(correct), factor, self.level)
