"""Lists of labelled images, written so that they can be read again: the counterpart of `tables`."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import Final, TextIO

from twofold.core.errors import DataError
from twofold.core.files import open_binary_replacement, printable
from twofold.core.notes import count_text

_MAX_NAMED: Final = 5


@contextmanager
def open_list(path: Path) -> Iterator[TextIO]:
    """A list of images that replaces `path` if the block succeeds. File names need not be UTF-8, as where lists are read.

    Raises TwofoldError where it cannot be written.
    """
    with (
        open_binary_replacement(path) as raw,
        TextIOWrapper(raw, "utf-8", "surrogateescape", newline="") as file,
    ):
        yield file


def check_cells(texts: Iterable[str]) -> None:
    """Raises DataError where a cell begins or ends with white space, which is lost where a list is read."""
    faulty = [repr(printable(text)) for text in texts if text != text.strip()]
    if faulty:
        more = f" and {len(faulty) - _MAX_NAMED} more" if len(faulty) > _MAX_NAMED else ""
        raise DataError(
            f"{count_text(len(faulty), 'name')} of files, classes or groups with white space at the start or the end cannot be "
            f"listed ({', '.join(faulty[:_MAX_NAMED])}{more}): rename them."
        )
