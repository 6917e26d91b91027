"""Parquet files with pictures in a column, as Hugging Face's datasets have them: a row is LABEL/ROW, read in place."""

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
_GROUPS: Final = 2  # row groups held in memory: where one ends, threads still read in both
_NAMES: Final = 100_000_000  # bytes of all labels, or of all file names
_PARTS: Final = 4
_AT_ONCE: Final = 10_000  # rows


def parquet_members(file: Path) -> Members:
    """A member for every row, LABEL/ROW or LABEL/ROW-NAME, or without LABEL/ where the row has none.

    Row first in the name, so that sorted rows lie in the order of the file: reading one reads its whole row group.
    """
    pyarrow, parquet = _pyarrow(file)
    try:
        metadata = parquet.read_metadata(file)
        opened = parquet.ParquetFile(file, metadata=metadata)
        image, label = _columns(file, opened.schema_arrow)
        if metadata.num_rows > file.stat().st_size:
            raise DataError(f"{file} says that it has more rows than bytes: fetch it again, and do not trust it.")
        labels = _values(opened, label, _NAMES).to_pylist()
        _refuse_splits(file, opened, image)
        entries = list(_entries(metadata, _named(labels, opened.schema_arrow, label), _own_names(opened, image)))
    except DataError:
        raise
    except _TooLargeError as error:
        raise DataError(
            f"The labels or names in {file} take more than {_NAMES:,} bytes: write shorter ones."
        ) from error
    except Exception as error:  # damaged bytes end in UnicodeDecodeError and others, too
        raise DataError(
            f"{file} cannot be read as Parquet ({_line(error)}): it is cut short or damaged; fetch it again."
        ) from error
    struct = pyarrow.types.is_struct(opened.schema_arrow.field(image).type)
    return gather(entries, _reader(file, metadata, f"{image}.bytes" if struct else image))


def _reader(file: Path, metadata: Any, column: str) -> Callable[[tuple[int, int], int], bytes | ReadError]:
    """What gives the picture of a row, by the numbers of its row group and of the row in it, from the column or its field."""
    import pyarrow.parquet

    lock = Lock()

    @lru_cache(_GROUPS)
    def group(number: int, most: int) -> Any:
        try:
            if metadata.row_group(number).total_byte_size > most:
                raise _TooLargeError
            with pyarrow.parquet.ParquetFile(file, metadata=metadata) as again:
                return _values(again, column, most, number)
        except _TooLargeError:  # returned, so that it is found out once
            return ReadError(
                "too-large", f"It lies in a row group of more than {most:,} bytes, the limit: write smaller row groups."
            )

    def read(place: tuple[int, int], most: int) -> bytes | ReadError:
        number, row = place
        try:
            with lock:
                found = group(number, most)
            value = found if isinstance(found, ReadError) else found[row].as_py()
        except Exception as error:  # as above
            return ReadError("damaged", f"Its row group cannot be read ({_line(error)}): fetch the Parquet file again.")
        return (
            ReadError("missing", "The row holds no bytes of a picture: write them into it.") if value is None else value
        )

    return read


class _TooLargeError(Exception):
    """A column takes more memory than it may."""


