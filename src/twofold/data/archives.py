"""Archives as folders: a picture in one is a plain path below it, as in pets.zip/cats/1.jpg, and is read in place."""

import os
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from stat import S_ISREG
from typing import Final, Literal

from twofold.data.members import SENTENCES, Members
from twofold.data.refusals import Refusal
from twofold.data.tars import tar_members
from twofold.data.zips import zip_members
from twofold.errors import DataError

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
    return _found(path) is not None


def is_archived_folder(path: Path) -> bool:
    """Whether the path is an archive, or a folder inside one."""
    found = _found(path)
    return found is not None and found[1] in found[0].folders


def archived_entries(path: Path) -> list[Path]:
    """What lies in the archive, or in the folder inside one, sorted by name; DataError where there is none."""
    found = _found(path)
    if found is None or found[1] not in found[0].folders:
        raise DataError(f"There is no folder {path}: check the path inside the archive.")
    members, name = found
    return [path / entry for entry in sorted(members.folders[name])]


def passed_over(path: Path) -> Iterator[tuple[Path, str, str]]:
    """(path, code, sentence) for the members below the path that are never followed: links, devices, names that lead out."""
    found = _found(path)
    members, name = found or (None, "")
    for member, code in members.passed_over if members else ():
        if not name or member.startswith(f"{name}/"):
            yield Path(f"{path}/{member.removeprefix(name)}"), code, SENTENCES[code]


def read_member(path: Path, most: int) -> bytes | Refusal | None:
    """The bytes of a member, or why they cannot be had; None where the path lies in no archive, or that has none such."""
    try:
        found = _found(path)
    except DataError as error:
        return Refusal("damaged", str(error))
    if found is None or found[1] not in found[0].handles:
        return None
    members, name = found
    return members.read(members.handles[name], most)


def _found(path: Path) -> tuple[Members, str] | None:
    """The archive that the path is or lies in, and the name in there: that of the nearest parent that exists."""
    for file in (path, *path.parents):
        try:
            status = file.stat()
        except (FileNotFoundError, NotADirectoryError):
            continue
        except (OSError, ValueError):  # ValueError: a null character in the name
            return None
        if not S_ISREG(status.st_mode):
            return None
        members = _opened(file, os.getpid(), status.st_ino, status.st_mtime_ns, status.st_size)
        if members is None:
            return None
        return members, "" if path == file else path.relative_to(file).as_posix()
    return None


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
