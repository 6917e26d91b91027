"""Pairs and groups are counted by kind."""

import numpy as np
import pyarrow

from twofold.workflows.scale.duplicate_groups import KindCount, LargeGroup, summarize
from twofold.workflows.scale.part_duplicates import KINDS, DuplicatePairs

PATHS = pyarrow.array([f"{folder}/{number}.jpg" for number, folder in enumerate("aabbbccd")], pyarrow.large_string())


def test_groups_are_joined_by_pairs_of_one_kind_and_the_largest_by_all_duplicates() -> None:
    pairs = np.array([(0, 1), (0, 2), (1, 3), (4, 5), (5, 7), (6, 7)])
    kinds = ["exact", "exact", "near", "near", "pixels", "same-scene"]
    duplicates = DuplicatePairs(pairs, np.array([KINDS.index(kind) for kind in kinds], np.int8))  # type: ignore[arg-type]
    summary = summarize(duplicates, PATHS)
    assert summary.kinds == {
        "exact": KindCount(2, 1),
        "pixels": KindCount(1, 1),
        "near": KindCount(2, 2),
        "same-scene": KindCount(1, 1),
    }
    assert summary.largest == (LargeGroup(4, "a/0.jpg"), LargeGroup(3, "b/4.jpg"))
    assert summary.across_folders == 4  # all but (0, 1), and (6, 7), which is no duplicate


def test_no_pairs_make_no_groups() -> None:
    summary = summarize(DuplicatePairs(np.empty((0, 2), np.int64), np.empty(0, np.int8)), PATHS)
    assert {(count.pairs, count.groups) for count in summary.kinds.values()} == {(0, 0)}
    assert (summary.largest, summary.across_folders) == ((), 0)
