"""Tables for pandas, where it is installed: it is no dependency of twofold."""

from collections.abc import Iterable, Mapping
from dataclasses import fields
from importlib import import_module
from typing import Any

from twofold.core.errors import UsageError


def data_frame(columns: Mapping[str, Any]) -> Any:
    """The pandas.DataFrame of these columns. Raises UsageError where pandas is not installed."""
    try:
        pandas = import_module("pandas")
    except ImportError as error:
        raise UsageError("`to_pandas` needs pandas; install it with: pip install pandas.") from error
    return pandas.DataFrame(columns)


def records_frame(records: Iterable[Any], kind: type[Any]) -> Any:
    """The pandas.DataFrame with one row for each of the records, which are of the dataclass `kind`, and its fields as columns."""
    rows = list(records)
    return data_frame({field.name: [getattr(row, field.name) for row in rows] for field in fields(kind)})
