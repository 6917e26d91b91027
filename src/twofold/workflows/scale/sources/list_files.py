"""Files that are lists of paths: text and Parquet."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from twofold.core.errors import DataError
from twofold.core.files import reason
from twofold.core.hints import nearest, require

_COLUMN: Final = "path"


def text_lines(file: Path) -> Iterator[str]:
    """The paths in a text file, one on each line. Raises DataError where it cannot be read or is no text."""
    try:
        with file.open("rb") as stream:
            for number, line in enumerate(stream, 1):
                name = line.rstrip(b"\r\n").removeprefix(b"\xef\xbb\xbf" if number == 1 else b"")
                if b"\0" in name:
                    raise DataError(f"{file} is no list of paths: line {number} holds a zero byte.")
                if name.strip():
                    yield os.fsdecode(name)
    except OSError as error:
        raise DataError(f"The list {file} cannot be read ({reason(error)}): check the file.") from error


def is_path_table(file: Path) -> bool:
    """Whether the Parquet file is a list of paths; False for one with images. Raises DataError where it is neither."""
    require(f"Reading {file}", "pyarrow", extra="scale")
    from pyarrow import types

    schema = _open(file).schema_arrow
    kinds = {field.name: field.type for field in schema}
    if _COLUMN in kinds and (types.is_string(kinds[_COLUMN]) or types.is_large_string(kinds[_COLUMN])):
        return True
    if any(types.is_binary(kind) or types.is_large_binary(kind) or types.is_struct(kind) for kind in kinds.values()):
        return False
    raise DataError(
        f"{file} has no column {_COLUMN} of text{nearest(_COLUMN, kinds)}; its columns are {', '.join(kinds) or 'none'}: rename "
        "the column that has the paths."
    )


def table_paths(file: Path) -> Iterator[str]:
    """The paths in the column `path` of a Parquet file. Raises DataError where it cannot be read or a row has none."""
    row = 0
    try:
        for batch in _open(file).iter_batches(batch_size=10_000, columns=[_COLUMN]):
            for name in batch.column(0).to_pylist():
                row += 1
                if not name or "\0" in name:
                    raise DataError(f"{file} has no path in row {row}: write one, or leave the row out.")
                yield name
    except (OSError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise _unreadable(file, error) from error


def _open(file: Path) -> Any:
    from pyarrow import parquet

    try:
        return parquet.ParquetFile(file)
    except (OSError, ValueError) as error:
        raise _unreadable(file, error) from error


def _unreadable(file: Path, error: Exception) -> DataError:
    first = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
    return DataError(
        f"The list {file} cannot be read as Parquet ({first}): it is cut short or damaged; write it again."
    )
