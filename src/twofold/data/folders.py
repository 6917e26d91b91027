"""What lies in a folder: its files in sorted order, and the junk that operating systems and tools leave there."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from twofold.core.errors import DataError
from twofold.data.archives import archive_of, archived_entries, is_archived_folder, no_folder, passed_over
from twofold.data.members import DEEPEST, SENTENCES, Members

_ARCHIVES: Final = {".zip", ".tar", ".parquet"}
_JUNK_FILES: Final = {"thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "icon\r"}
_JUNK_FOLDERS: Final = {
    "__macosx",
    "__pycache__",
    "@eadir",
    "#recycle",
    "$recycle.bin",
    "lost+found",
    "system volume information",
}

LEFTOVER: Final = "Hidden, or left behind by an operating system or a tool."


@dataclass(frozen=True, slots=True)
class Skip:
    """A path that was met and is not read: junk, a link that leads in a circle, a folder that cannot be listed, and so on."""

    path: Path
    code: str
    sentence: str


def entries(folder: Path) -> list[Path]:
    """The entries of a folder, or of an archive, sorted by name, so that the order is that of no file system."""
    try:
        return [folder / name for name in sorted(os.listdir(folder))]  # paths take longer to compare
    except NotADirectoryError:
        return archived_entries(folder)
    except OSError as error:
        raise DataError(f"The folder {folder} cannot be listed ({error.strerror}): check its permissions.") from error


def is_folder(path: Path) -> bool:
    """Whether the path is a folder, be it inside an archive; an archive that lies in a folder is a file of it."""
    # os.path: where a folder above cannot be searched, or the name is too long, Path's own methods raise.
    return os.path.isdir(path) or (not os.path.exists(path) and is_archived_folder(path))


def is_junk(path: Path) -> bool:
    """Whether the name is that of a hidden file or folder, or of a known leftover."""
    known = path.name.lower() in _JUNK_FOLDERS | _JUNK_FILES
    return _is_leftover(path.name, known and is_folder(path))


def walk(folder: Path) -> Iterator[Path | Skip]:
    """Every file below the folder, depth first in sorted order; junk as a Skip, a junk folder as one.

    A folder in it that cannot be listed or lies too deep is a Skip, too; DataError where that is the folder itself.
    """
    if archive := archive_of(folder):
        yield from _walk_archive(folder, *archive)
        return
    place, depth = folder.resolve(), len(folder.parts)
    above = frozenset([place, *place.parents])
    waiting = [(path, above) for path in reversed(entries(folder))]
    while waiting:
        path, above = waiting.pop()
        if is_junk(path):
            yield Skip(path, "junk", LEFTOVER)
        elif not is_folder(path):
            yield path
        elif (place := path.resolve()) in above:
            yield Skip(path, "loop", "This link leads back to a folder that it lies in.")
        elif len(path.parts) - depth > DEEPEST:
            yield Skip(path, "too-deep", SENTENCES["too-deep"])
        else:
            try:
                above |= {place}
                waiting += [(below, above) for below in reversed(entries(path))]
            except DataError as error:
                yield Skip(path, "unreadable", str(error))


def _walk_archive(folder: Path, members: Members, inside: str) -> Iterator[Path | Skip]:
    """The same of an archive, where no link leads anywhere and the disk need not be asked about each member."""
    folders = members.folders
    if inside not in folders:
        raise no_folder(folder)
    waiting = sorted(folders[inside], reverse=True)  # names below the folder
    while waiting:
        below = waiting.pop()
        name = f"{inside}/{below}" if inside else below
        if _is_leftover(below.rpartition("/")[2], name in folders):
            yield Skip(folder / below, "junk", LEFTOVER)
        elif name in folders:
            waiting += [f"{below}/{entry}" for entry in sorted(folders[name], reverse=True)]
        else:
            yield folder / below


def parquet_files(folder: Path) -> list[Path]:
    """The Parquet files of a folder that holds nothing else but junk, as parts of one whole; none of any other folder."""
    inside = []
    for path in entries(folder) if os.path.isdir(folder) else []:
        if is_junk(path):
            continue
        if path.suffix.lower() != ".parquet":
            return []
        inside.append(path)
    return inside


def list_files(paths: Iterable[Path]) -> list[Path]:
    """The paths in the order given, each folder, archive or folder of Parquet files replaced by the files in it without the junk.

    A path that does not exist, or a folder that cannot be listed, is kept: it is refused when read, so that it gets its row
    like every other.
    """
    files: list[Path] = []
    for given in paths:
        try:
            found = [met for path in parquet_files(given) or [given] for met in _met(path)]
        except DataError:
            found = [given]
        files.extend(met if isinstance(met, Path) else met.path for met in found if _asked_about(met))
    return files


def archive_skips(path: Path) -> list[Skip]:
    """What is never followed below an archive or a folder inside one: links, devices, names that lead out of it."""
    return [Skip(*member) for member in passed_over(path)]


def _opens(path: Path) -> bool:
    """Whether the path is a folder or an archive; a damaged archive is a file, and refused when it is read."""
    try:
        return is_folder(path) or (path.suffix.lower() in _ARCHIVES and is_archived_folder(path))
    except DataError:
        return False


def _is_leftover(given: str, folder: bool) -> bool:
    name = given.lower()
    return name.startswith(".") or name in (_JUNK_FOLDERS if folder else _JUNK_FILES)


def _met(path: Path) -> list[Path | Skip]:
    return [*walk(path), *archive_skips(path)] if _opens(path) else [path]


def _asked_about(met: Path | Skip) -> bool:
    return isinstance(met, Path) or met.code in ("unreadable", "too-deep")
