"""The files of finished parts: Parquet, written beside their place, on the disk before they take it."""

import os
from collections.abc import Sequence
from pathlib import Path
from secrets import token_hex
from typing import Any, BinaryIO, Final

from twofold.core.files import write_errors
from twofold.workflows.scale.row_format import PartRow, RowFormat

PARTS: Final = "parts"
_TEMPORARY: Final = ".part-"
_DIGEST: Final = b"twofold.part"  # in the metadata of the file


def part_name(digest: str) -> str:
    """The file name of a part."""
    return f"part-{digest}.parquet"


def write_part(folder: Path, digest: str, rows: Sequence[PartRow], row_format: RowFormat[Any], model: str) -> None:
    """Writes the rows of a part, whole or not at all; the same bytes for the same rows.

    Raises TwofoldError where that fails, as on a full disk.
    """
    path, data = folder / part_name(digest), _encode(digest, rows, row_format, model)
    temporary = folder / f"{_TEMPORARY}{digest}.{token_hex(4)}"
    with write_errors(path):
        try:
            with temporary.open("xb") as file:
                file.write(data)
                sync(file)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync_folder(folder)


def finished_parts(folder: Path) -> set[str]:
    """The names of all files of parts in the folder, whole or damaged."""
    return {entry.name for entry in os.scandir(folder) if not entry.name.startswith(".")}


def is_whole(folder: Path, digest: str, count: int, row_format: RowFormat[Any]) -> bool:
    """Whether the file of a part can be opened, is of this part, and has this number of rows and the columns of the format."""
    from pyarrow import parquet

    try:
        metadata = parquet.read_metadata(folder / part_name(digest))
    except (OSError, ValueError):
        return False
    of_part = (metadata.metadata or {}).get(_DIGEST) == digest.encode()
    return bool(
        of_part and metadata.num_rows == count and metadata.schema.to_arrow_schema().names == row_format.schema().names
    )


def clear_temporary(folder: Path) -> None:
    """Removes what killed processes left half-written."""
    for entry in os.scandir(folder):
        if entry.name.startswith(_TEMPORARY):
            Path(entry.path).unlink(missing_ok=True)


def sync(file: BinaryIO) -> None:
    """Brings the file to the disk."""
    file.flush()
    os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Brings the names in the folder to the disk, where the system can."""
    if os.name == "nt":
        return
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _encode(digest: str, rows: Sequence[PartRow], row_format: RowFormat[Any], model: str) -> Any:
    import pyarrow
    from pyarrow import parquet

    schema = row_format.schema().with_metadata({_DIGEST: digest.encode()})
    sink = pyarrow.BufferOutputStream()
    texts = [
        field.name for field in schema if pyarrow.types.is_string(field.type)
    ]  # a dictionary of numbers takes long
    table = pyarrow.table(dict(row_format.values(rows, model)), schema)
    parquet.write_table(table, sink, compression="zstd", use_dictionary=texts)
    return sink.getvalue()