def _values(opened: Any, column: str, most: int, group: int | None = None) -> Any:
    """The values of a column, or of its field, as in "image.bytes", in one row group or all.

    Raises _TooLargeError where they take more than `most` bytes. What a file says of its sizes does not bound that: one value
    may be written once for all rows, or as a beginning that it shares with others. So no more rows are read at once than
    stay within a part of that if each is as large as all that the row group says of them.
    """
    import pyarrow

    groups = list(range(opened.metadata.num_row_groups)) if group is None else [group]
    largest = max([1, *(_told_size(opened.metadata.row_group(number), column) for number in groups)])
    at_once = min(max(most // _PARTS // largest, 1), _AT_ONCE)
    parts, size = [], 0
    for batch in opened.iter_batches(batch_size=at_once, row_groups=groups, columns=[column]):
        size += batch.nbytes
        if size > most:
            raise _TooLargeError
        values = batch.column(0)
        parts.append(values.field(0) if pyarrow.types.is_struct(values.type) else values)
    return pyarrow.chunked_array(parts) if parts else pyarrow.array([])


def _told_size(group: Any, column: str) -> int:
    columns = [group.column(number) for number in range(group.num_columns)]
    return sum(one.total_uncompressed_size for one in columns if f"{one.path_in_schema}.".startswith(f"{column}."))


def _pyarrow(file: Path) -> tuple[Any, Any]:
    if find_spec("pyarrow") is None:
        raise DataError(f"Reading {file} needs pyarrow; {install('hub')}.")
    import pyarrow
    import pyarrow.parquet

    return pyarrow, pyarrow.parquet


def _columns(file: Path, schema: Any) -> tuple[str, str]:
    """The names of the columns with the pictures and with the labels."""
    from pyarrow import types

    def is_bytes(kind: Any) -> bool:
        return bool(types.is_binary(kind) or types.is_large_binary(kind))

    def is_picture(kind: Any) -> bool:
        return is_bytes(kind) or (types.is_struct(kind) and any(f.name == "bytes" and is_bytes(f.type) for f in kind))

    images = [field.name for field in schema if is_picture(field.type)]
    classes = [name for name, feature in _features(schema).items() if feature.get("_type") == "ClassLabel"]
    labels = [name for name in (*_LABELS, *classes) if name in schema.names]
    if not images or not labels:
        what = "pictures (bytes, or a struct with bytes)" if not images else "labels (label or labels)"
        raise DataError(f"{file} has no column of {what}; its columns are {', '.join(schema.names) or 'none'}.")
    return images[0], labels[0]


def _refuse_splits(file: Path, opened: Any, image: str) -> None:
    """DataError where a column says that the rows are of several splits."""
    for column in (name for name in opened.schema_arrow.names if name != image and is_split_column(name)):
        values = ["" if value is None else str(value) for value in _values(opened, column, _NAMES).to_pylist()]
        if split_column([column], [{0: value} for value in values]):
            told = ", ".join(sorted(set(values)))
            raise DataError(f"{file} has rows of several splits ({column}: {told}): write a file for each split.")


def _features(schema: Any) -> dict[str, Any]:
    """What Hugging Face's datasets noted about the columns, which may be nothing."""
    try:
        features = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))["info"]["features"]
        return {name: feature for name, feature in features.items() if isinstance(feature, dict)}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}


def _named(labels: list[Any], schema: Any, column: str) -> Iterator[str]:
    """The name of each row's class; empty where it has none, which Hugging Face writes as -1."""
    names = _features(schema).get(column, {}).get("names")
    for label in labels:
        if isinstance(names, list) and isinstance(label, int):
            yield str(names[label]) if 0 <= label < len(names) else ""
        else:
            yield "" if label is None else str(label)


def _own_names(opened: Any, image: str) -> list[str | None]:
    """The file names that the rows remember."""
    kind = opened.schema_arrow.field(image).type
    if "path" not in [field.name for field in getattr(kind, "fields", [])]:
        return [None] * opened.metadata.num_rows
    return [str(path) if path else None for path in _values(opened, f"{image}.path", _NAMES).to_pylist()]


def _entries(metadata: Any, labels: Iterator[str], names: list[str | None]) -> Iterator[Entry]:
    rows = (
        (group, row) for group in range(metadata.num_row_groups) for row in range(metadata.row_group(group).num_rows)
    )
    for number, (place, label, own) in enumerate(zip(rows, labels, names, strict=True)):
        label = re.sub(r"[/\\:]", "-", label)  # what parts the names of folders, here or under Windows
        name = f"{number:06}-{PurePosixPath(own).name}" if own else f"{number:06}"
        yield Entry(f"{label}/{name}" if label else name, place)


def _line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
