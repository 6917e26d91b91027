"""Tar files that are not compressed: their members, and the bytes of one."""

import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from twofold.core.errors import DataError
from twofold.data.members import FOLDER, Entry, Members, gather
from twofold.data.read_errors import ReadError

_HEADERS: Final = (
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
)
_HEADER_BYTES: Final = 1_000_000  # of one header, at most
_GLOBALS: Final = 1_000  # entries of global headers, at most


class _Member(tarfile.TarInfo):
    """A member with headers of limited size: Python reads them into memory whatever their size."""

    def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        if self.type in _HEADERS and not 0 <= self.size <= _HEADER_BYTES:
            raise tarfile.ReadError(f"a header in it has {self.size:,} bytes, the limit is {_HEADER_BYTES:,}")
        if len(archive.pax_headers) > _GLOBALS:
            raise tarfile.ReadError(f"its global headers have more than {_GLOBALS:,} entries")
        return super()._proc_member(archive)  # type: ignore[misc,no-any-return]  # no public method runs before they are read


def tar_members(file: Path) -> Members:
    """The members of the tar; DataError where it is cut short or damaged, because some of its members are then unknown."""

    def read(handle: tuple[int, int], limit: int) -> bytes | ReadError:
        offset, size = handle
        if size > limit:
            return ReadError("too-large", f"It has {size:,} bytes, the limit is {limit:,}: make it smaller.")
        try:
            with file.open("rb") as stream:
                stream.seek(offset)
                data = stream.read(size)
        except OSError as error:
            return ReadError("unreadable", f"The tar cannot be read ({error.strerror}): check its permissions.")
        return (
            data if len(data) == size else ReadError("truncated", "It ends early inside the tar: fetch the tar again.")
        )

    return gather(_entries(file), read)


def _entries(file: Path) -> Iterator[Entry]:
    try:
        with tarfile.open(file, "r:", tarinfo=_Member) as archive:
            end = 0
            for member in archive:
                archive.members.clear()  # type: ignore[attr-defined]  # else it keeps all, each with a copy of the global headers
                # With a negative size Python's reader loops backwards for ever (CVE-2025-8194).
                if member.size < 0 or archive.offset <= end:
                    raise tarfile.ReadError("a size in it is impossible")
                end = archive.offset
                yield _entry(member)
            _check_end(file, archive.offset)
    except Exception as error:  # damaged bytes end in anything from OverflowError to RecursionError
        raise DataError(
            f"{file} cannot be read as a tar ({error}): it is cut short or damaged; fetch it again."
        ) from error


def _entry(member: tarfile.TarInfo) -> Entry:
    if member.isdir():
        return Entry(member.name, code=FOLDER)
    if member.issym() or member.islnk():
        return Entry(member.name, code="link")
    if not member.isreg() or member.issparse():
        return Entry(member.name, code="device")
    return Entry(member.name, (member.offset_data, member.size))


def _check_end(file: Path, offset: int) -> None:
    """Raises tarfile.ReadError where no block of zeros, which ends a tar, follows the members.

    Python's reader mistakes a damaged header for the end.
    """
    with file.open("rb") as stream:
        stream.seek(offset)
        if stream.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
            raise tarfile.ReadError("unexpected end of data")
