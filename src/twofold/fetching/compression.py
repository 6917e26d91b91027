"""Uncompressed tars from compressed ones, in which a member can be read only after all members before it."""

import bz2
import gzip
import lzma
import re
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import mkstemp
from typing import Any, Final

from twofold.core.errors import DataError
from twofold.core.files import LIMIT, check_size, make_private, write_errors
from twofold.core.progress import Progress
from twofold.data import archive_kind, is_archive

_CHUNK: Final = 1_000_000  # bytes
_XZ_MEMORY: Final = 200_000_000  # bytes; xz -9 needs 65 million, and a file may request 4 billion


def uncompress(file: Path, folder: Path, progress: Progress, *, limit: int = LIMIT) -> Path:
    """The file or, for a compressed tar, its uncompressed tar in `folder`, which is made once."""
    if archive_kind(file) != "compressed":
        return file
    tar = folder / (re.sub(r"(\.tar)?(\.\w+)?$", "", file.name, flags=re.IGNORECASE) + ".tar")
    if not tar.exists():
        with write_errors(folder):
            make_private(folder.parent)
            folder.mkdir(exist_ok=True)
            _write_tar(file, tar, progress, limit)
    return tar


def _write_tar(file: Path, tar: Path, progress: Progress, limit: int) -> None:
    number, name = mkstemp(dir=tar.parent, prefix="unpacked.")
    temporary = Path(name)
    try:
        with open(number, "wb") as plain:
            _decompress(file, plain, progress, limit)
        if not is_archive(temporary):
            raise DataError(f"{file} is compressed, but not a tar: unpack it, and give its content.")
        temporary.replace(tar)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _decompress(file: Path, plain: Any, progress: Progress, limit: int) -> None:
    size = 0
    length = -(-file.stat().st_size // _CHUNK)
    for chunk in progress(_decompressed_chunks(file), length, f"{file.name} unpacked, MB"):
        size += len(chunk)
        check_size(f"{file} unpacked", size, limit)
        plain.write(chunk)


def _decompressed_chunks(file: Path) -> Iterator[bytes]:
    with file.open("rb") as opened:
        magic = opened.read(2)
    if magic not in _READERS:
        raise DataError(f"{file} is compressed with Zstandard, which is not supported: unpack it with 'unzstd {file}'.")
    try:
        yield from _READERS[magic](file)
    except (EOFError, OSError, ValueError, zlib.error, lzma.LZMAError) as error:
        raise DataError(f"{file} cannot be unpacked ({error}): it is cut short or damaged; fetch it again.") from error


def _gzip(file: Path) -> Iterator[bytes]:
    with gzip.open(file) as opened:
        while chunk := opened.read(_CHUNK):
            yield chunk


def _bzip2(file: Path) -> Iterator[bytes]:
    with bz2.open(file) as opened:
        while chunk := opened.read(_CHUNK):
            yield chunk


def _xz(file: Path) -> Iterator[bytes]:
    """The bytes of all streams of the file, in bounded memory: lzma.open has no memory limit."""
    with file.open("rb") as opened:
        data = opened.read(_CHUNK)
        while data:
            stream = lzma.LZMADecompressor(lzma.FORMAT_XZ, _XZ_MEMORY)
            while not stream.eof:
                if stream.needs_input and not data:
                    raise EOFError("it ends early")
                yield stream.decompress(data, _CHUNK)
                data = opened.read(_CHUNK) if stream.needs_input and not stream.eof else b""
            data = stream.unused_data.lstrip(b"\0")  # streams are padded with zeros
            while not data and (more := opened.read(_CHUNK)):
                data = more.lstrip(b"\0")


_READERS: Final[dict[bytes, Callable[[Path], Iterator[bytes]]]] = {b"\x1f\x8b": _gzip, b"BZ": _bzip2, b"\xfd7": _xz}
