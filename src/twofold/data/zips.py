"""Zip files: their members, and the bytes of one."""

import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

from twofold.core.errors import DataError
from twofold.data.members import FOLDER, Entry, Members, gather
from twofold.data.read_errors import ReadError

# Deflate reaches 1032; photographs stay near 1, and drawings of few colours under 100.
_RATIO: Final = 200
_HARMLESS: Final = 16_000_000  # bytes that may come of however few
_ENCRYPTED: Final = 1


def zip_members(file: Path) -> Members:
    """What the zip holds; DataError where its list of members cannot be read."""
    try:
        archive = ZipFile(file)  # stays open, for reading by any thread, until the last picture is forgotten
    except Exception as error:  # damaged bytes end in whatever zipfile has, from BadZipFile to NotImplementedError
        raise DataError(
            f"{file} cannot be read as a zip ({error}): it is cut short or damaged; fetch it again."
        ) from error

    def read(info: ZipInfo, most: int) -> bytes | ReadError:
        return _refuse(info, most) or _inflate(archive, info)

    return gather(_entries(archive), read)


def _entries(archive: ZipFile) -> Iterator[Entry]:
    for info in archive.infolist():
        kind = stat.S_IFMT(info.external_attr >> 16)
        name = info.filename.replace("\\", "/")  # as some programs under Windows write it
        if name.endswith("/"):
            yield Entry(name, code=FOLDER)
        elif kind == stat.S_IFLNK:
            yield Entry(name, code="link")
        else:
            yield Entry(name, info, "" if kind in (0, stat.S_IFREG) else "device")


def _refuse(info: ZipInfo, most: int) -> ReadError | None:
    if info.flag_bits & _ENCRYPTED:
        return ReadError("encrypted", "It is encrypted inside the zip: unpack it with its password.")
    if info.compress_type not in (ZIP_STORED, ZIP_DEFLATED):  # zipfile inflates the others without a limit
        return ReadError("unsupported-format", "It is packed in a way that is not read here: pack the zip anew.")
    if info.file_size > most:
        return ReadError(
            "too-large", f"It has {info.file_size:,} bytes unpacked, the limit is {most:,}: make it smaller."
        )
    if info.file_size > _HARMLESS and info.file_size > _RATIO * info.compress_size:
        return ReadError(
            "bomb",
            f"Its {info.compress_size:,} bytes in the zip would become {info.file_size:,}: unpack it, if you trust it.",
        )
    return None


def _inflate(archive: ZipFile, info: ZipInfo) -> bytes | ReadError:
    try:
        with archive.open(info) as member:
            # A member that inflates to more than it says is cut off there; its checksum is looked at on the way out.
            data = member.read(info.file_size + 1)
    except Exception as error:  # as above
        return ReadError("damaged", f"It cannot be read out of the zip ({error}): fetch the zip again.")
    if len(data) != info.file_size:
        return ReadError("truncated", "It ends early inside the zip: fetch the zip again.")
    return data
