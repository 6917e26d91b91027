"""Tables: file lists as CSV with the columns path, label and optionally group, split and reason."""

import csv
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import chain
from pathlib import Path
from typing import Final

from twofold.core.errors import DataError
from twofold.core.hints import nearest
from twofold.core.notes import count_text
from twofold.core.privacy import public_address
from twofold.data.addresses import is_address
from twofold.data.archives import archived_entries, is_archived_folder
from twofold.data.folders import Skip
from twofold.data.split_folders import SplitPlan, plan_splits
from twofold.data.split_names import split_column, split_kind

Row = tuple[Path, str, str | None]  # path, label, group

_Line = tuple[int, dict[int, str]]  # number of the line, and its cells by column number

_REQUIRED: Final = ("path", "label")
_MAX_NAMED: Final = 10
_SUFFIXES: Final = {".csv", ".tsv"}
_DELIMITERS: Final = ",;\t|"  # spreadsheets write a semicolon where the comma is the decimal mark


def find_table(data: Path) -> tuple[Path, str] | None:
    """The file of a table and its split, empty for all: (list.csv, train) for list.csv/train. None where DATA is no table."""
    for file in (data, *data.parents):
        if file.suffix.lower() in _SUFFIXES and os.path.isfile(file):
            return file, "" if file == data else data.relative_to(file).as_posix()
    return None


def read_table(file: Path) -> list[Row]:
    """The rows of all splits. Paths are relative to the folder of the table, or lead into an archive, as pets.zip/cats/1.jpg.

    Raises DataError that lists the faulty rows, such as those whose path is no file.
    """
    return _check_rows(file, [(line, row) for line, row, _ in _read_rows(file)[0]])


def read_split(file: Path, split: str = "", *, opened: bool = True) -> tuple[list[Row], list[Skip]]:
    """The rows of one split, as in `read_table`, and those of the table that give a reason instead of a label.

    Where no image is `opened`, a path need be no file, and may be an address. Raises DataError where the table has several splits
    and none is given.
    """
    rows, skips = _read_rows(file, opened=opened)
    counts = Counter(name for _, _, name in rows)
    if len(counts) > 1:
        _check_splits_clear(file, rows)
    if split:
        spellings = {name for name in counts if name and name.casefold() == split.casefold()}
        if not spellings:
            raise DataError(f"{file} has no split {split!r}{nearest(split, counts)}; it has {_list_counts(counts)}.")
        chosen = [(line, row) for line, row, name in rows if name in spellings]
        return _check_rows(file, chosen, opened=opened), skips
    if len({name.casefold() for name in counts}) > 1:
        raise DataError(f"{file} has several splits, {_list_counts(counts)}: {_plan_splits(file, counts)}.")
    return _check_rows(file, [(line, row) for line, row, _ in rows], opened=opened), skips


def _read_rows(file: Path, *, opened: bool = True) -> tuple[list[tuple[int, Row, str]], list[Skip]]:
    """Every row with its line number and its split, empty without a split column; and those without a label for a reason."""
    # utf-8-sig: Excel writes a byte order mark; surrogateescape: file names need not be UTF-8.
    try:
        with file.open(newline="", encoding="utf-8-sig", errors="surrogateescape") as text:
            header, lines = _read_cells(text)
    except (OSError, csv.Error) as error:
        raise DataError(f"{file} cannot be read as CSV ({error}): save it as CSV in UTF-8.") from error
    if missing := [name for name in _REQUIRED if name not in header]:
        raise DataError(
            f"{file} has no column {' and '.join(map(repr, missing))}: its first line must name path, label and "
            f"optionally group, separated by commas; it is {','.join(header)!r}."
        )
    path, label = (header.index(name) for name in _REQUIRED)
    lines, skips = _without_reasons(file, header, lines)
    group = header.index("group") if "group" in header else len(header)
    addresses = [
        f"line {line}: {public_address(name)}"
        for line, name in ((line, cells.get(path, "")) for line, cells in lines)
        if opened and is_address(name) and not os.path.lexists(file.parent / name)
    ]
    _check_fault(file, "with an address instead of a path", addresses, "download the images, and give their paths")
    splits = split_column(header, [cells for _, cells in lines]) or [""] * len(lines)
    rows = [
        (line, (_joined(file, cells.get(path, "")), cells.get(label, ""), cells.get(group) or None), split)
        for (line, cells), split in zip(lines, splits, strict=True)
    ]
    return rows, skips


def _joined(file: Path, name: str) -> Path:
    """The path that a table names: relative to its folder, or an address."""
    return Path(name) if is_address(name) and not os.path.lexists(file.parent / name) else file.parent / name


def _without_reasons(file: Path, header: list[str], lines: list[_Line]) -> tuple[list[_Line], list[Skip]]:
    """The lines without those that have a reason instead of a label, as `label` writes them; and a skip for each of these."""
    path, label, reason = (header.index(name) if name in header else -1 for name in (*_REQUIRED, "reason"))
    labelled: list[_Line] = []
    skips: list[Skip] = []
    for number, cells in lines:
        if cells.get(path) and not cells.get(label) and cells.get(reason):
            sentence = f"It has no label in {file.name}; the reason there is {cells[reason]!r}."
            skips.append(Skip(file.parent / cells[path], "unlabelled", sentence))
        else:
            labelled.append((number, cells))
    return labelled, skips


