"""Labels and groups from the types that Python callers use: a list, an array, a Series, a table of one column."""

from numbers import Integral, Real
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from twofold.core.errors import DataError

# Empty text, and the text of missing values, as in numpy.array(["a", nan]).
_MISSING: Final = {"", "nan", "NaT", "<NA>"}
_MAX_NAMED: Final = 5


def label_column(y: Any) -> NDArray[Any]:
    """The labels, (n,), in the dtype that NumPy chooses. Raises DataError that lists the rows without a label."""
    if y is None:
        # check_estimator of scikit-learn expects this sentence.
        raise DataError("fit requires y to be passed, but the target y is None; give one label per image.")
    column = _column(y, "y", "; of one-hot labels, take `y.argmax(axis=1)`")
    missing = [str(row) for row, label in enumerate(column) if _is_missing(label)]
    if missing:
        more = f" and {len(missing) - _MAX_NAMED} more" if len(missing) > _MAX_NAMED else ""
        rows = f"row {', '.join(missing[:_MAX_NAMED])}{more}"
        raise DataError(f"{len(missing)} of {len(column)} images have no label in `y` ({rows}): leave them out.")
    try:
        return np.asarray(column.tolist()) if column.dtype == object else column
    except ValueError as error:
        raise DataError("`y` must have one label per image, got lists of several lengths.") from error


def group_column(groups: Any, count: int) -> list[str | None]:
    """The group of each of `count` images; None where it is missing: None, NaN, NA, NaT or empty text."""
    if groups is None:
        return [None] * count
    column = _column(groups, "groups", "")
    if len(column) != count:
        raise DataError(f"`groups` has {len(column)} entries and `y` has {count} labels: give one group per image.")
    return [None if _is_missing(group) or str(group) == "None" else _group_name(group) for group in column]


def _column(values: Any, name: str, advice: str) -> NDArray[Any]:
    # As objects, because NumPy turns a missing value in a list of text into the text "nan".
    array = np.asarray(values) if hasattr(values, "__array__") else np.asarray(values, dtype=object)
    if array.ndim == 2 and array.shape[1] == 1:
        return array[:, 0]
    if array.ndim != 1:
        got = " x ".join(map(str, array.shape)) or type(values).__name__
        raise DataError(f"`{name}` should be a 1d array with one entry per image, got {got}{advice}.")
    return array


def _group_name(group: Any) -> str:
    """The name of a group: the same for equal numbers, such as 1 and 1.0, and for their text."""
    is_whole = isinstance(group, Integral) or (isinstance(group, Real) and float(group).is_integer())
    return str(int(group)) if is_whole else str(group)


def _is_missing(value: Any) -> bool:
    if isinstance(value, str):
        return value.strip() in _MISSING
    try:
        return value is None or bool(value != value)  # NaN and NaT
    except TypeError:  # NA of pandas, whose truth value is undefined
        return True
    except ValueError:  # an array
        return False
