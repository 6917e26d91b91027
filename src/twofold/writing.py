"""Files that are whole or untouched, and text that can be printed whatever a file is called."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkstemp
from typing import TextIO


@contextmanager
def replacing(path: Path) -> Iterator[TextIO]:
    """A text file in UTF-8 that takes the place of `path` when the block ends well; otherwise nothing changes.

    What cannot be written as UTF-8, in a file's name, stands as a backslash and its number.
    """
    number, name = mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with open(number, "w", newline="", encoding="utf-8", errors="backslashreplace") as file:
            yield file
        temporary.chmod(0o666 & ~_umask())  # temporary files are for their owner only
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def printable(text: str) -> str:
    """The text with what no terminal can show, as in a file name that is not UTF-8, as a backslash and its number.

    >>> printable("caf\\udce9.jpg")
    'caf\\\\udce9.jpg'
    """
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
