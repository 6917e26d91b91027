"""Archives as folders: an image in one is a path below it, as in pets.zip/cats/1.jpg, and is read in place."""

import os
from bisect import bisect_left
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from stat import S_ISREG
from typing import Final, Literal

from twofold.core.errors import DataError
from twofold.data.members import MAX_DEPTH, SKIP_SENTENCES, Members
from twofold.data.read_errors import ReadError
from twofold.data.tars import tar_members
from twofold.data.zips import zip_members

ArchiveKind = Literal["zip", "tar", "parquet", "compressed"]

_SIGNATURES: Final[tuple[tuple[bytes, ArchiveKind], ...]] = (
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),  # an empty one
    (b"PAR1", "parquet"),
    (b"\x1f\x8b", "compressed"),
    (b"BZh", "compressed"),
    (b"\xfd7zXZ\x00", "compressed"),
    (b"\x28\xb5\x2f\xfd", "compressed"),
)
_CACHED: Final = 8  # archives whose lists of members are kept in memory


def archive_kind(file: Path) -> ArchiveKind | None:
    """The archive format of the file, by its content; None for any other file. Raises DataError where it cannot be read."""
    try:
        with file.open("rb") as stream:
            head = stream.read(512)
    except OSError as error:
        raise DataError(f"{file} cannot be read ({error.strerror}): check its permissions.") from error
    for signature, kind in _SIGNATURES:
        if head.startswith(signature):
            return kind
    return "tar" if head[257:262] == b"ustar" or file.suffix.lower() == ".tar" else None


def is_archive(path: Path) -> bool:
    """Whether the path is an archive, or a folder or file inside one."""
    return archive_of(path) is not None


def is_archived_folder(path: Path) -> bool:
    """Whether the path is an archive, or a folder inside one."""
    members, name = archive_of(path) or (None, "")
    return members is not None and name in members.folders


def archived_entries(path: Path) -> list[Path]:
    """The entries of the archive, or of the folder inside one, sorted by name. Raises DataError where there is no such folder."""
    members, name = archive_of(path) or (None, "")
    if members is None or name not in members.folders:
        raise no_folder(path)
    return [path / entry for entry in sorted(members.folders[name])]


def no_folder(path: Path) -> DataError:
    """The error for a path inside an archive that is not a folder."""
    return DataError(f"There is no folder {path}: check the path inside the archive.")


def skipped_members(path: Path) -> Iterator[tuple[Path, str, str]]:
    """(path, code, sentence) of each member below the path that is never read: links, devices, names that lead out of it."""
    members, name = archive_of(path) or (None, "")
    for member, code in members.skips if members else ():
        if not name or member.startswith(f"{name}/"):
            yield Path(f"{path}/{member.removeprefix(name)}"), code, SKIP_SENTENCES[code]


def read_member(path: Path, limit: int) -> bytes | ReadError | None:
    """The bytes of a member, at most `limit`, or a read error; None where no archive has a member of this path."""
    try:
        members, name = archive_of(path) or (None, "")
    except DataError as error:
        return ReadError("damaged", str(error))
    if members is None:
        return None
    if name not in members.handles:
        return ReadError("too-deep", SKIP_SENTENCES["too-deep"]) if name.count("/") > MAX_DEPTH else None
    return members.read(members.handles[name], limit)


def archive_of(path: Path) -> tuple[Members, str] | None:
    """The members of the archive at or above the path, and the name of the path inside it; None outside of archives."""
    try:
        file = _nearest_existing(path)
        status = file.stat()
    except (OSError, ValueError):  # ValueError: a null character in the name
        return None
    if not S_ISREG(status.st_mode):
        return None
    members = _members(file, os.getpid(), status.st_ino, status.st_mtime_ns, status.st_size)
    if members is None:
        return None
    return members, "" if path == file else path.relative_to(file).as_posix()


def _nearest_existing(path: Path) -> Path:
    """The path, or the nearest parent that exists; by bisection, because a path may be hundreds of folders long."""
    parents = path.parents

    def exists(steps: int) -> bool:
        try:
            (parents[steps - 1] if steps else path).stat()
        except (FileNotFoundError, NotADirectoryError):
            return False
        return True

    steps = bisect_left(range(len(parents)), True, key=exists)
    return parents[steps - 1] if steps else path


# The key includes the process: a lock that another thread holds during a fork stays locked in the child.
@lru_cache(_CACHED)
def _members(file: Path, *_: int) -> Members | None:
    kind = archive_kind(file)
    return _OPENERS[kind](file) if kind else None


def _check_not_compressed(file: Path) -> Members:
    raise DataError(
        f"{file} is compressed as a whole, so single images cannot be read from it: unpack it first, and give the folder."
    )


def _parquet(file: Path) -> Members:
    from twofold.data.parquet import parquet_members

    return parquet_members(file)


_OPENERS: Final[dict[ArchiveKind, Callable[[Path], Members]]] = {
    "zip": zip_members,
    "tar": tar_members,
    "parquet": _parquet,
    "compressed": _check_not_compressed,
}