def _read_cells(text: Iterable[str]) -> tuple[list[str], list[_Line]]:
    """The names of the columns; and for each row that is not empty its line number and its cells by column number."""
    lines = iter(text)
    header_line, offset = next(lines, ""), 0
    if header_line.lower().startswith("sep="):  # for Excel, which does not show this line
        header_line, offset = next(lines, ""), 1
    reader = csv.reader(chain([header_line], lines), delimiter=_delimiter(header_line), skipinitialspace=True)
    header = [_clean(name).lower() for name in next(reader, [])]
    rows = [(offset + reader.line_num, dict(enumerate(map(_clean, cells)))) for cells in reader]
    return header, [(line, cells) for line, cells in rows if any(cells.values())]


def _delimiter(header: str) -> str:
    """The first of the usual delimiters with which the header has the required columns."""
    for delimiter in _DELIMITERS:
        cells = next(csv.reader([header], delimiter=delimiter, skipinitialspace=True), [])
        if {_clean(name).lower() for name in cells}.issuperset(_REQUIRED):
            return delimiter
    return _DELIMITERS[0]


def _clean(text: str) -> str:
    """The value of a cell without its quotes: the csv module keeps quotes that follow a tab."""
    value = text.strip()
    is_quoted = text[:1] == "\t" and len(value) > 1 and value[0] == value[-1] == '"'
    return value[1:-1].replace('""', '"') if is_quoted else value


def _check_rows(file: Path, rows: list[tuple[int, Row]], *, opened: bool = True) -> list[Row]:
    """The rows without repetitions. Raises DataError where rows are incomplete, name no file, or conflict with each other."""
    incomplete = [f"line {line}" for line, (path, label, _) in rows if path == file.parent or not label]
    missing_paths = _find_missing({path for _, (path, *_) in rows}) if opened else set[Path]()
    missing = [f"line {line}: {path}" for line, (path, *_) in rows if path in missing_paths]
    labels = _contradictions([(line, path, label) for line, (path, label, _) in rows])
    groups = _contradictions([(line, path, group) for line, (path, _, group) in rows])
    advice = f"correct them; paths are relative to {file.parent}"
    _check_fault(file, "with an empty path or label", incomplete, advice)
    _check_fault(file, "whose path is no file", missing, advice)
    _check_fault(file, "whose path has two labels", labels, advice)
    _check_fault(file, "whose path has two groups", groups, advice)
    return list({row[0]: row for _, row in rows}.values())


def _check_splits_clear(file: Path, rows: list[tuple[int, Row, str]]) -> None:
    """Raises DataError where rows of a table with splits have no split, or where a path has two."""
    empty = [f"line {line}" for line, _, split in rows if not split]
    _check_fault(file, "without a split", empty, "fill in the split column")
    contradictions = _contradictions([(line, path, split.casefold()) for line, (path, *_), split in rows])
    _check_fault(file, "whose path has two splits", contradictions, "keep one of them")


def _contradictions(rows: list[tuple[int, Path, str | None]]) -> list[str]:
    """The (line, path, value) rows of the paths that have several values, as text."""
    values: dict[Path, set[str | None]] = {}
    for _, path, value in rows:
        values.setdefault(path, set()).add(value)
    return [f"line {line}: {path}" for line, path, _ in rows if len(values[path]) > 1]


def _find_missing(paths: Iterable[Path]) -> set[Path]:
    """The paths that are neither a file nor a member of an archive."""
    no_files = {
        path for path in paths if not os.path.isfile(path)
    }  # Path.is_file raises where a folder cannot be searched
    folders = filter(is_archived_folder, {path.parent for path in no_files})
    members = {member for folder in folders for member in archived_entries(folder)}
    return {path for path in no_files if path not in members or is_archived_folder(path)}


def _plan_splits(file: Path, counts: Mapping[str, int]) -> SplitPlan:
    """The plan for the splits of a table: which to train on and which to evaluate on."""
    kinds = {name: split_kind(name) for name in counts}
    names = sorted(counts, key=lambda name: (kinds[name] != "train", kinds[name] == "held-out"))
    return plan_splits([file / name for name in names], labelled=True)


def _list_counts(counts: Mapping[str, int]) -> str:
    names = [f"{name} ({count_text(count, 'row')})" for name, count in list(counts.items())[:_MAX_NAMED] if name]
    more = [f"{len(counts) - _MAX_NAMED} more"] if len(counts) > _MAX_NAMED else []
    return ", ".join([*names, *more]) or "none"


def _check_fault(file: Path, fault: str, rows: list[str], advice: str) -> None:
    """Raises DataError where there are rows with this fault."""
    if rows:
        more = f" and {len(rows) - _MAX_NAMED} more" if len(rows) > _MAX_NAMED else ""
        raise DataError(
            f"{file} has {count_text(len(rows), 'row')} {fault} ({'; '.join(rows[:_MAX_NAMED])}{more}): {advice}."
        )
