"""What commands print: text and JSON to stdout, sentences to stderr."""

import shutil
import sys
import textwrap
from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import typer

from twofold.cli.flags import with_flags
from twofold.core.files import printable

if TYPE_CHECKING:
    from twofold.core.notes import Note

_MAX_WIDTH: Final = 100  # columns; longer lines are hard to read


def show(text: str, *, wrap: bool = True) -> None:
    """Prints a text of `twofold.report` with options as flags. Long lines are wrapped between words."""
    text = printable(with_flags(text))
    sys.stdout.write((_wrapped(text) if wrap else text) + "\n")


def show_notes(notes: "Iterable[Note]") -> None:
    """Prints notes to stderr, for commands whose stdout has other content."""
    for note in notes:
        show_error(f"note: {note.text}")


def show_json(record: Any) -> None:
    """Prints a JSON record in ASCII: file names may contain characters outside the terminal's encoding."""
    from twofold.core.json_text import json_text

    sys.stdout.write(json_text(record, ascii_only=True))


def show_error(sentence: str) -> None:
    """Prints one line to stderr, options as flags."""
    with suppress(OSError):  # stderr may be closed
        typer.echo(printable(with_flags(sentence)), err=True)


def _wrapped(text: str) -> str:
    width = min(shutil.get_terminal_size().columns, _MAX_WIDTH)
    long = (len(line) > width and len(line.split()) > 2 for line in text.split("\n"))  # "Wrote PATH" stays one line
    lines = (_wrap(line, width) if is_long else line for line, is_long in zip(text.split("\n"), long, strict=True))
    return "\n".join(lines)


def _wrap(line: str, width: int) -> str:
    indent = " " * (len(line) - len(line.lstrip(" ")) + 2)
    return textwrap.fill(line, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
