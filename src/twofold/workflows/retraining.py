"""Retraining: the head fitted again with the labels of a review, compared with the one before on the same images."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twofold.core.arrays import Labels, Reals
from twofold.data import ReviewDecisions, one_line
from twofold.dataset.folds import folds as assign_folds
from twofold.dataset.labelled import LabelledDataset, without_distinct
from twofold.decision import Rule, fit_head
from twofold.decision.cross_fitting import cross_fit_probabilities
from twofold.duplicates import Duplicate
from twofold.embedding import FeatureTable
from twofold.evaluation import Comparison, compare
from twofold.evaluation.metrics import log_losses, roc_auc


@dataclass(frozen=True, slots=True, eq=False)
class OutOfFold:
    """Out-of-fold logits and probabilities of images with these labels, all (n,); `rows` are usable rows of the dataset."""

    rows: NDArray[np.int64] = field(repr=False)
    labels: Labels = field(repr=False)
    logits: Reals = field(repr=False)
    probabilities: Reals = field(repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class Retraining:
    """What the decisions of a review change. `before`, `after` and `comparison` are on the images whose label did not change."""

    scores: OutOfFold = field(repr=False)
    relabelled: int  # files
    excluded: int
    before: dict[str, float]
    after: dict[str, float]
    comparison: Comparison

    @property
    def differs(self) -> bool:
        """Whether accuracy or log-loss changed by more than noise: the 95% interval of the difference leaves out 0."""
        intervals = (self.comparison.differences[name] for name in ("accuracy", "log_loss"))
        return any(interval.low > 0 or interval.high < 0 for interval in intervals)

    def as_json(self) -> dict[str, Any]:
        """The counts, the metrics before and after, and the comparison."""
        return {
            "relabelled": self.relabelled,
            "excluded": self.excluded,
            "before": self.before,
            "after": self.after,
            "comparison": self.comparison.as_json(),
            "differs": self.differs,
        }


def fit_out_of_fold(dataset: LabelledDataset, rows: NDArray[np.int64], folds: int, seed: int) -> OutOfFold:
    """The out-of-fold scores of the valid images of a dataset; `rows` (used,) are the numbers by which they are known."""
    valid = np.flatnonzero(dataset.valid)
    labels, groups = dataset.labels[valid], dataset.groups[valid]
    fold = assign_folds(dataset.names[valid], groups, folds, seed)
    features = dataset.table.features
    logits = fit_head(features if len(valid) == len(features) else features[valid], labels, fold).logits
    return OutOfFold(rows[valid], labels, logits, cross_fit_probabilities(logits, labels, fold, groups))


def retrain(
    dataset: LabelledDataset, decisions: ReviewDecisions, before: OutOfFold, rule: Rule, folds: int, seed: int
) -> Retraining:
    """The scores with the labels that were decided, and their difference from those before.

    `dataset` has the labels before the review. The fit is that of `train` with these features, without its nested
    cross-validation. Raises DataError where too few images of a class are left.
    """
    reviewed, rows = reviewed_dataset(dataset, decisions)
    reviewed.check_counts(2)
    scores = fit_out_of_fold(reviewed, rows, folds, seed)
    relabelled = int(np.sum(reviewed.labels != dataset.labels[rows]))
    _, first, second = np.intersect1d(before.rows, scores.rows, assume_unique=True, return_indices=True)
    same = before.labels[first] == scores.labels[second]
    first, second = first[same], second[same]
    labels, groups = before.labels[first], dataset.groups[before.rows[first]]
    prevalence = float(labels.mean())
    old, new = (
        rule.always_answering().restate(probabilities, prevalence)
        for probabilities in (before.probabilities[first], scores.probabilities[second])
    )
    comparison = compare(labels, old[::-1], new[::-1], groups)
    excluded = len(dataset.labels) - len(rows)
    return Retraining(scores, relabelled, excluded, _metrics(labels, *old), _metrics(labels, *new), comparison)


def _metrics(labels: Labels, rule: Rule, probabilities: Reals) -> dict[str, float]:
    return {
        "accuracy": float(np.mean(rule.answer(probabilities) == labels)),
        "log_loss": float(np.mean(log_losses(labels, probabilities))),
        "roc_auc": float(roc_auc(labels, probabilities)),
    }


def reviewed_dataset(dataset: LabelledDataset, decisions: ReviewDecisions) -> tuple[LabelledDataset, NDArray[np.int64]]:
    """The usable images with the labels that were decided, without those that were excluded, and their usable rows before."""
    table, answers = dataset.table, decisions.answers
    names = {one_line(name): name for name in dataset.classes}
    metadata = [entry for entry in table.metadata if entry is not None]
    kinds = [answers.get(entry.sha256) for entry in metadata]
    kept = [row for row, answer in enumerate(kinds) if answer is None or answer.kind != "exclude"]
    files = []
    for row in kept:
        file, answer = dataset.file_list.files[int(table.used[row])], kinds[row]
        label = names.get(answer.value, file.label) if answer is not None and answer.kind == "label" else file.label
        files.append(replace(file, label=label))
    all_kept = len(kept) == len(metadata)  # then nothing is copied
    rows = np.array(kept, np.int64)
    part = FeatureTable(
        tuple(metadata[row] for row in kept),
        (None,) * len(kept),
        table.features if all_kept else table.features[rows],
        table.thumbnails if all_kept else table.thumbnails[rows],
        moments=table.moments,
    )
    numbers = {row: number for number, row in enumerate(kept)}
    pairs = [
        Duplicate(numbers[pair.first], numbers[pair.second], pair.kind)
        for pair in without_distinct(dataset.duplicates, dataset.fingerprints.keys, decisions.distinct)
        if pair.first in numbers and pair.second in numbers
    ]
    file_list = replace(dataset.file_list, files=tuple(files), skips=())
    return LabelledDataset(file_list, part, dataset.classes, tuple(pairs)), rows
