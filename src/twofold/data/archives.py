"""Archives as folders: a picture in one is a plain path below it, as in pets.zip/cats/1.jpg, and is read in place."""

import os
from bisect import bisect_left
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from stat import S_ISREG
from typing import Final, Literal

from twofold.core.errors import DataError
from twofold.data.members import DEEPEST, SENTENCES, Members
from twofold.data.read_errors import ReadError
from twofold.data.tars import tar_members
from twofold.data.zips import zip_members

Kind = Literal["zip", "tar", "parquet", "compressed"]

_BEGINNINGS: Final[tuple[tuple[bytes, Kind], ...]] = (
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),  # without a member
    (b"PAR1", "parquet"),
    (b"\x1f\x8b", "compressed"),
    (b"BZh", "compressed"),
    (b"\xfd7zXZ\x00", "compressed"),
    (b"\x28\xb5\x2f\xfd", "compressed"),
)
_OPENED: Final = 8  # archives whose members are remembered


def archive_kind(file: Path) -> Kind | None:
    """What archive the file is, by its content; None for a file of another kind."""
    try:
        with file.open("rb") as opened:
            head = opened.read(512)
    except OSError as error:
        raise DataError(f"{file} cannot be read ({error.strerror}): check its permissions.") from error
    for beginning, kind in _BEGINNINGS:
        if head.startswith(beginning):
            return kind
    return "tar" if head[257:262] == b"ustar" or file.suffix.lower() == ".tar" else None


def is_archive(path: Path) -> bool:
    """Whether the path is an archive, or a folder or file inside one."""
    return archive_of(path) is not None


def is_archived_folder(path: Path) -> bool:
    """Whether the path is an archive, or a folder inside one."""
    found = archive_of(path)
    return found is not None and found[1] in found[0].folders


def archived_entries(path: Path) -> list[Path]:
    """What lies in the archive, or in the folder inside one, sorted by name; DataError where there is none."""
    found = archive_of(path)
    if found is None or found[1] not in found[0].folders:
        raise no_folder(path)
    members, name = found
    return [path / entry for entry in sorted(members.folders[name])]


def no_folder(path: Path) -> DataError:
    return DataError(f"There is no folder {path}: check the path inside the archive.")


def passed_over(path: Path) -> Iterator[tuple[Path, str, str]]:
    """(path, code, sentence) for the members below the path that are never followed: links, devices, names that lead out."""
    found = archive_of(path)
    members, name = found or (None, "")
    for member, code in members.passed_over if members else ():
        if not name or member.startswith(f"{name}/"):
            yield Path(f"{path}/{member.removeprefix(name)}"), code, SENTENCES[code]


def read_member(path: Path, most: int) -> bytes | ReadError | None:
    """The bytes of a member, or why they cannot be had; None where the path lies in no archive, or that has none such."""
    try:
        found = archive_of(path)
    except DataError as error:
        return ReadError("damaged", str(error))
    if found is None:
        return None
    members, name = found
    if name not in members.handles:
        return ReadError("too-deep", SENTENCES["too-deep"]) if name.count("/") > DEEPEST else None
    return members.read(members.handles[name], most)


def archive_of(path: Path) -> tuple[Members, str] | None:
    """The archive that the path is or lies in, and the name in there: that of the nearest parent that exists."""
    try:
        file = _nearest(path)
        status = file.stat()
    except (OSError, ValueError):  # ValueError: a null character in the name
        return None
    if not S_ISREG(status.st_mode):
        return None
    members = _opened(file, os.getpid(), status.st_ino, status.st_mtime_ns, status.st_size)
    if members is None:
        return None
    return members, "" if path == file else path.relative_to(file).as_posix()


def _nearest(path: Path) -> Path:
    """The path, or the nearest parent that exists; found by halves, because a path may be hundreds of folders long."""
    above = path.parents

    def exists(steps: int) -> bool:
        try:
            (above[steps - 1] if steps else path).stat()
        except (FileNotFoundError, NotADirectoryError):
            return False
        return True

    steps = bisect_left(range(len(above)), True, key=exists)
    return above[steps - 1] if steps else path


@lru_cache(_OPENED)  # by process, too: those that share an open file would move its place in turns
def _opened(file: Path, *_: int) -> Members | None:
    kind = archive_kind(file)
    return _OPENERS[kind](file) if kind else None


def _refuse_compressed(file: Path) -> Members:
    raise DataError(
        f"{file} is compressed as a whole, so that no single picture can be read from it: unpack it with "
        f"'twofold fetch {file} --out NAME', and give NAME."
    )


def _parquet(file: Path) -> Members:
    from twofold.data.parquet import parquet_members

    return parquet_members(file)


_OPENERS: Final[dict[Kind, Callable[[Path], Members]]] = {
    "zip": zip_members,
    "tar": tar_members,
    "parquet": _parquet,
    "compressed": _refuse_compressed,
}
