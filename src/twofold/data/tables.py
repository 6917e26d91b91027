"""A list of pictures as CSV: `path,label` and optionally `group`."""

import csv
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from twofold.data.archives import archived_entries, is_archived_folder
from twofold.errors import DataError

Row = tuple[Path, str, str | None]  # path, label, group

_NEEDED: Final = ("path", "label")
_SHOWN: Final = 10


def read_table(file: Path) -> list[Row]:
    """The rows, their paths relative to the table's own folder; every row that names no file is told at once.

    A path may lead into an archive, as in pets.zip/cats/1.jpg.
    """
    # utf-8-sig: Excel begins its files with a mark; surrogateescape: file names need not be UTF-8.
    try:
        with file.open(newline="", encoding="utf-8-sig", errors="surrogateescape") as lines:
            rows = list(_rows(lines, file))
    except (OSError, csv.Error) as error:
        raise DataError(f"{file} cannot be read as CSV ({error}): save it as CSV in UTF-8.") from error
    labels: dict[Path, set[str]] = {}
    groups: dict[Path, set[str | None]] = {}
    for _, (path, label, group) in rows:
        labels.setdefault(path, set()).add(label)
        groups.setdefault(path, set()).add(group)
    lacking = [f"line {line}" for line, (path, label, _) in rows if path == file.parent or not label]
    nowhere = _nowhere(labels)
    absent = [f"line {line}: {path}" for line, (path, *_) in rows if path in nowhere]
    at_odds, parted = (
        [f"line {line}: {path}" for line, (path, *_) in rows if len(known[path]) > 1] for known in (labels, groups)
    )
    _complain(file, "have an empty path or label", lacking)
    _complain(file, "name no file", absent)
    _complain(file, "give one path two labels", at_odds)
    _complain(file, "give one path two groups", parted)
    return list({row[0]: row for _, row in rows}.values())


def _rows(text: Iterable[str], file: Path) -> Iterator[tuple[int, Row]]:
    lines = csv.reader(text)
    header = [name.strip().lower() for name in next(lines, [])]
    if missing := [name for name in _NEEDED if name not in header]:
        raise DataError(
            f"{file} has no column {' and '.join(map(repr, missing))}: its first line must name path, label and "
            f"optionally group, separated by commas; it is {','.join(header)!r}."
        )
    path, label = (header.index(name) for name in _NEEDED)
    group = header.index("group") if "group" in header else len(header)
    for cells in lines:
        value = dict(enumerate(cell.strip() for cell in cells))
        if any(value.values()):
            yield lines.line_num, (file.parent / value.get(path, ""), value.get(label, ""), value.get(group) or None)


def _nowhere(paths: Iterable[Path]) -> set[Path]:
    """Those that name neither a file nor a member of an archive."""
    lacking = {path for path in paths if not os.path.isfile(path)}  # Path.is_file raises where a folder is closed
    folders = filter(is_archived_folder, {path.parent for path in lacking})
    members = {member for folder in folders for member in archived_entries(folder)}
    return {path for path in lacking if path not in members or is_archived_folder(path)}


def _complain(file: Path, what: str, faults: list[str]) -> None:
    if faults:
        more = f" and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
        raise DataError(
            f"{len(faults)} rows of {file} {what} ({'; '.join(faults[:_SHOWN])}{more}): correct them; paths "
            f"are relative to {file.parent}."
        )
