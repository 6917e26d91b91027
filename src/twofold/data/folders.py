"""The files of a folder or an archive in sorted order, and the paths that are skipped, such as hidden and system files."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from twofold.core.errors import DataError
from twofold.data.archives import archive_of, archived_entries, is_archived_folder, no_folder, skipped_members
from twofold.data.members import MAX_DEPTH, SKIP_SENTENCES, Members
from twofold.data.samples import companions

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

JUNK_SENTENCE: Final = "It is hidden, or was made by an operating system or a tool."


@dataclass(frozen=True, slots=True)
class Skip:
    """A path that is not read, and why: a code such as `junk`, `loop` or `unreadable`, and a sentence."""

    path: Path
    code: str
    sentence: str


def entries(folder: Path) -> list[Path]:
    """The entries of a folder or an archive, sorted by name, because the order of file systems differs.

    Raises DataError where it cannot be listed.
    """
    return list(_iterate_entries(folder))


def is_folder(path: Path) -> bool:
    """Whether the path is a folder, on the disk or inside an archive. An archive on the disk is a file."""
    # os.path, because the methods of Path raise where a parent cannot be searched or the name is too long.
    return os.path.isdir(path) or (not os.path.exists(path) and is_archived_folder(path))


def is_junk(path: Path) -> bool:
    """Whether the path is hidden, or is made by an operating system or a tool."""
    system_name = path.name.lower() in _JUNK_FOLDERS | _JUNK_FILES
    return _has_junk_name(path.name, folder=system_name and is_folder(path))


def walk(folder: Path) -> Iterator[Path | Skip]:
    """Every file below the folder, depth first in sorted order, and a Skip for each path that is not read.

    A skipped folder is one Skip, regardless of its content. Raises DataError where the folder itself cannot be listed.
    """
    if archive := archive_of(folder):
        yield from _walk_archive(folder, *archive)
        return
    resolved, depth = folder.resolve(), len(folder.parts)
    stack = [(_iterate_entries(folder), frozenset([resolved, *resolved.parents]))]
    while stack:
        folder_entries, ancestors = stack[-1]
        path = next(folder_entries, None)
        if path is None:
            stack.pop()
        elif is_junk(path):
            yield Skip(path, "junk", JUNK_SENTENCE)
        elif not is_folder(path):
            yield path
        elif (resolved := path.resolve()) in ancestors:
            yield Skip(path, "loop", "It is a link to a folder that contains it.")
        elif len(path.parts) - depth > MAX_DEPTH:
            yield Skip(path, "too-deep", SKIP_SENTENCES["too-deep"])
        else:
            try:
                stack.append((_iterate_entries(path), ancestors | {resolved}))
            except DataError as error:
                yield Skip(path, "unreadable", str(error))


def _walk_archive(folder: Path, members: Members, inside: str) -> Iterator[Path | Skip]:
    """The files of `walk` in an archive. Links are not followed. The list of members saves a disk access per file."""
    folders = members.folders
    if inside not in folders:
        raise no_folder(folder)
    stack = sorted(folders[inside], reverse=True)  # relative to the folder
    while stack:
        relative = stack.pop()
        member = f"{inside}/{relative}" if inside else relative
        if _has_junk_name(relative.rpartition("/")[2], folder=member in folders):
            yield Skip(folder / relative, "junk", JUNK_SENTENCE)
        elif member in folders:
            stack += [f"{relative}/{entry}" for entry in sorted(folders[member], reverse=True)]
        else:
            yield folder / relative


def parquet_files(folder: Path) -> list[Path]:
    """The Parquet files of a folder that holds only them and junk: the shards of one dataset. Empty for any other folder."""
    files = []
    for path in _iterate_entries(folder) if os.path.isdir(folder) else ():
        if is_junk(path):
            continue
        if path.suffix.lower() != ".parquet":
            return []
        files.append(path)
    return files


def list_files(paths: Iterable[Path]) -> list[Path]:
    """The files of `iterate_files` as a list."""
    return list(iterate_files(paths))


def iterate_files(paths: Iterable[Path]) -> Iterator[Path]:
    """The paths in this order, with each folder, archive or folder of Parquet files replaced by its files without the junk.

    Paths that do not exist and folders that cannot be listed are kept: reading them gives a read error, so that each has a row in
    the result. A file is yielded as soon as its folder is listed.
    """
    for path in paths:
        try:
            for root in parquet_files(path) or [path]:
                yield from (
                    entry if isinstance(entry, Path) else entry.path for entry in _walk_any(root) if _needs_row(entry)
                )
        except DataError:  # raised before the first file
            yield path


def archive_skips(path: Path) -> list[Skip]:
    """The members of an archive, or of a folder inside one, that are never read: links, devices, names that lead out of it."""
    return [Skip(*member) for member in skipped_members(path)]


def _opens(path: Path) -> bool:
    """Whether the path is a folder or an archive. A damaged archive counts as a file: reading it gives a read error."""
    try:
        return is_folder(path) or (path.suffix.lower() in _ARCHIVES and is_archived_folder(path))
    except DataError:
        return False


def _has_junk_name(name: str, *, folder: bool) -> bool:
    return name.startswith(".") or name.lower() in (_JUNK_FOLDERS if folder else _JUNK_FILES)


def _walk_any(path: Path) -> Iterator[Path | Skip]:
    """The files below a folder or an archive, or the file itself."""
    if _opens(path):
        dropped = _companions(path)
        yield from (entry for entry in walk(path) if entry not in dropped) if dropped else walk(path)
        yield from archive_skips(path)
    else:
        yield path


def _companions(path: Path) -> set[Path | Skip]:
    """What belongs to images in the archive at the path, as in WebDataset's: labels and captions, which are no images."""
    members, inside = archive_of(path) or (None, "")
    names = companions(members.handles) if members else ()
    return {path / name.removeprefix(f"{inside}/") for name in names if not inside or name.startswith(f"{inside}/")}


def _iterate_entries(folder: Path) -> Iterator[Path]:
    """As `entries`, listed now, with each path made when it is asked for."""
    try:
        return map(folder.joinpath, sorted(os.listdir(folder)))  # sorting paths would take longer
    except NotADirectoryError:
        return iter(archived_entries(folder))
    except OSError as error:
        raise DataError(f"The folder {folder} cannot be listed ({error.strerror}): check its permissions.") from error


def _needs_row(entry: Path | Skip) -> bool:
    """Whether the entry needs a row in the result: every file, and every folder whose files are unknown."""
    return isinstance(entry, Path) or entry.code in ("unreadable", "too-deep")
