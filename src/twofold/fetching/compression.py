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

from twofold.data import archive_kind, is_archive
from twofold.embedding import Watch
from twofold.errors import DataError
from twofold.fetching.limits import LIMIT, check_size

_OPENERS: Final[dict[bytes, Callable[[Path], Any]]] = {b"\x1f\x8b": gzip.open, b"BZ": bz2.open, b"\xfd7": lzma.open}
_CHUNK: Final = 1_000_000


def uncompressed(file: Path, folder: Path, watch: Watch, *, limit: int = LIMIT) -> Path:
    """The file itself, or where it is a compressed tar, a plain one in `folder`, made once."""
    if archive_kind(file) != "compressed":
        return file
    tar = folder / (re.sub(r"(\.tar)?(\.\w+)?$", "", file.name, flags=re.IGNORECASE) + ".tar")
    if not tar.exists():
        folder.mkdir(parents=True, exist_ok=True)
        number, name = mkstemp(dir=folder, prefix="unpacked.")
        temporary = Path(name)
        try:
            with open(number, "wb") as plain:
                _inflate(file, plain, watch, limit)
            if not is_archive(temporary):
                raise DataError(f"{file} is compressed, but holds no tar: unpack it yourself, and give what is in it.")
            temporary.replace(tar)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    return tar


def _inflate(file: Path, plain: Any, watch: Watch, limit: int) -> None:
    size = 0
    length = -(-file.stat().st_size // _CHUNK)
    for chunk in watch(_chunks(file), length, f"{file.name} unpacked, MB"):
        size += len(chunk)
        check_size(f"{file} unpacked", size, limit)
        plain.write(chunk)


def _chunks(file: Path) -> Iterator[bytes]:
    with file.open("rb") as opened:
        beginning = opened.read(2)
    if beginning not in _OPENERS:
        raise DataError(f"{file} is compressed with Zstandard, which is not read here: unpack it with 'unzstd {file}'.")
    try:
        with _OPENERS[beginning](file) as opened:
            while chunk := opened.read(_CHUNK):
                yield chunk
    except (EOFError, OSError, zlib.error, lzma.LZMAError) as error:
        raise DataError(f"{file} cannot be unpacked ({error}): it is cut short or damaged; fetch it again.") from error
