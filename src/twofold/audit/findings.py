"""What an audit found in a sample."""

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from twofold.audit.file_report import FileReportRow, duplicates_as_json, file_report
from twofold.audit.label_issues import LabelIssues, find_label_issues
from twofold.audit.leakage import LeakedImage
from twofold.audit.learning_curve import LearningCurve
from twofold.audit.metadata_features import metadata_features
from twofold.audit.shortcuts import Shortcuts, find_shortcuts
from twofold.core.errors import DataError
from twofold.core.notes import Note
from twofold.core.options import CrossValidationOptions
from twofold.dataset import folds
from twofold.dataset.labelled import LabelledDataset

LEAST: Final = 10  # pictures of each class from which on labels are judged


@dataclass(frozen=True, slots=True)
class Against:
    """The pictures of DATA that duplicate some of OTHER, and those of OTHER that duplicate some of DATA, each once."""

    own: tuple[LeakedImage, ...]  # as `train OTHER --test DATA` finds them
    others: tuple[LeakedImage, ...]  # as `train DATA --test OTHER` does

    def as_json(self) -> dict[str, Any]:
        """Two blocks; in both, `path` is the picture that is counted."""
        blocks = {"against": self.own, "against_other": self.others}
        return {name: [asdict(leak) for leak in leakage] for name, leakage in blocks.items()}


@dataclass(frozen=True, slots=True, eq=False)
class Audit:
    """`rows` are the usable pictures that were scored, of which `suspects` speaks; `against` has what OTHER has, too."""

    dataset: LabelledDataset = field(repr=False)
    rows: NDArray[np.int64] = field(repr=False)
    label_issues: LabelIssues | None
    shortcuts: Shortcuts | None
    learning_curve: LearningCurve | None = None
    against: Against | None = None

    @property
    def p_label_error(self) -> NDArray[np.float64]:
        """The chance that each label is wrong, NaN where it was not judged, (used,)."""
        known = np.full(len(self.dataset.labels), np.nan)
        if self.label_issues is not None:
            known[self.rows] = self.label_issues.p_label_error
        return known

    @property
    def listed(self) -> NDArray[np.int64]:
        """The usable pictures whose labels are worth a look, the most suspicious first."""
        return self.rows[self.label_issues.listed] if self.label_issues is not None else np.empty(0, np.int64)

    def file_report(self) -> list[FileReportRow]:
        """One row for every path met, sorted by path."""
        return file_report(self.dataset, self.p_label_error, self.listed)

    def notes(self) -> list[Note]:
        shortcuts = () if self.shortcuts is None else self.shortcuts.texts
        return [
            *self.dataset.notes(),
            *self._unjudged(),
            *self._doubts(),
            *(Note("shortcut", text) for text in shortcuts),
        ]

    def as_json(self) -> dict[str, Any]:
        """The blocks that `audit --json` prints, but for data and notes."""
        rows = self.file_report()
        statuses = Counter(row.status for row in rows)
        paths, items, used = self.dataset.paths, self.dataset.file_list.files, self.dataset.table.used
        doubts = self.p_label_error
        return {
            "statuses": {status: statuses[status] for status in ("used", "flagged", "skipped")},
            "reasons": dict(sorted(Counter(row.reason for row in rows if row.reason).items())),
            "duplicates": duplicates_as_json(self.dataset, self.dataset.duplicates),
            **({} if self.against is None else self.against.as_json()),
            "label_issues": [
                {"path": paths[row], "label": items[used[row]].label, "p_label_error": round(float(doubts[row]), 4)}
                for row in self.listed
            ],
            "label_errors_expected": None if self.label_issues is None else asdict(self.label_issues.expected),
            "shortcuts": [] if self.shortcuts is None else [asdict(shortcut) for shortcut in self.shortcuts.found],
            "shortcuts_together": None if self.shortcuts is None else asdict(self.shortcuts.together),
            **(
                {}
                if self.learning_curve is None
                else {"learning_curve": {**asdict(self.learning_curve), "text": self.learning_curve.text}}
            ),
        }

    def _unjudged(self) -> list[Note]:
        if self.label_issues is not None or not self.dataset.table.features.size:
            return []
        text = "Labels were not judged, because a class has too few pictures for it that are no copies of one another: add some."
        return [Note("labels-not-judged", text)]

    def _doubts(self) -> list[Note]:
        if self.label_issues is None or not len(self.listed):
            return []
        expected, first = self.label_issues.expected, self.dataset.paths[self.listed[0]]
        text = (
            f"Labels that the rest of the data contradicts: {len(self.listed)} are worth a look, such as {first}; in all "
            f"about {expected.value:.0f} are wrong ({expected.low:.0f} to {expected.high:.0f}). The ledger names each."
        )
        return [Note("label_issues", text)]


def audit_sample(
    dataset: LabelledDataset,
    rows: NDArray[np.int64],
    logits: NDArray[np.floating],
    options: CrossValidationOptions,
    *,
    learning_curve: LearningCurve | None = None,
    against: Against | None = None,
) -> Audit:
    """The audit of a sample, `rows` of whose usable pictures have honest `logits`: of a head or network that did not see them.

    Labels are judged where at least `LEAST` of each class have logits.
    """
    labels = dataset.labels[rows]
    label_issues = find_label_issues(logits, labels) if min(np.bincount(labels, minlength=2)) >= LEAST else None
    return Audit(dataset, rows, label_issues, look_for_shortcuts(dataset, options), learning_curve, against)


def look_for_shortcuts(dataset: LabelledDataset, options: CrossValidationOptions) -> Shortcuts | None:
    """What gives the label of the pictures that count away, beside what they show; None where these are too few for folds."""
    rows = np.flatnonzero(dataset.valid)
    parts = folds_of(dataset, rows, options)
    return (
        None
        if parts is None
        else find_shortcuts(metadata_features(dataset, rows), dataset.labels[rows], parts, dataset.classes)
    )


def folds_of(
    dataset: LabelledDataset, rows: NDArray[np.int64], options: CrossValidationOptions
) -> NDArray[np.int64] | None:
    """The fold of each of these usable pictures; None where a class cannot be dealt out to that many."""
    try:
        return folds(dataset.names[rows], dataset.groups[rows], options.folds, options.seed)
    except DataError:
        return None
