"""The file of labels: path, label, drawn_at_random and reason of each answer. It is replaced as a whole after every answer.

An image that was left for later has no label and the reason `unsure`; where DATA is read, such a row is skipped.
"""

import csv
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from twofold.core.errors import DataError, TwofoldError, UsageError
from twofold.core.files import check_writable_file
from twofold.data.image_lists import check_cells, open_list

COLUMNS: Final = ("path", "label", "drawn_at_random", "reason")
UNSURE: Final = "unsure"


@dataclass(frozen=True, slots=True)
class LabelRow:
    """The label of an image, empty where it was left for later, and whether it belongs to the random part of its pool."""

    path: str
    label: str
    is_random: bool = False

    @property
    def cells(self) -> tuple[str, ...]:
        """The row of the file."""
        return self.path, self.label, "true" if self.is_random else "false", "" if self.label else UNSURE


class LabelFile:
    """A file of labels that one process writes to; `rows` are those that it had when it was opened.

    Raises UsageError where the file cannot be written or the classes are not two different names, DataError where it is another
    file, or has labels that are none of the classes.
    """

    def __init__(self, path: Path, classes: tuple[str, str]) -> None:
        _check_classes(classes)
        check_writable_file(path)
        if path.exists() and not path.is_file():
            raise UsageError(f"{path} is not a regular file: give a file that labels can be written to.")
        self.path, self.classes = path, classes
        self._version = _version(path)
        self.rows = _read(path, classes)

    def write(self, rows: Sequence[LabelRow]) -> None:
        """Replaces the file, and returns once the new one is on the disk.

        Raises TwofoldError where another program has changed the file, so that neither overwrites the other's labels, or where it
        cannot be written.
        """
        if _version(self.path) not in (None, self._version):
            raise TwofoldError(
                f"{self.path} was changed by another program, so this answer was not written: end this page, and start it again."
            )
        check_cells(text for row in rows for text in (row.path, row.label))
        with open_list(self.path) as file:
            # With csv's default line ends: with others, a name with a carriage return is not quoted.
            writer = csv.writer(file)
            writer.writerow(COLUMNS)
            writer.writerows(row.cells for row in rows)
            file.flush()
            os.fsync(file.fileno())
        self._version = _version(self.path)


def _check_classes(classes: tuple[str, str]) -> None:
    if not all(name.strip() for name in classes):
        raise UsageError("`classes` needs two names, got an empty one.")
    if classes[0] == classes[1]:
        raise UsageError(f"`classes` needs two different names, got {classes[0]} twice.")
    if any(name.startswith("-") for name in classes):  # an option after a single name
        raise UsageError(f"`classes` needs two names, got {' '.join(classes)}.")
    if any(name != name.strip() or not name.isprintable() for name in classes):
        names = " and ".join(map(repr, classes))
        raise UsageError(f"`classes` must be names without white space at the start or the end, got {names}.")


def _read(path: Path, classes: tuple[str, str]) -> list[LabelRow]:
    """The rows of the file, of each path the last one; none where there is no file, or an empty one."""
    if not path.exists() or not path.stat().st_size:
        return []
    try:
        with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            header, *lines = [cells for cells in csv.reader(file) if cells] or [[]]
    except (OSError, csv.Error) as error:
        raise DataError(f"{path} cannot be read as CSV ({error}): give another file.") from error
    if tuple(header) not in (COLUMNS, COLUMNS[:-1]) or any(len(cells) != len(header) for cells in lines):
        raise DataError(f"{path} exists and has other columns than {','.join(COLUMNS)}: give another file.")
    unknown = sorted({label for _, label, *_ in lines} - {*classes, ""})
    unknown += ["" for _, label, _, *reason in lines if not label and reason != [UNSURE]]
    if unknown:
        raise DataError(
            f"{path} has the label {unknown[0]!r}, but the classes are {' and '.join(classes)}: give the classes of the file, or "
            "another file."
        )
    rows: dict[str, LabelRow] = {}
    for name, label, is_random, *_ in lines:
        rows.pop(name, None)
        rows[name] = LabelRow(name, label, is_random == "true")
    return list(rows.values())


def _version(path: Path) -> tuple[int, int, int] | None:
    """What changes when another program writes the file; None where there is no file."""
    with suppress(FileNotFoundError):
        status = path.stat()
        return status.st_ino, status.st_size, status.st_mtime_ns
    return None
