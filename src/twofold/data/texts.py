"""Text files that are whole or not there, and text that can be printed whatever a file is called."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from twofold.errors import DataError


def printable(text: str) -> str:
    r"""The text with what is no Unicode in it, as the name of an old file may have, written as an escape.

    >>> printable(b"caf\xe9.jpg".decode("utf-8", "surrogateescape"))
    'caf\\udce9.jpg'
    """
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


@contextmanager
def replacing(path: Path) -> Iterator[IO[str]]:
    """A text file in UTF-8 to write to, which takes the place of `path` only when the block ends without an error.

    A device or a pipe is written to as it is. Line ends are left alone, as `csv` wants it, and what is no Unicode is
    written as by `printable`. Raises DataError where nothing can be written.
    """
    target = path.resolve()
    at_once = target.exists() and not target.is_file()
    place = target if at_once else target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        file = place.open("w", newline="", encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise DataError(f"{printable(str(path))} cannot be written ({error.strerror}): check its folder.") from error
    try:
        with file:
            yield file
        if not at_once:
            place.replace(target)
    finally:
        if not at_once:
            place.unlink(missing_ok=True)
