"""A list of pictures as CSV: `path,label` and optionally `group` and `split`."""

import csv
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import chain
from pathlib import Path
from typing import Final

from twofold.core.errors import DataError
from twofold.core.hints import nearest
from twofold.core.privacy import public_address
from twofold.data.addresses import is_address
from twofold.data.archives import archived_entries, is_archived_folder
from twofold.data.split_folders import plan_splits
from twofold.data.split_names import split_column, split_kind

Row = tuple[Path, str, str | None]  # path, label, group

_NEEDED: Final = ("path", "label")
_SHOWN: Final = 10
_SUFFIXES: Final = {".csv", ".tsv"}
_MARKS: Final = ",;\t|"  # a comma, what spreadsheets write where the comma stands in numbers, and others


def find_table(data: Path) -> tuple[Path, str] | None:
    """The table that DATA is, or of which it names a split, as list.csv/train, and that split; None where it is none."""
    for file in (data, *data.parents):
        if file.suffix.lower() in _SUFFIXES and os.path.isfile(file):
            return file, "" if file == data else data.relative_to(file).as_posix()
    return None


def read_table(file: Path) -> list[Row]:
    """The rows, of all splits, their paths relative to the table's own folder; every row that names no file is told at once.

    A path may lead into an archive, as in pets.zip/cats/1.jpg.
    """
    return _checked(file, [(line, row) for line, row, _ in _read(file)])


def read_split(file: Path, split: str = "") -> list[Row]:
    """As `read_table`, of one split; DataError where the table has several, and none is named."""
    rows = _read(file)
    counts = Counter(name for _, _, name in rows)
    if len(counts) > 1:
        lacking = [f"line {line}" for line, _, name in rows if not name]
        _complain(file, "are of no split", lacking, "fill in the column that tells train from test")
        known: dict[Path, set[str]] = {}
        for _, (path, *_), name in rows:
            known.setdefault(path, set()).add(name.casefold())
        at_odds = [f"line {line}: {path}" for line, (path, *_), _ in rows if len(known[path]) > 1]
        _complain(file, "give one path two splits", at_odds, "leave it in one")
    if split:
        named = {name for name in counts if name and name.casefold() == split.casefold()}
        if not named:
            raise DataError(f"{file} has no split {split!r}{nearest(split, counts)}; it has {_listed(counts)}.")
        return _checked(file, [(line, row) for line, row, name in rows if name in named])
    if len({name.casefold() for name in counts}) > 1:
        raise DataError(_several(file, counts))
    return _checked(file, [(line, row) for line, row, _ in rows])


def _read(file: Path) -> list[tuple[int, Row, str]]:
    """Every row with its line and its split, which is empty where no column tells."""
    # utf-8-sig: Excel begins its files with a mark; surrogateescape: file names need not be UTF-8.
    try:
        with file.open(newline="", encoding="utf-8-sig", errors="surrogateescape") as text:
            header, cells = _cells(text)
    except (OSError, csv.Error) as error:
        raise DataError(f"{file} cannot be read as CSV ({error}): save it as CSV in UTF-8.") from error
    if missing := [name for name in _NEEDED if name not in header]:
        raise DataError(
            f"{file} has no column {' and '.join(map(repr, missing))}: its first line must name path, label and "
            f"optionally group, separated by commas; it is {','.join(header)!r}."
        )
    path, label = (header.index(name) for name in _NEEDED)
    group = header.index("group") if "group" in header else len(header)
    elsewhere = [
        f"line {line}: {public_address(name)}"
        for line, name in ((line, row.get(path, "")) for line, row in cells)
        if is_address(name) and not os.path.lexists(file.parent / name)
    ]
    _complain(file, "name an address, where a path is read", elsewhere, "download the images, and name their files")
    splits = split_column(header, [row for _, row in cells]) or [""] * len(cells)
    return [
        (line, (file.parent / row.get(path, ""), row.get(label, ""), row.get(group) or None), split)
        for (line, row), split in zip(cells, splits, strict=True)
    ]


def _cells(text: Iterable[str]) -> tuple[list[str], list[tuple[int, dict[int, str]]]]:
    """The names of the columns, and of each row that is not empty its line and its cells by number."""
    lines = iter(text)
    first, before = next(lines, ""), 0
    if first.lower().startswith("sep="):  # for Excel, which does not show it
        first, before = next(lines, ""), 1
    reader = csv.reader(chain([first], lines), delimiter=_mark(first), skipinitialspace=True)
    header = [_cell(name).lower() for name in next(reader, [])]
    rows = [(before + reader.line_num, dict(enumerate(map(_cell, cells)))) for cells in reader]
    return header, [(line, row) for line, row in rows if any(row.values())]


def _mark(header: str) -> str:
    """What separates the columns: the first of the usual ones by which the header has the columns that are needed."""
    for mark in _MARKS:
        names = {_cell(name).lower() for name in next(csv.reader([header], delimiter=mark, skipinitialspace=True), [])}
        if names.issuperset(_NEEDED):
            return mark
    return _MARKS[0]


def _cell(text: str) -> str:
    """The value, also where a tab stands before its quotes, which are no part of it."""
    value = text.strip()
    quoted = text[:1] == "\t" and len(value) > 1 and value[0] == value[-1] == '"'
    return value[1:-1].replace('""', '"') if quoted else value


def _checked(file: Path, rows: list[tuple[int, Row]]) -> list[Row]:
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
    correct = f"correct them; paths are relative to {file.parent}"
    _complain(file, "have an empty path or label", lacking, correct)
    _complain(file, "name no file", absent, correct)
    _complain(file, "give one path two labels", at_odds, correct)
    _complain(file, "give one path two groups", parted, correct)
    return list({row[0]: row for _, row in rows}.values())


def _nowhere(paths: Iterable[Path]) -> set[Path]:
    """Those that name neither a file nor a member of an archive."""
    lacking = {path for path in paths if not os.path.isfile(path)}  # Path.is_file raises where a folder is closed
    folders = filter(is_archived_folder, {path.parent for path in lacking})
    members = {member for folder in folders for member in archived_entries(folder)}
    return {path for path in lacking if path not in members or is_archived_folder(path)}


def _several(file: Path, counts: Mapping[str, int]) -> str:
    """What to say of a table with several splits."""
    kinds = {name: split_kind(name) for name in counts}
    names = sorted(counts, key=lambda name: (kinds[name] != "train", kinds[name] == "held-out"))
    plan = plan_splits([file / name for name in names], labelled=True)
    return f"{file} has several splits, {_listed(counts)}: {plan}."


def _listed(counts: Mapping[str, int]) -> str:
    shown = [f"{name} ({count} rows)" for name, count in list(counts.items())[:_SHOWN] if name]
    more = [f"{len(counts) - _SHOWN} more"] if len(counts) > _SHOWN else []
    return ", ".join([*shown, *more]) or "none"


def _complain(file: Path, what: str, faults: list[str], advice: str) -> None:
    if faults:
        more = f" and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
        raise DataError(f"{len(faults)} rows of {file} {what} ({'; '.join(faults[:_SHOWN])}{more}): {advice}.")
