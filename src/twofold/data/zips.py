"""Zip files: their members, and the bytes of one."""

import stat
from collections.abc import Iterator
from io import SEEK_CUR, SEEK_SET
from pathlib import Path
from typing import Final
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

from twofold.core.errors import DataError
from twofold.data.members import FOLDER, Entry, Members, gather
from twofold.data.read_errors import ReadError

# Deflate's ratio is at most 1032; for photos it is near 1, for drawings with few colours below 100.
_RATIO: Final = 200
_HARMLESS: Final = 16_000_000  # unpacked bytes that are allowed at any compression ratio
_ENCRYPTED: Final = 1
_BLOCK: Final = 4096  # bytes read at a time, at least


class _ClosedFile:
    """A binary file for ZipFile that is open only while it is read, so that no handle stays open.

    ZipFile seeks and reads under a lock of its own. Opening takes a hundredth of the time of decoding an image.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._position = 0
        self._block, self._block_start = b"", 0  # the block of the last read: a header takes three reads

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = SEEK_SET) -> int:
        start = {SEEK_SET: 0, SEEK_CUR: self._position}.get(whence)
        position = offset + (self._path.stat().st_size if start is None else start)
        if position < 0:  # as files do; ZipFile then reports that the file is not a zip
            raise OSError("negative position")
        self._position = position
        return position

    def read(self, size: int = -1) -> bytes:
        start = self._position - self._block_start
        if size < 0 or start < 0 or start + size > len(self._block):
            with self._path.open("rb", buffering=0) as file:
                file.seek(self._position)
                data = file.read(max(size, _BLOCK) if size >= 0 else -1)
            self._block, self._block_start, start = data[:_BLOCK], self._position, 0
        else:
            data = self._block
        data = data[start : start + size] if size >= 0 else data
        self._position += len(data)
        return data

    def close(self) -> None:
        """Does nothing: the file is already closed."""


def zip_members(file: Path) -> Members:
    """The members of the zip; DataError where its directory cannot be read."""
    try:
        archive = ZipFile(_ClosedFile(file))
    except Exception as error:  # damaged bytes end in anything from BadZipFile to NotImplementedError
        raise DataError(
            f"{file} cannot be read as a zip ({error}): it is cut short or damaged; fetch it again."
        ) from error

    def read(info: ZipInfo, limit: int) -> bytes | ReadError:
        return _read_error(info, limit) or _unpack(archive, info)

    return gather(_entries(archive), read)


def _entries(archive: ZipFile) -> Iterator[Entry]:
    for info in archive.infolist():
        kind = stat.S_IFMT(info.external_attr >> 16)
        name = info.filename.replace("\\", "/")  # some Windows programs write backslashes
        if name.endswith("/"):
            yield Entry(name, code=FOLDER)
        elif kind == stat.S_IFLNK:
            yield Entry(name, code="link")
        else:
            yield Entry(name, info, "" if kind in (0, stat.S_IFREG) else "device")


def _read_error(info: ZipInfo, limit: int) -> ReadError | None:
    """The read error of a member that is not unpacked, from its directory entry; None for others."""
    if info.flag_bits & _ENCRYPTED:
        return ReadError("encrypted", "It is encrypted inside the zip: unpack the zip with its password.")
    if info.compress_type not in (ZIP_STORED, ZIP_DEFLATED):  # zipfile unpacks the others without a limit
        return ReadError("unsupported-format", "Its compression inside the zip is not supported: use deflate.")
    if info.file_size > limit:
        return ReadError(
            "too-large", f"It has {info.file_size:,} bytes unpacked, the limit is {limit:,}: make it smaller."
        )
    if info.file_size > _HARMLESS and info.file_size > _RATIO * info.compress_size:
        return ReadError(
            "bomb",
            f"Its {info.compress_size:,} bytes in the zip would unpack to {info.file_size:,}: "
            "unpack the zip yourself, if you trust it.",
        )
    return None


def _unpack(archive: ZipFile, info: ZipInfo) -> bytes | ReadError:
    try:
        with archive.open(info) as member:
            # A member that unpacks to more than its stated size is cut off; its checksum is compared at the end.
            data = member.read(info.file_size + 1)
    except Exception as error:  # as above
        return ReadError("damaged", f"It cannot be read out of the zip ({error}): fetch the zip again.")
    if len(data) != info.file_size:
        return ReadError("truncated", "It ends early inside the zip: fetch the zip again.")
    return data
