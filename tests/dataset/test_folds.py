"""Groups, folds and splits."""

from collections import Counter

import numpy as np
import pytest
from numpy.typing import NDArray

from twofold.core.errors import DataError
from twofold.dataset import duplicate_groups, folds, split
from twofold.dataset.folds import join_groups

Ints = NDArray[np.int64]


def drawn(seed: int, count: int = 400) -> tuple[Ints, Ints]:
    """Labels, 30% of them 1, in groups of very different sizes, some of both classes."""
    random = np.random.default_rng(seed)
    labels = (random.random(count) < 0.3).astype(np.int64)
    return labels, (random.pareto(1.0, count) * 30).astype(np.int64)


def test_images_that_share_a_key_or_a_given_group_are_one_group() -> None:
    keys = [
        ("bytes 1", "pixels 1"),
        ("bytes 2", "pixels 1"),
        ("bytes 3", "pixels 3"),
        ("bytes 2", "pixels 9"),
        ("bytes 5", "pixels 5"),
    ]
    assert duplicate_groups(keys, [None] * 5).tolist() == [0, 0, 1, 0, 2]
    assert duplicate_groups(keys, [None, None, "g", None, "g"]).tolist() == [0, 0, 1, 0, 1]
    assert duplicate_groups(keys, ["g", None, None, None, "g"]).tolist() == [0, 0, 1, 0, 0]
    assert duplicate_groups([], []).tolist() == []
    assert duplicate_groups([("a",), ("b",)], ["b", None]).tolist() == [0, 1]  # a given group is never equal to a hash


def test_a_chain_of_any_length_is_one_group() -> None:
    links = [(f"{number}", f"{number + 1}") for number in np.random.default_rng(0).permutation(5000)]
    assert set(duplicate_groups(links, [None] * 5000).tolist()) == {0}


@pytest.mark.parametrize("seed", range(5))
def test_joined_pairs_give_the_groups_of_shared_keys(seed: int) -> None:
    random = np.random.default_rng(seed)
    keys = [(f"{key}",) for key in random.integers(300, size=400)]
    pairs = [(first, second) for first, second in random.integers(400, size=(100, 2)).tolist()]
    linked = [
        (*key, *(f"pair {number}" for number, pair in enumerate(pairs) if row in pair)) for row, key in enumerate(keys)
    ]
    groups = join_groups(duplicate_groups(keys, [None] * 400), pairs)
    assert np.array_equal(groups, duplicate_groups(linked, [None] * 400))


@pytest.mark.parametrize("seed", range(5))
def test_each_group_stays_in_one_fold(seed: int) -> None:
    labels, groups = drawn(seed)
    for assigned in (folds(labels, groups, 5, seed), split(labels, groups, seed=seed)):
        for group in np.unique(groups):
            assert len(set(assigned[groups == group].tolist())) == 1


@pytest.mark.parametrize("seed", range(5))
def test_folds_differ_by_no_more_than_the_largest_group(seed: int) -> None:
    labels, groups = drawn(seed)
    fold = folds(labels, groups, 5, seed)
    for label in (0, 1):
        largest = max(Counter(groups[labels == label].tolist()).values())
        counts = np.bincount(fold[labels == label], minlength=5)
        assert counts.min() > 0
        assert counts.max() - counts.min() <= largest


@pytest.mark.parametrize("count", [2, 5, 10])
def test_groups_of_one_image_are_spread_evenly_over_the_folds(count: int) -> None:
    labels = np.array(["cats"] * 53 + ["dogs"] * 217)
    fold = folds(labels, np.arange(270), count, 1)
    for label in ("cats", "dogs"):
        counts = np.bincount(fold[labels == label], minlength=count)
        assert counts.max() - counts.min() <= 1


@pytest.mark.parametrize("fraction", [0.1, 0.2, 0.25, 0.5])
def test_a_split_holds_out_its_fraction_of_every_class(fraction: float) -> None:
    labels = np.array([0] * 100 + [1] * 37)
    held_out = split(labels, np.arange(137), fraction)
    assert held_out.dtype == np.bool_
    for label in (0, 1):
        assert abs(held_out[labels == label].sum() - fraction * (labels == label).sum()) <= 1


def test_folds_depend_on_the_seed_and_nothing_else() -> None:
    labels, groups = drawn(9)
    assert np.array_equal(folds(labels, groups, 5, 3), folds(labels.copy(), groups.copy(), 5, 3))
    assert np.array_equal(split(labels, groups), split(labels, groups, 0.2, 123))
    assert not np.array_equal(split(labels, groups), split(labels, groups, seed=124))


def test_folds_do_not_depend_on_the_names_of_labels_and_groups() -> None:
    labels, groups = drawn(4)
    fold = folds(labels, groups, 5, 0)
    assert np.array_equal(fold, folds(np.where(labels == 1, "dogs", "cats"), groups * 7 + 100, 5, 0))


def test_every_image_is_equally_likely_to_be_held_out() -> None:
    labels, groups = np.repeat([0, 1], 10), np.arange(20)
    counts = sum(split(labels, groups, 0.2, seed).astype(int) for seed in range(1000))
    assert abs(counts - 200).max() < 65  # five standard deviations of 1000 draws at 0.2


def test_a_class_with_too_few_groups_is_an_error_that_names_it() -> None:
    labels = np.array([0] * 20 + [1] * 6)
    text = "class '1' cannot be divided into 5 folds: it has 2 groups of images. Add images, or lower `folds`."
    with pytest.raises(DataError, match=text):
        folds(labels, np.array([*range(20), 20, 20, 20, 21, 21, 21]), 5, 0)
    with pytest.raises(DataError, match="it has 1 group of images. Add images, or change `validation_fraction`."):
        split(np.array([0, 0, 0, 1]), np.arange(4))
