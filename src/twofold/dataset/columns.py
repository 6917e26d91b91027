"""Labels and groups as a caller hands them over: lists, arrays, a Series, one column of a table."""

from numbers import Integral, Real
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from twofold.core.errors import DataError

# No text, and what missing values become as text, as in numpy.array(["a", nan]).
_MISSING: Final = {"", "nan", "NaT", "<NA>"}
_SHOWN: Final = 5


def label_column(y: Any) -> NDArray[Any]:
    """The labels, (n,), in the type that numpy finds for them; DataError that names the rows where there is none."""
    if y is None:
        raise DataError("fit requires y to be passed, but the target y is None; give one label an image.")
    column = _column(y, "y", "; of one-hot labels, take y.argmax(axis=1)")
    lacking = [str(row) for row, label in enumerate(column) if _is_missing(label)]
    if lacking:
        more = f" and {len(lacking) - _SHOWN} more" if len(lacking) > _SHOWN else ""
        rows = f"row {', '.join(lacking[:_SHOWN])}{more}"
        raise DataError(f"{len(lacking)} of {len(column)} images have no label in y ({rows}): leave them out.")
    try:
        return np.asarray(column.tolist()) if column.dtype == object else column
    except ValueError as error:
        raise DataError("y should hold one label an image, got lists of several lengths.") from error


def group_column(groups: Any, count: int) -> list[str | None]:
    """The group of each of `count` images, None where it has none: None, NaN, NA, NaT, no text."""
    if groups is None:
        return [None] * count
    column = _column(groups, "groups", "")
    if len(column) != count:
        raise DataError(f"groups has {len(column)} entries, y has {count} labels; give one group an image.")
    return [None if _is_missing(group) or str(group) == "None" else _group_name(group) for group in column]


def _column(values: Any, name: str, advice: str) -> NDArray[Any]:
    # As objects: of a list of text, numpy would make the text "nan" of what is missing.
    array = np.asarray(values) if hasattr(values, "__array__") else np.asarray(values, dtype=object)
    if array.ndim == 2 and array.shape[1] == 1:
        return array[:, 0]
    if array.ndim != 1:
        got = " x ".join(map(str, array.shape)) or type(values).__name__
        raise DataError(f"{name} should be a 1d array, one entry an image, got {got}{advice}.")
    return array


def _group_name(group: Any) -> str:
    """Equal for equal numbers, 1 and 1.0, and for their text."""
    whole = isinstance(group, Integral) or (isinstance(group, Real) and float(group).is_integer())
    return str(int(group)) if whole else str(group)


def _is_missing(value: Any) -> bool:
    if isinstance(value, str):
        return value.strip() in _MISSING
    try:
        return value is None or bool(value != value)  # as NaN and NaT do
    except TypeError:  # as pandas' NA, which is neither true nor false
        return True
    except ValueError:  # an array
        return False
