"""Sources to one sorted list of paths: folders, archives, buckets and images; text and Parquet files as lists of paths."""

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from twofold.core.errors import DataError, TwofoldError
from twofold.core.privacy import public_address
from twofold.data import address_advice, is_address, is_archive, iterate_files
from twofold.workflows.scale.sources.archive_copies import ArchiveCopies, is_remote_archive
from twofold.workflows.scale.sources.list_files import is_path_table, table_paths, text_lines
from twofold.workflows.scale.sources.remote_files import first_line, is_remote, list_remote, settings

_TEXT_LISTS: Final = {".txt", ".list"}
_ARCHIVES: Final = (".tar", ".zip")
_MAX_NAMED: Final = 5


def check_sources(sources: Sequence[str]) -> None:
    """Raises DataError where a source is missing, or is a list that has no paths. Nothing is listed yet."""
    missing = [source for source in sources if not _exists(source)]
    if missing:
        more = f" and {len(missing) - _MAX_NAMED} more" if len(missing) > _MAX_NAMED else ""
        raise DataError(
            f"There is no file or folder {', '.join(missing[:_MAX_NAMED])}{more}: give folders, images, or a text or Parquet "
            "file with a list of paths."
        )
    for source in sources:
        if Path(source).suffix.lower() == ".parquet" and os.path.isfile(source):
            is_path_table(Path(source))


def list_paths(sources: Iterable[str]) -> list[bytes]:
    """The lines of all paths of the sources, sorted, each once; see `to_line`.

    A list is a text file (.txt or .list) with a path on each line, or a Parquet file with a column `path`. Its paths are relative
    to its own folder. Raises DataError where a list cannot be read or names addresses, and where there is no path at all.
    """
    names = list(sources)
    with ArchiveCopies(limit=0) as copies:
        lines = [to_line(path) for source in names for path in _paths(source, copies)]
    if not lines:
        raise DataError(f"There is no path in {', '.join(names)}: give folders of images, or a list of paths.")
    lines.sort()
    return _each_once(lines)


def to_line(path: str) -> bytes:
    r"""The path as a line without its end: a backslash is written as \\, a line break as \n and \r.

    >>> to_line("new/a\\b\n.jpg")
    b'new/a\\\\b\\n.jpg'
    """
    data = os.fsencode(path)
    return data.replace(b"\\", b"\\\\").replace(b"\n", b"\\n").replace(b"\r", b"\\r") if _special(data) else data


def to_path(line: bytes) -> str:
    r"""The path of a line.

    >>> to_path(to_line("a\\n\n.jpg")) == "a\\n\n.jpg"
    True
    """
    if b"\\" in line:
        blocks = line.split(b"\\\\")
        line = b"\\".join(block.replace(b"\\n", b"\n").replace(b"\\r", b"\r") for block in blocks)
    return os.fsdecode(line)


def _special(data: bytes) -> bool:
    return b"\\" in data or b"\n" in data or b"\r" in data


def _each_once(lines: list[bytes]) -> list[bytes]:
    """The sorted lines without those that are equal to the one before; in place, because a copy would double the memory."""
    kept = 0
    for line in lines:
        if kept == 0 or line != lines[kept - 1]:
            lines[kept] = line
            kept += 1
    del lines[kept:]
    return lines


def _exists(source: str) -> bool:
    if is_remote(source):
        return True  # its listing says what is wrong
    if is_address(source):
        raise DataError(f"{public_address(source)} is an address: {address_advice(source)}.")
    return os.path.lexists(source) or is_archive(Path(source))


def _paths(source: str, copies: ArchiveCopies) -> Iterator[str]:
    file, suffix = Path(source), Path(source).suffix.lower()
    if is_remote(source):
        return _objects(source, copies)
    if suffix in _TEXT_LISTS and os.path.isfile(file):
        return _joined(file, text_lines(file), copies)
    if suffix == ".parquet" and os.path.isfile(file) and is_path_table(file):
        return _joined(file, table_paths(file), copies)
    return map(str, iterate_files([file]))


def _objects(address: str, copies: ArchiveCopies) -> Iterator[str]:
    """The objects at or below the address, and the members of archives."""
    for name in list_remote(address):
        yield from _members(name, copies) if is_remote_archive(name) else [name]


def _members(address: str, copies: ArchiveCopies) -> list[str]:
    try:
        return copies.members(address)
    except TwofoldError:
        raise
    except Exception as error:  # each client has errors of its own
        raise DataError(
            f"{public_address(address)} cannot be read ({first_line(error)}): check its permissions, and {settings(address)}."
        ) from error


def _joined(file: Path, names: Iterable[str], copies: ArchiveCopies) -> Iterator[str]:
    """The paths that a list names, relative to its folder as the paths of tables are. Archives are replaced by their members, and
    addresses that end with a slash by the objects below."""
    folder = os.path.dirname(file)
    for name in names:
        if is_remote(name):
            yield from _objects(name, copies) if name.endswith("/") or is_remote_archive(name) else [name]
        elif is_address(name):
            raise DataError(f"{file} names the address {public_address(name)}: {address_advice(name)}.")
        else:
            path = os.path.normpath(os.path.join(folder, name))
            yield from map(str, iterate_files([Path(path)])) if name.lower().endswith(_ARCHIVES) else [path]
