"""Parquet files with images in a column, as in Hugging Face's datasets: a row has the path LABEL/ROW and is read in place."""

import json
import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from threading import Lock
from typing import Any, Final

from twofold.core.errors import DataError
from twofold.core.hints import install
from twofold.data.members import Entry, Members, gather
from twofold.data.read_errors import ReadError
from twofold.data.split_names import is_split_column, split_column

_LABELS: Final = ("label", "labels")
_GROUPS: Final = 2  # row groups in memory: at the end of one, some threads already read the next
_NAMES: Final = 100_000_000  # bytes of all labels, or of all file names, at most
_BATCHES: Final = 4  # into which the limit on bytes is divided
_BATCH_ROWS: Final = 10_000


def parquet_members(file: Path) -> Members:
    """The members, one per row: LABEL/ROW or LABEL/ROW-NAME, without LABEL/ where the row has no label.

    The name starts with the row number, so that sorted rows are in the order of the file, and a row group is read once.
    """
    pyarrow, parquet = _pyarrow(file)
    try:
        metadata = parquet.read_metadata(file)
        with parquet.ParquetFile(file, metadata=metadata) as table:
            schema = table.schema_arrow
            image, label = _columns(file, schema)
            if metadata.num_rows > file.stat().st_size:
                raise DataError(
                    f"{file} declares more rows than it has bytes: fetch it again, from a source that you trust."
                )
            labels = _values(table, label, _NAMES).to_pylist()
            _check_splits(file, table, image)
            entries = list(_entries(metadata, _class_names(labels, schema, label), _file_names(table, image)))
    except DataError:
        raise
    except _TooLargeError as error:
        raise DataError(
            f"The labels or names in {file} take more than {_NAMES:,} bytes: write shorter ones."
        ) from error
    except Exception as error:  # damaged bytes also end in UnicodeDecodeError and others
        raise DataError(
            f"{file} cannot be read as Parquet ({_first_line(error)}): it is cut short or damaged; fetch it again."
        ) from error
    struct = pyarrow.types.is_struct(schema.field(image).type)
    return gather(entries, _reader(file, metadata, f"{image}.bytes" if struct else image))


def _reader(file: Path, metadata: Any, column: str) -> Callable[[tuple[int, int], int], bytes | ReadError]:
    """A function that reads the bytes of a row, by the number of its row group and of the row in it, from the column or field."""
    import pyarrow.parquet

    lock = Lock()

    @lru_cache(_GROUPS)
    def group(number: int, limit: int) -> Any:
        try:
            if metadata.row_group(number).total_byte_size > limit:
                raise _TooLargeError
            with pyarrow.parquet.ParquetFile(file, metadata=metadata) as table:
                return _values(table, column, limit, number)
        except _TooLargeError:  # returned, so that the cache keeps it
            return ReadError(
                "too-large",
                f"It is in a row group of more than {limit:,} bytes, the limit: write smaller row groups.",
            )

    def read(handle: tuple[int, int], limit: int) -> bytes | ReadError:
        number, row = handle
        try:
            with lock:
                values = group(number, limit)
            value = values if isinstance(values, ReadError) else values[row].as_py()
        except Exception as error:  # as above
            return ReadError(
                "damaged", f"Its row group cannot be read ({_first_line(error)}): fetch the Parquet file again."
            )
        return ReadError("missing", "The row has no image bytes: write them into it.") if value is None else value

    return read


class _TooLargeError(Exception):
    """A column takes more memory than its limit."""


