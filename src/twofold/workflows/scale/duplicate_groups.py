"""How many pairs and groups of duplicates there are of each kind, and the largest groups."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from twofold.duplicates import DuplicateKind
from twofold.duplicates.hamming_search import Pairs
from twofold.workflows.scale.part_duplicates import KINDS, DuplicatePairs, count_across_folders

_LARGEST: Final = 5  # groups that are named


@dataclass(frozen=True, slots=True)
class KindCount:
    """The number of pairs of a kind, and of the groups of images that they join."""

    pairs: int
    groups: int


@dataclass(frozen=True, slots=True)
class LargeGroup:
    """A group of duplicates: the number of its images, and the path of the first."""

    images: int
    first: str


@dataclass(frozen=True, slots=True)
class DuplicateSummary:
    """The duplicates in numbers. Groups are joined by pairs of one kind; the `largest` by those of all kinds but `same-scene`.

    `across_folders` is the number of these pairs whose images lie in different folders.
    """

    kinds: Mapping[DuplicateKind, KindCount]
    across_folders: int
    largest: tuple[LargeGroup, ...] = field(default=())

    def as_json(self) -> dict[str, Any]:
        """The summary as a JSON record."""
        return {
            "duplicates": {kind: asdict(count) for kind, count in self.kinds.items()},
            "across_folders": self.across_folders,
            "largest_groups": [asdict(group) for group in self.largest],
        }


def summarize(duplicates: DuplicatePairs, paths: Any) -> DuplicateSummary:
    """The summary of the pairs; `paths` is a pyarrow.Array."""
    kinds = {}
    for kind in KINDS:
        pairs = duplicates.of_kinds(kind)
        kinds[kind] = KindCount(len(pairs), len(_groups(pairs)[0]))
    sizes, firsts = _groups(duplicates.of_kinds("exact", "pixels", "near"))
    largest = np.lexsort((firsts, -sizes))[:_LARGEST]
    groups = (LargeGroup(int(sizes[group]), paths[int(firsts[group])].as_py()) for group in largest)
    return DuplicateSummary(kinds, count_across_folders(duplicates, paths), tuple(groups))


def _groups(pairs: Pairs) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The number of rows of each group that the pairs join, and its first row."""
    from scipy.sparse import coo_array  # here, because predictions do not need it
    from scipy.sparse.csgraph import connected_components

    rows, numbers = np.unique(pairs, return_inverse=True)
    links = numbers.reshape(-1, 2).T
    graph = coo_array((np.ones(len(pairs), np.bool_), links), shape=(len(rows), len(rows)))
    _, group = connected_components(graph, directed=False)
    _, first, sizes = np.unique(group, return_index=True, return_counts=True)
    return sizes, rows[first]
