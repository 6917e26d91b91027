"""Parquet files with pictures in a column, as Hugging Face's datasets have them: a row is LABEL/ROW, read in place."""

import json
import re
from collections.abc import Iterator
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from threading import Lock
from typing import Any, Final

from twofold.data.members import Entry, Members, gather
from twofold.data.refusals import Refusal
from twofold.errors import DataError

_LABELS: Final = ("label", "labels")
_GROUPS: Final = 2  # row groups held in memory: where one ends, threads still read in both


def parquet_members(file: Path) -> Members:
    """A member for every row, LABEL/ROW or LABEL/ROW-NAME, or without LABEL/ where the row has none.

    Row first in the name, so that sorted rows lie in the order of the file: reading one reads its whole row group.
    """
    pyarrow, parquet = _pyarrow(file)
    try:
        metadata = parquet.read_metadata(file)
        opened = parquet.ParquetFile(file, metadata=metadata)
        image, label = _columns(file, opened.schema_arrow)
        labels = opened.read(columns=[label]).column(0).to_pylist()
        entries = list(_entries(metadata, _named(labels, opened.schema_arrow, label), _own_names(opened, image)))
    except DataError:
        raise
    except Exception as error:  # damaged bytes end in UnicodeDecodeError and others, too
        raise DataError(
            f"{file} cannot be read as Parquet ({_line(error)}): it is cut short or damaged; fetch it again."
        ) from error
    lock = Lock()

    @lru_cache(_GROUPS)
    def group(number: int) -> Any:
        with parquet.ParquetFile(file, metadata=metadata) as again:
            column = again.read_row_group(number, columns=[image]).column(0).combine_chunks()
        return column.field("bytes") if pyarrow.types.is_struct(column.type) else column

    def read(place: tuple[int, int], most: int) -> bytes | Refusal:
        number, row = place
        try:
            if (size := metadata.row_group(number).total_byte_size) > most:
                return Refusal(
                    "too-large",
                    f"It lies in a row group of {size:,} bytes, the limit is {most:,}: write smaller row groups.",
                )
            with lock:
                value = group(number)[row].as_py()
        except Exception as error:  # as above
            return Refusal("damaged", f"Its row group cannot be read ({_line(error)}): fetch the Parquet file again.")
        return (
            Refusal("missing", "The row holds no bytes of a picture: write them into it.") if value is None else value
        )

    return gather(entries, read)


def _pyarrow(file: Path) -> tuple[Any, Any]:
    if find_spec("pyarrow") is None:
        raise DataError(f"Reading {file} needs pyarrow; install it with: pip install 'twofold[hub]'.")
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
    column = opened.read(columns=[f"{image}.path"]).column(0).combine_chunks()
    return [str(path) if path else None for path in column.field("path").to_pylist()]


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
