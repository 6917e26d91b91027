"""Pairs that a person called no duplicates are left out, whatever the order of the two."""

from twofold.dataset.labelled import without_distinct
from twofold.duplicates import Duplicate

KEYS = [("a", "1"), ("b", "2"), ("c", "3"), ("d", "3")]
PAIRS = [Duplicate(0, 1, "near"), Duplicate(1, 2, "same-scene"), Duplicate(2, 3, "pixels")]


def test_pairs_are_left_out_by_their_hashes() -> None:
    assert without_distinct(PAIRS, KEYS, frozenset()) == PAIRS
    assert without_distinct(PAIRS, KEYS, frozenset({("a", "b")})) == PAIRS[1:]
    assert without_distinct(PAIRS, KEYS[::-1], frozenset({("b", "c"), ("a", "c")})) == [PAIRS[0], PAIRS[2]]


def test_equal_pixels_stay_duplicates() -> None:
    assert without_distinct(PAIRS, KEYS, frozenset({("c", "d")})) == PAIRS


def test_the_second_image_may_be_of_another_dataset() -> None:
    others = [("x", "9"), ("a", "8"), ("z", "7"), ("y", "6")]
    assert without_distinct(PAIRS[:1], KEYS[1:2], frozenset({("a", "b")}), others) == []
    assert without_distinct(PAIRS[:1], KEYS[1:2], frozenset({("b", "x")}), others) == PAIRS[:1]
