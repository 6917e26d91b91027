"""Text files that are whole or not there, and text that can be printed whatever a file is called."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO


def printable(text: str) -> str:
    r"""The text with what is no Unicode in it, as a file name of another time may have, written as an escape.

    >>> printable(b"caf\xe9.jpg".decode("utf-8", "surrogateescape"))
    'caf\\udce9.jpg'
    """
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


@contextmanager
def replacing(path: Path) -> Iterator[IO[str]]:
    """A text file in UTF-8 to write to, which takes the place of `path` only when the block ends without an error.

    Line ends are left alone, as `csv` wants it; what is no Unicode is written as an escape, as by `printable`.
    """
    with NamedTemporaryFile(
        "w",
        dir=path.parent,
        prefix=f".{path.name}.",
        delete=False,
        newline="",
        encoding="utf-8",
        errors="backslashreplace",
    ) as file:
        temporary = Path(file.name)
        try:
            yield file
            file.close()
            os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
