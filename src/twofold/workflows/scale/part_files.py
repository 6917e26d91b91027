"""The files of finished parts: Parquet, written beside their place, on the disk before they take it."""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from secrets import token_hex
from typing import Any, BinaryIO, Final

from twofold.core.files import write_errors
from twofold.workflows.scale.row_format import PartRow, RowFormat

PARTS: Final = "parts"
_TEMPORARY: Final = ".part-"
_DIGEST: Final = b"twofold.part"  # in the metadata of the file; the next, too
_SHA: Final = b"twofold.sha256"  # of the file with this in its place:
_NO_SHA: Final = b"0" * 64


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
    """Whether the file of a part can be read, is of this part, has this number of rows and the columns of the format, and no byte
    of it has changed since it was written."""
    import pyarrow
    from pyarrow import parquet

    try:
        data = (folder / part_name(digest)).read_bytes()
        metadata = parquet.read_metadata(pyarrow.BufferReader(data))
        names = metadata.schema.to_arrow_schema().names  # texts of damaged bytes
    except (OSError, ValueError):
        return False
    entries = metadata.metadata or {}
    of_part = entries.get(_DIGEST) == digest.encode() and metadata.num_rows == count
    return of_part and names == row_format.schema().names and _is_unchanged(data, entries.get(_SHA, b""))


def _is_unchanged(data: bytes, sha: bytes) -> bool:
    place = data.rfind(sha)
    return len(sha) == len(_NO_SHA) and place >= 0 and _sha(data, place) == sha


def _sha(data: bytes, place: int) -> bytes:
    """The SHA-256 of a file with zeros in the place of its own, in the metadata, which stand behind all rows and their
    statistics."""
    view = memoryview(data)
    digest = hashlib.sha256(view[:place])
    digest.update(_NO_SHA)
    digest.update(view[place + len(_NO_SHA) :])
    return digest.hexdigest().encode()


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


def _encode(digest: str, rows: Sequence[PartRow], row_format: RowFormat[Any], model: str) -> bytes:
    import pyarrow
    from pyarrow import parquet

    schema = row_format.schema().with_metadata({_DIGEST: digest.encode(), _SHA: _NO_SHA})
    sink = pyarrow.BufferOutputStream()
    # A dictionary of numbers takes long.
    texts = [field.name for field in schema if pyarrow.types.is_string(field.type)]
    table = pyarrow.table(dict(row_format.values(rows, model)), schema)
    parquet.write_table(table, sink, compression="zstd", use_dictionary=texts)
    data: bytes = sink.getvalue().to_pybytes()
    place = data.rfind(_NO_SHA)
    return data[:place] + _sha(data, place) + data[place + len(_NO_SHA) :]
