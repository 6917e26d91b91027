"""The ledger: one row for every path met, with its fate."""

import csv
from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from twofold.core.files import replacing
from twofold.dataset.labelled import LabelledDataset
from twofold.duplicates import Duplicate, Kind

Status = Literal["used", "flagged", "skipped"]


@dataclass(frozen=True, slots=True)
class FileReportRow:
    """What became of one path; None where unknown."""

    path: str
    label: str | None
    status: Status
    reason: str | None = None
    width: int | None = None
    height: int | None = None
    format: str | None = None
    bytes: int | None = None
    sha256: str | None = None
    group: int | None = None
    nearest: str | None = None  # the path of a copy
    p_label_error: str | None = None  # the chance that the label is wrong


def write_file_report(rows: Iterable[FileReportRow], path: Path) -> None:
    """Write the rows as CSV in UTF-8, under a temporary name first: the file is whole, or not there.

    What cannot be written as UTF-8 in a file's name stands as a backslash and its number.
    """
    with replacing(path) as file:
        table = csv.writer(file)  # its own line ends: with others, a name with a carriage return is not quoted
        table.writerow(field.name for field in fields(FileReportRow))
        table.writerows(map(astuple, rows))


CONFLICT: Final = "conflict"  # skipped: DATA has the picture under both labels
SUSPECT: Final = "suspect"  # flagged: the rest of the data contradicts the label
OTHER_LABEL: Final = "near-copy-other-label"  # flagged: nearly the same picture has the other label
_COPY: Final[dict[Kind, str]] = {"bytes": "copy", "pixels": "copy", "near": "near-copy"}  # flagged

REASONS: Final = (CONFLICT, SUSPECT, OTHER_LABEL, "copy", "near-copy")
_CLOSEST: Final[tuple[Kind, ...]] = ("bytes", "pixels", "near")


def file_report(
    dataset: LabelledDataset, p_label_error: NDArray[np.floating] | None = None, listed: NDArray[np.int64] | None = None
) -> list[FileReportRow]:
    """One row for every path met, sorted by path; `suspicion` (used,) is NaN where unknown, `listed` has the rows of suspects."""
    rows = [FileReportRow(str(skip.path), "", "skipped", skip.code) for skip in dataset.file_list.skips]
    table, paths, groups, valid = dataset.table, dataset.paths, dataset.groups, dataset.valid
    reasons, partners = flags(dataset), closest(dataset)
    for row in listed if listed is not None else ():
        reasons[int(row)] = SUSPECT
    number = 0
    for item, metadata, read_error in zip(dataset.file_list.files, table.metadata, table.read_errors, strict=True):
        if metadata is None:
            rows.append(FileReportRow(str(item.path), item.label, "skipped", read_error.code if read_error else ""))
            continue
        known = (metadata.width, metadata.height, metadata.format, metadata.bytes, metadata.sha256, int(groups[number]))
        reason = reasons.get(number, "") if valid[number] else CONFLICT
        status = "skipped" if reason == CONFLICT else "flagged" if reason else "used"
        nearest = paths[partners[number][0]] if number in partners else ""
        doubt = "" if p_label_error is None or np.isnan(p_label_error[number]) else f"{p_label_error[number]:.4f}"
        rows.append(FileReportRow(str(item.path), item.label, status, reason, *known, nearest, doubt))  # type: ignore[arg-type]
        number += 1
    return sorted(rows, key=lambda row: row.path)


def flags(dataset: LabelledDataset) -> dict[int, str]:
    """Why usable pictures are flagged as copies: of two alike the second, or both where their labels differ."""
    labels, valid, found = dataset.labels, dataset.valid, {}
    for copy in sorted(dataset.duplicates, key=lambda copy: -_CLOSEST.index(copy.kind)):
        if not (valid[copy.first] and valid[copy.second]):
            continue  # what stands under both labels says nothing of others
        if labels[copy.first] != labels[copy.second]:
            found[copy.first] = found[copy.second] = OTHER_LABEL
        elif found.get(copy.second) != OTHER_LABEL:
            found[copy.second] = _COPY[copy.kind]
    return found


def closest(dataset: LabelledDataset) -> dict[int, tuple[int, Kind]]:
    """For each usable picture that has copies, the closest of them and its kind."""
    found: dict[int, tuple[int, Kind]] = {}
    for copy in sorted(dataset.duplicates, key=lambda copy: _CLOSEST.index(copy.kind)):
        found.setdefault(copy.first, (copy.second, copy.kind))
        found.setdefault(copy.second, (copy.first, copy.kind))
    return found


def told(dataset: LabelledDataset, duplicates: tuple[Duplicate, ...]) -> list[dict[str, object]]:
    """Copies for JSON: the later picture, the earlier one that it is a copy of, and whether their labels agree."""
    paths, labels = dataset.paths, dataset.labels
    return [
        {
            "path": paths[copy.second],
            "nearest": paths[copy.first],
            "kind": copy.kind,
            "labels_agree": bool(labels[copy.first] == labels[copy.second]),
        }
        for copy in duplicates
    ]
