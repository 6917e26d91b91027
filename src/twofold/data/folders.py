"""What lies in a folder: its files in sorted order, and the junk that operating systems and tools leave there."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from twofold.errors import DataError

_JUNK_FILES: Final = {"thumbs.db", "ehthumbs.db", "desktop.ini"}
_JUNK_FOLDERS: Final = {"__macosx", "__pycache__", "@eadir", "$recycle.bin", "system volume information"}


@dataclass(frozen=True, slots=True)
class Skip:
    """A path that was met and is not read: junk, a link that leads in a circle, a file outside the classes."""

    path: Path
    code: str
    sentence: str


def entries(folder: Path) -> list[Path]:
    """The folder's entries, sorted by name, so that the order is that of no file system."""
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise DataError(f"The folder {folder} cannot be listed ({error.strerror}): check its permissions.") from error


def is_junk(path: Path) -> bool:
    """Whether the name is that of a hidden file or folder, or of a known leftover."""
    name = path.name.lower()
    return name.startswith(".") or name in (_JUNK_FOLDERS if path.is_dir() else _JUNK_FILES)


def walk(folder: Path) -> Iterator[Path | Skip]:
    """Every file below the folder, depth first in sorted order; junk as a Skip, a junk folder as one."""
    return _walk(folder, frozenset(folder.resolve().parents))


def list_files(paths: Iterable[Path]) -> list[Path]:
    """The paths in the order given, each folder replaced by the files in it without the junk.

    A path that does not exist is kept: it is refused when read, so that it gets its row like every other.
    """
    files: list[Path] = []
    for path in paths:
        found = walk(path) if path.is_dir() else [path]
        files.extend(file for file in found if isinstance(file, Path))
    return files


def _walk(folder: Path, above: frozenset[Path]) -> Iterator[Path | Skip]:
    place = folder.resolve()
    if place in above:
        yield Skip(folder, "loop", "This link leads back to a folder that it lies in.")
        return
    for path in entries(folder):
        if is_junk(path):
            yield Skip(path, "junk", "Hidden, or left behind by an operating system or a tool.")
        elif path.is_dir():
            yield from _walk(path, above | {place})
        else:
            yield path
