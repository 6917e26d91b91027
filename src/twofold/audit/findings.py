"""The findings of an audit of a labelled dataset."""

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from twofold.audit.file_report import CONTRADICTED, LABEL_ERROR, FileReportRow, duplicates_as_json, file_report
from twofold.audit.label_issues import LabelIssues, find_label_issues
from twofold.audit.leakage import LeakedImage
from twofold.audit.learning_curve import LearningCurve
from twofold.audit.metadata_features import metadata_features
from twofold.audit.shortcuts import Shortcuts, find_shortcuts
from twofold.core.errors import DataError
from twofold.core.notes import Note
from twofold.dataset import folds
from twofold.dataset.labelled import LabelledDataset

MIN_IMAGES: Final = 10  # images per class that a check of the labels needs

MAX_IMAGES: Final = 100_000
"""Of more, shortcuts are searched in a random sample: one that matters shows in it."""


@dataclass(frozen=True, slots=True)
class Against:
    """Duplicates between two datasets: images of DATA with a duplicate in OTHER, and the reverse; each image once."""

    images: tuple[LeakedImage, ...]  # as with OTHER as training images and DATA as test images
    other_images: tuple[LeakedImage, ...]  # as with DATA as training images and OTHER as test images

    def as_json(self) -> dict[str, Any]:
        """Two blocks; in both, `path` is the image that is counted."""
        blocks = {"against": self.images, "against_other": self.other_images}
        return {name: [asdict(image) for image in images] for name, images in blocks.items()}


@dataclass(frozen=True, slots=True, eq=False)
class Audit:
    """The findings of an audit. `rows` are the usable images with out-of-fold scores; `label_issues` refers to them."""

    dataset: LabelledDataset = field(repr=False)
    rows: NDArray[np.int64] = field(repr=False)
    label_issues: LabelIssues | None
    shortcuts: Shortcuts | None
    learning_curve: LearningCurve | None = None
    against: Against | None = None

    @property
    def p_label_error(self) -> NDArray[np.float64]:
        """The probability that each label is wrong, (used,); NaN where it was not checked."""
        p_label_error = np.full(len(self.dataset.labels), np.nan)
        if self.label_issues is not None:
            p_label_error[self.rows] = self.label_issues.p_label_error
        return p_label_error

    @property
    def label_issue_rows(self) -> NDArray[np.int64]:
        """The usable rows of the label issues, the most probable first."""
        return self.rows[self.label_issues.rows] if self.label_issues is not None else np.empty(0, np.int64)

    def file_report(self) -> list[FileReportRow]:
        """One row per file, sorted by path."""
        reason = CONTRADICTED if self.label_issues is not None and self.label_issues.hard else LABEL_ERROR
        return file_report(self.dataset, self.p_label_error, self.label_issue_rows, reason)

    def notes(self) -> list[Note]:
        return [*self.dataset.notes(), *self._unchecked_label_notes(), *self._label_notes(), *self._shortcut_notes()]

    def as_json(self) -> dict[str, Any]:
        """The audit as JSON, without data and notes."""
        report = self.file_report()
        statuses = Counter(row.status for row in report)
        paths, files, used = self.dataset.paths, self.dataset.file_list.files, self.dataset.table.used
        p_label_error = self.p_label_error
        curve = self.learning_curve
        return {
            "statuses": {status: statuses[status] for status in ("used", "flagged", "skipped")},
            "reasons": dict(sorted(Counter(row.reason for row in report if row.reason).items())),
            "duplicates": duplicates_as_json(self.dataset, self.dataset.duplicates),
            **({} if self.against is None else self.against.as_json()),
            "label_issues": [
                {
                    "path": paths[row],
                    "label": files[used[row]].label,
                    "p_label_error": round(float(p_label_error[row]), 4),
                }
                for row in self.label_issue_rows
            ],
            "label_errors_expected": None if self.label_issues is None else asdict(self.label_issues.expected),
            "shortcuts": [] if self.shortcuts is None else [asdict(shortcut) for shortcut in self.shortcuts.features],
            "shortcuts_combined": None if self.shortcuts is None else asdict(self.shortcuts.combined_auc),
            **({} if curve is None else {"learning_curve": asdict(curve)}),
        }

    def _unchecked_label_notes(self) -> list[Note]:
        if self.label_issues is not None or not self.dataset.table.features.size:
            return []
        text = "Labels were not checked: a class has too few images that are not duplicates of one another. Add images."
        return [Note("labels-not-checked", text)]

    def _label_notes(self) -> list[Note]:
        if self.label_issues is None or not len(self.label_issue_rows):
            return []
        first = self.dataset.paths[self.label_issue_rows[0]]
        text = f"{self.label_issues.text}. The first is {first}; the file report has all."
        return [Note("label-issues", text)]

    def _shortcut_notes(self) -> list[Note]:
        summary = None if self.shortcuts is None else self.shortcuts.summary
        return [] if summary is None else [Note("shortcut", summary)]


def audit_dataset(
    dataset: LabelledDataset,
    rows: NDArray[np.int64],
    logits: NDArray[np.floating],
    folds: NDArray[np.int64] | None,
    *,
    learning_curve: LearningCurve | None = None,
    against: Against | None = None,
) -> Audit:
    """The audit of a dataset, `rows` of whose usable images have `logits` of a head or network that was not fitted on them.

    Labels are checked if at least `MIN_IMAGES` images of each class have logits. `folds` are those of `assign_folds`.
    """
    labels = dataset.labels[rows]
    label_issues = find_label_issues(logits, labels) if min(np.bincount(labels, minlength=2)) >= MIN_IMAGES else None
    return Audit(dataset, rows, label_issues, audit_shortcuts(dataset, folds), learning_curve, against)


def audit_shortcuts(dataset: LabelledDataset, folds: NDArray[np.int64] | None) -> Shortcuts | None:
    """The shortcuts in the valid images of a dataset; None where they have no `folds`."""
    if folds is None:
        return None
    rows = np.flatnonzero(dataset.valid)
    if len(rows) > MAX_IMAGES:
        sample = np.sort(np.random.default_rng(0).permutation(len(rows))[:MAX_IMAGES])
        rows, folds = rows[sample], folds[sample]
    return find_shortcuts(metadata_features(dataset, rows), dataset.labels[rows], folds, dataset.classes)


def assign_folds(dataset: LabelledDataset, count: int, seed: int) -> NDArray[np.int64] | None:
    """The fold of each valid image; None if a class has too few groups for this number of folds."""
    rows = np.flatnonzero(dataset.valid)
    try:
        return folds(dataset.names[rows], dataset.groups[rows], count, seed)
    except DataError:
        return None
