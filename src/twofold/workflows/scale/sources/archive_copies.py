"""Tar and zip files in buckets: each is copied to the local disk, and is then read as a local archive."""

import re
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Any, Final, Self

from twofold.core.files import check_free_space, write_errors
from twofold.core.privacy import public_address
from twofold.data import ReadError, iterate_files, read_bytes
from twofold.workflows.scale.sources.remote_files import open_remote
from twofold.workflows.scale.sources.temporary_folder import TemporaryFolder

_MEMBER: Final = re.compile(r"(\w+://[^/]+/.*?\.(?:tar|zip))/(.+)", re.DOTALL | re.IGNORECASE)
_LIMIT: Final = 10_000_000_000  # bytes of all copies of a process; one alone may have more
_BLOCK: Final = 8_000_000


def is_remote_archive(address: str) -> bool:
    """Whether the object has the name of a tar or zip file."""
    return address.lower().endswith((".tar", ".zip"))


def split_member(address: str) -> tuple[str, str] | None:
    """The address of the archive and the name inside it; None where no folder of the address has the name of an archive.

    >>> split_member("s3://photos/shards/0.tar/cats/1.jpg")
    ('s3://photos/shards/0.tar', 'cats/1.jpg')
    """
    match = _MEMBER.fullmatch(address)
    return (match[1], match[2]) if match else None


class ArchiveCopies:
    """Copies of archives, for any number of threads. Those that were not read for longest are removed beyond `limit` bytes.

    A context manager, which removes all.
    """

    def __init__(self, limit: int = _LIMIT) -> None:
        self._limit = limit
        self._folder = TemporaryFolder()
        self._copies: dict[str, Path | None] = {}  # the last one read at the end; None where there is no such object
        self._lock = Lock()  # a copy is not removed while another thread reads it; that takes microseconds

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._folder.remove()

    def members(self, address: str) -> list[str]:
        """The addresses of the images, as in a local archive; the archive itself where it is damaged or is not there.

        Raises what the client of the store raises, and DataError or TwofoldError where the disk has no room.
        """
        with self._lock:
            copy = self._copy(address)
            names = [path.relative_to(copy).as_posix() for path in iterate_files([copy])] if copy else ["."]
        return [address if name == "." else f"{address}/{name}" for name in names]

    def read(self, address: str, member: str, limit: int) -> bytes | ReadError | None:
        """The bytes of a member, at most `limit`, or a read error; None where there is no such archive. Raises as `members`."""
        with self._lock:
            copy = self._copy(address)
            return read_bytes(copy / member, limit=limit) if copy else None

    def _copy(self, address: str) -> Path | None:
        if address in self._copies:
            self._copies[address] = self._copies.pop(address)
        else:
            self._copies[address] = self._download(address)
        return self._copies[address]

    def _download(self, address: str) -> Path | None:
        try:
            source = open_remote(address)
        except FileNotFoundError:
            return None
        with source:
            size = source.size()
            self._make_room(size)
            # Never the name of an earlier copy: the members of that one may still be in memory.
            path = self._folder.new_path(address[-4:].lower())
            check_free_space(f"The copy of {public_address(address)}", size, path.parent)
            try:
                _copy_blocks(source, path)
            except BaseException:
                path.unlink(missing_ok=True)
                raise
        return path

    def _make_room(self, size: int) -> None:
        """Removes copies until one of this size fits, or none is left."""
        sizes = {address: copy.stat().st_size for address, copy in self._copies.items() if copy}
        for address, old_size in sizes.items():
            if sum(sizes.values()) + size <= self._limit:
                return
            copy = self._copies.pop(address)
            if copy:
                copy.unlink()
            sizes[address] -= old_size


def _copy_blocks(source: Any, path: Path) -> None:
    with write_errors(path):
        file = path.open("wb")
    with file:
        while block := source.read(_BLOCK):
            with write_errors(path):
                file.write(block)
        with write_errors(path):
            file.flush()
