"""Compressed tars, from which no single picture can be read, to plain ones."""

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
from twofold.core.files import make_private, write_errors
from twofold.core.limits import LIMIT, check_size
from twofold.core.progress import Progress
from twofold.data import archive_kind, is_archive

_CHUNK: Final = 1_000_000
_XZ_MEMORY: Final = 200_000_000  # bytes; xz -9 takes 65 million, and a file may ask for 4 thousand million


def uncompressed(file: Path, folder: Path, progress: Progress, *, limit: int = LIMIT) -> Path:
    """The file itself, or where it is a compressed tar, a plain one in `folder`, made once."""
    if archive_kind(file) != "compressed":
        return file
    tar = folder / (re.sub(r"(\.tar)?(\.\w+)?$", "", file.name, flags=re.IGNORECASE) + ".tar")
    if not tar.exists():
        with write_errors(folder):
            make_private(folder.parent)
            folder.mkdir(exist_ok=True)
            _make(file, tar, progress, limit)
    return tar


def _make(file: Path, tar: Path, progress: Progress, limit: int) -> None:
    number, name = mkstemp(dir=tar.parent, prefix="unpacked.")
    temporary = Path(name)
    try:
        with open(number, "wb") as plain:
            _inflate(file, plain, progress, limit)
        if not is_archive(temporary):
            raise DataError(f"{file} is compressed, but holds no tar: unpack it yourself, and give what is in it.")
        temporary.replace(tar)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _inflate(file: Path, plain: Any, progress: Progress, limit: int) -> None:
    size = 0
    length = -(-file.stat().st_size // _CHUNK)
    for chunk in progress(_chunks(file), length, f"{file.name} unpacked, MB"):
        size += len(chunk)
        check_size(f"{file} unpacked", size, limit)
        plain.write(chunk)


def _chunks(file: Path) -> Iterator[bytes]:
    with file.open("rb") as opened:
        beginning = opened.read(2)
    if beginning not in _READERS:
        raise DataError(f"{file} is compressed with Zstandard, which is not read here: unpack it with 'unzstd {file}'.")
    try:
        yield from _READERS[beginning](file)
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
    """Stream after stream, in bounded memory, which lzma.open does not offer."""
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
