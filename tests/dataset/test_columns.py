"""Labels and groups in the types of a Python caller."""

from typing import Any

import numpy as np
import pytest
import torch

from twofold.core.errors import DataError
from twofold.dataset import group_column, label_column


class NotAvailable:
    """As NA of pandas: a comparison with it gives NA, whose truth value is undefined."""

    def __eq__(self, other: object) -> Any:
        return self

    def __ne__(self, other: object) -> Any:
        return self

    __hash__ = object.__hash__

    def __bool__(self) -> bool:
        raise TypeError("boolean value of NA is ambiguous")

    def __repr__(self) -> str:
        return "<NA>"


class Column:
    """As a pandas Series, or a table of one column."""

    def __init__(self, values: Any) -> None:
        self._values = np.asarray(values, dtype=object)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        return self._values


NAN = float("nan")
DAYS = np.array(["2026-01-01", "NaT"], "datetime64[ns]")


@pytest.mark.parametrize(
    "y",
    [
        ["a", "b", "a"],
        ("a", "b", "a"),
        np.array(["a", "b", "a"]),
        np.array(["a", "b", "a"], dtype=object),
        np.array([["a"], ["b"], ["a"]]),
        [["a"], ["b"], ["a"]],
        Column(["a", "b", "a"]),
        Column([["a"], ["b"], ["a"]]),
    ],
)
def test_labels_are_taken_from_lists_and_columns(y: Any) -> None:
    labels = label_column(y)
    assert labels.tolist() == ["a", "b", "a"]
    assert labels.dtype.kind == "U"


def test_labels_keep_the_type_that_numpy_chooses() -> None:
    for y in ([1, 0], (True, False), np.array([1.0, 0.0]), torch.tensor([[1], [0]]), np.array([1, 0], dtype=object)):
        assert label_column(y).tolist() == [1, 0]
        assert label_column(y).dtype.kind in "ibf"


@pytest.mark.parametrize("y", [np.eye(2)[[0, 1, 1]], [[1, 0], [0, 1]], np.zeros((2, 2, 2)), [["a", "b"]]])
def test_one_hot_labels_are_an_error_that_says_what_to_pass(y: Any) -> None:
    with pytest.raises(
        DataError, match=r"`y` should be a 1d array .* got \d x 2.*; of one-hot labels, take `y\.argmax"
    ):
        label_column(y)


@pytest.mark.parametrize("missing", [None, NAN, np.float32("nan"), NotAvailable(), "", "  ", np.datetime64("NaT")])
def test_missing_labels_are_an_error_that_lists_the_rows(missing: Any) -> None:
    for y in (["a", missing, "b", missing], Column(["a", missing, "b", missing])):
        with pytest.raises(DataError, match=r"2 of 4 images have no label in `y` \(row 1, 3\)"):
            label_column(y)


def test_missing_labels_that_numpy_turned_into_text_are_missing() -> None:
    with pytest.raises(DataError, match=r"6 of 7 images .* \(row 1, 2, 3, 4, 5 and 1 more\)"):
        label_column(np.array(["a", *[NAN] * 6]))


@pytest.mark.parametrize("y", [None, "ab", 3, {"a": 1}, [[1], [2, 3]]])
def test_labels_of_another_type_are_an_error(y: Any) -> None:
    with pytest.raises(DataError, match="requires y|1d array|one label per image"):
        label_column(y)


@pytest.mark.parametrize(
    "missing", [None, NAN, np.float64("nan"), NotAvailable(), DAYS[1], "", " \t", "nan", "None", "<NA>", "NaT"]
)
def test_missing_groups_are_none(missing: Any) -> None:
    for groups in (["p1", missing, "p2", missing], Column(["p1", missing, "p2", missing])):
        assert group_column(groups, 4) == ["p1", None, "p2", None]


def test_missing_groups_are_none_in_arrays_of_any_type() -> None:
    assert group_column(np.array([1.0, NAN, 2.0]), 3) == ["1", None, "2"]
    assert group_column([1, None, 2, NAN], 4) == ["1", None, "2", None]
    assert group_column(np.array(["p1", NAN]), 2) == ["p1", None]
    assert group_column(torch.tensor([1.0, NAN]), 2) == ["1", None]
    day, missing = group_column(DAYS, 2)
    assert day is not None
    assert day.startswith("2026-01-01")
    assert missing is None
    assert group_column(None, 2) == [None, None]


def test_equal_numbers_are_one_group_whatever_their_type() -> None:
    assert len({*group_column([1, 1.0, np.int8(1), np.float32(1), "1"], 5)}) == 1
    assert len({*group_column([10**20, 10**20 + 1, 0.5, 1.5, -1, "a", "A"], 7)}) == 7
    assert group_column([["a"], ["b"]], 2) == ["a", "b"]
    assert group_column([float("inf"), 1], 2) == ["inf", "1"]


def test_groups_of_another_number_or_shape_are_an_error() -> None:
    with pytest.raises(DataError, match="`groups` has 3 entries and `y` has 2 labels"):
        group_column([1, 2, 3], 2)
    for groups in (np.zeros((2, 2)), "ab", {"a": 1}, [("a", 1), ("b", 2)]):
        with pytest.raises(DataError, match="`groups` should be a 1d array"):
            group_column(groups, 2)
