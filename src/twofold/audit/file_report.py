"""The file report: one row per file, with its status and the reason for it."""

import csv
from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from twofold.core.files import open_replacement
from twofold.dataset.labelled import LabelledDataset
from twofold.duplicates import Duplicate, DuplicateKind

Status = Literal["used", "flagged", "skipped"]

CONFLICT: Final = "conflict"  # skipped: the same image has both labels
LABEL_ERROR: Final = "possible-label-error"  # flagged: listed as a label issue
CONTRADICTED: Final = "contradicted-label"  # flagged: listed as a label issue, but as probably a hard image
OTHER_LABEL: Final = "near-duplicate-other-label"  # flagged: a near duplicate has the other label
# Flagged: an image with a duplicate, by the kind of the pair. Images of one scene are no duplicates.
_DUPLICATE: Final[dict[DuplicateKind, str]] = {"exact": "duplicate", "pixels": "duplicate", "near": "near-duplicate"}
_CLOSEST_FIRST: Final[tuple[DuplicateKind, ...]] = ("exact", "pixels", "near")

REASONS: Final = (CONFLICT, LABEL_ERROR, CONTRADICTED, OTHER_LABEL, "duplicate", "near-duplicate")


@dataclass(frozen=True, slots=True)
class FileReportRow:
    """The row of one file. A value that is not known is None."""

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
    duplicate_of: str | None = None  # the path of its closest duplicate
    p_label_error: float | None = None  # the probability that the label is wrong


def write_file_report(rows: Iterable[FileReportRow], path: Path) -> None:
    """Writes the rows as CSV in UTF-8. The file is complete, or it is not written.

    Bytes of a file name that are not UTF-8 are written as backslash escapes.
    """
    with open_replacement(path) as file:
        # With csv's default line ends: with others, a name with a carriage return is not quoted.
        writer = csv.writer(file)
        writer.writerow(field.name for field in fields(FileReportRow))
        writer.writerows([f"{cell:.4f}" if isinstance(cell, float) else cell for cell in astuple(row)] for row in rows)


def file_report(
    dataset: LabelledDataset,
    p_label_error: NDArray[np.floating] | None = None,
    label_issue_rows: NDArray[np.int64] | None = None,
    label_issue_reason: str = LABEL_ERROR,
) -> list[FileReportRow]:
    """One row per file, sorted by path.

    `p_label_error` (used,) is NaN where a label was not checked; `label_issue_rows` has the usable rows of the label issues.
    """
    rows = [FileReportRow(str(skip.path), None, "skipped", skip.code) for skip in dataset.file_list.skips]
    table, paths, groups, valid = dataset.table, dataset.paths, dataset.groups, dataset.valid
    reasons, closest = flag_duplicates(dataset), closest_duplicates(dataset)
    for row in label_issue_rows if label_issue_rows is not None else ():
        reasons[int(row)] = label_issue_reason
    number = 0
    for item, metadata, read_error in zip(dataset.file_list.files, table.metadata, table.read_errors, strict=True):
        if metadata is None:
            rows.append(FileReportRow(str(item.path), item.label, "skipped", read_error.code if read_error else None))
            continue
        columns = (metadata.width, metadata.height, metadata.format, metadata.bytes, metadata.sha256)
        reason = reasons.get(number) if valid[number] else CONFLICT
        status: Status = "skipped" if reason == CONFLICT else "flagged" if reason else "used"
        duplicate_of = paths[closest[number][0]] if number in closest else None
        rows.append(
            FileReportRow(
                str(item.path),
                item.label,
                status,
                reason,
                *columns,
                int(groups[number]),
                duplicate_of,
                _known(p_label_error, number),
            )
        )
        number += 1
    return sorted(rows, key=lambda row: row.path)


def _known(p_label_error: NDArray[np.floating] | None, number: int) -> float | None:
    return None if p_label_error is None or np.isnan(p_label_error[number]) else float(p_label_error[number])


def _copies(dataset: LabelledDataset) -> list[Duplicate]:
    return [pair for pair in dataset.duplicates if pair.kind in _DUPLICATE]


def flag_duplicates(dataset: LabelledDataset) -> dict[int, str]:
    """The reason for each usable image that is flagged as a duplicate: the second of a pair, or both if their labels differ."""
    labels, valid = dataset.labels, dataset.valid
    reasons: dict[int, str] = {}
    for pair in sorted(_copies(dataset), key=lambda pair: -_CLOSEST_FIRST.index(pair.kind)):
        if not (valid[pair.first] and valid[pair.second]):
            continue  # an image under both labels says nothing about the label of another
        if labels[pair.first] != labels[pair.second]:
            reasons[pair.first] = reasons[pair.second] = OTHER_LABEL
        elif reasons.get(pair.second) != OTHER_LABEL:
            reasons[pair.second] = _DUPLICATE[pair.kind]
    return reasons


def closest_duplicates(dataset: LabelledDataset) -> dict[int, tuple[int, DuplicateKind]]:
    """For each usable image that has duplicates, the closest one and the kind of the pair."""
    closest: dict[int, tuple[int, DuplicateKind]] = {}
    for pair in sorted(_copies(dataset), key=lambda pair: _CLOSEST_FIRST.index(pair.kind)):
        closest.setdefault(pair.first, (pair.second, pair.kind))
        closest.setdefault(pair.second, (pair.first, pair.kind))
    return closest


def duplicates_as_json(dataset: LabelledDataset, duplicates: tuple[Duplicate, ...]) -> list[dict[str, Any]]:
    """Each pair for JSON: the later image, the earlier one, their kind, and whether their labels agree."""
    paths, labels = dataset.paths, dataset.labels
    return [
        {
            "path": paths[pair.second],
            "duplicate_of": paths[pair.first],
            "kind": pair.kind,
            "labels_agree": bool(labels[pair.first] == labels[pair.second]),
        }
        for pair in duplicates
    ]