def _values(table: Any, column: str, limit: int, group: int | None = None) -> Any:
    """The values of a column, or of its field, as in "image.bytes", in one row group or all.

    Raises _TooLargeError where they take more than `limit` bytes. The sizes in the file are no bound: a value may be stored once
    for all rows, or as a shared prefix. So a batch has few enough rows to stay within a quarter of the limit even if each row
    were as large as the stated size of its row group.
    """
    import pyarrow

    groups = list(range(table.metadata.num_row_groups)) if group is None else [group]
    largest = max([1, *(_declared_size(table.metadata.row_group(number), column) for number in groups)])
    batch_size = min(max(limit // _BATCHES // largest, 1), _BATCH_ROWS)
    chunks, size = [], 0
    for batch in table.iter_batches(batch_size=batch_size, row_groups=groups, columns=[column]):
        size += batch.nbytes
        if size > limit:
            raise _TooLargeError
        values = batch.column(0)
        chunks.append(values.field(0) if pyarrow.types.is_struct(values.type) else values)
    return pyarrow.chunked_array(chunks) if chunks else pyarrow.array([])


def _declared_size(group: Any, column: str) -> int:
    columns = [group.column(number) for number in range(group.num_columns)]
    return sum(part.total_uncompressed_size for part in columns if f"{part.path_in_schema}.".startswith(f"{column}."))


def _pyarrow(file: Path) -> tuple[Any, Any]:
    if find_spec("pyarrow") is None:
        raise DataError(f"Reading {file} needs pyarrow; {install('hub')}.")
    import pyarrow
    import pyarrow.parquet

    return pyarrow, pyarrow.parquet


def _columns(file: Path, schema: Any) -> tuple[str, str]:
    """The names of the columns with the images and with the labels; DataError where one is missing."""
    from pyarrow import types

    def is_bytes(kind: Any) -> bool:
        return bool(types.is_binary(kind) or types.is_large_binary(kind))

    def is_image(kind: Any) -> bool:
        return is_bytes(kind) or (types.is_struct(kind) and any(f.name == "bytes" and is_bytes(f.type) for f in kind))

    images = [field.name for field in schema if is_image(field.type)]
    classes = [name for name, feature in _features(schema).items() if feature.get("_type") == "ClassLabel"]
    labels = [name for name in (*_LABELS, *classes) if name in schema.names]
    if not images or not labels:
        columns = "images (bytes, or a struct with bytes)" if not images else "labels (label or labels)"
        raise DataError(f"{file} has no column of {columns}; its columns are {', '.join(schema.names) or 'none'}.")
    return images[0], labels[0]


def _check_splits(file: Path, table: Any, image: str) -> None:
    """Raises DataError where a column names several splits."""
    for column in (name for name in table.schema_arrow.names if name != image and is_split_column(name)):
        values = ["" if value is None else str(value) for value in _values(table, column, _NAMES).to_pylist()]
        if split_column([column], [{0: value} for value in values]):
            names = ", ".join(sorted(set(values)))
            raise DataError(f"{file} has rows of several splits ({column}: {names}): write a file for each split.")


def _features(schema: Any) -> dict[str, Any]:
    """The features that Hugging Face's datasets describe in the metadata, by column; empty where there are none."""
    try:
        features = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))["info"]["features"]
        return {name: feature for name, feature in features.items() if isinstance(feature, dict)}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}


def _class_names(labels: list[Any], schema: Any, column: str) -> Iterator[str]:
    """The class of each row; empty where it has none, which Hugging Face writes as -1."""
    names = _features(schema).get(column, {}).get("names")
    for label in labels:
        if isinstance(names, list) and isinstance(label, int):
            yield str(names[label]) if 0 <= label < len(names) else ""
        else:
            yield "" if label is None else str(label)


def _file_names(table: Any, image: str) -> list[str | None]:
    """The file name that each row stores, None where it has none."""
    kind = table.schema_arrow.field(image).type
    if "path" not in [field.name for field in getattr(kind, "fields", [])]:
        return [None] * table.metadata.num_rows
    return [str(path) if path else None for path in _values(table, f"{image}.path", _NAMES).to_pylist()]


def _entries(metadata: Any, labels: Iterator[str], names: list[str | None]) -> Iterator[Entry]:
    rows = (
        (group, row) for group in range(metadata.num_row_groups) for row in range(metadata.row_group(group).num_rows)
    )
    for number, (handle, label, file_name) in enumerate(zip(rows, labels, names, strict=True)):
        label = re.sub(r"[/\\:]", "-", label)  # separators of folders, here and under Windows
        name = f"{number:06}-{PurePosixPath(file_name).name}" if file_name else f"{number:06}"
        yield Entry(f"{label}/{name}" if label else name, handle)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
