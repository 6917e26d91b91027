"""The Evaluation: every number about a set of labelled, scored pictures, with its interval."""

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from twofold.decision.counts import Counts, balanced_accuracy, count, f1, mcc
from twofold.evaluation.hindsight import Hindsight, hindsight
from twofold.evaluation.intervals import (
    Interval,
    delong,
    from_bins,
    from_losses,
    from_rates,
    from_resamples,
    wilson,
)
from twofold.evaluation.metrics import Labels, Probabilities, log_losses, squared_errors

METRICS = (
    "accuracy",
    "balanced_accuracy",
    "precision",
    "recall",
    "specificity",
    "f1",
    "mcc",
    "roc_auc",
    "average_precision",
    "log_loss",
    "brier",
    "ece",
)
"""Names of all metrics, in the order in which they are shown."""

WITHIN = 0.02
"""An answer is hesitant when its probability lies this near to the threshold."""


@dataclass(frozen=True, slots=True)
class Confusion:
    """How many pictures of each class got each answer."""

    tn: int
    fp: int
    fn: int
    tp: int


@dataclass(frozen=True, slots=True)
class ClassReport:
    """One class as the positive one: its precision, recall and F1, and how many pictures it has."""

    precision: Interval
    recall: Interval
    f1: Interval
    support: int

    def as_json(self) -> dict[str, float | None]:
        rates = {"precision": self.precision, "recall": self.recall, "f1": self.f1}
        return {**{name: rate.as_json()["value"] for name, rate in rates.items()}, "support": self.support}


@dataclass(frozen=True, slots=True)
class Hesitant:
    """The answers that nearly went the other way, and how many of them are wrong."""

    within: float
    images: int
    errors: int


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What `evaluate` gives; labels and probabilities are kept for the figures."""

    labels: Labels = field(repr=False)
    probabilities: Probabilities = field(repr=False)
    threshold: float
    classes: tuple[str, str]  # (negative, positive)
    confusion: Confusion
    metrics: dict[str, Interval] = field(repr=False)
    per_class: dict[str, ClassReport] = field(repr=False)
    hesitant: Hesitant = field(repr=False)
    best_threshold: Hindsight = field(repr=False)

    def as_json(self) -> dict[str, Any]:
        """The blocks "threshold", "confusion", "metrics", "per_class", "hesitant", "best_threshold"; null: undefined."""
        return {
            "threshold": self.threshold,
            "confusion": asdict(self.confusion),
            "metrics": {name: interval.as_json() for name, interval in self.metrics.items()},
            "per_class": {name: report.as_json() for name, report in self.per_class.items()},
            "hesitant": asdict(self.hesitant),
            "best_threshold": asdict(self.best_threshold),
        }


def evaluate(
    labels: Labels, probabilities: Probabilities, threshold: float, *, classes: tuple[str, str], seed: int = 0
) -> Evaluation:
    """Every metric with its 95% interval, for one or more pictures.

    labels (n,) are 0 or 1, probabilities (n,) the chance of the second of the two classes. The intervals hold for new
    pictures like these in the same mixture of classes, independent of each other: copies make them too narrow.
    """
    labels, probabilities = np.asarray(labels, np.int8), np.asarray(probabilities, np.float64)
    assert len(labels) == len(probabilities) > 0
    cells = count(labels, probabilities, threshold)
    confusion = Confusion(*(int(cell) for cell in (cells.tn, cells.fp, cells.fn, cells.tp)))
    return Evaluation(
        labels=labels,
        probabilities=probabilities,
        threshold=threshold,
        classes=classes,
        confusion=confusion,
        metrics=_rates(confusion, cells, seed) | _scores(labels, probabilities, seed),
        per_class=_per_class(confusion, cells, classes, seed),
        hesitant=_hesitant(labels, probabilities, threshold),
        best_threshold=hindsight(labels, probabilities, threshold, seed=seed),
    )


def _rates(c: Confusion, cells: Counts, seed: int) -> dict[str, Interval]:
    return {
        "accuracy": wilson(c.tp + c.tn, c.tp + c.tn + c.fp + c.fn),
        "balanced_accuracy": from_rates(cells, balanced_accuracy, seed),
        "precision": wilson(c.tp, c.tp + c.fp),
        "recall": wilson(c.tp, c.tp + c.fn),
        "specificity": wilson(c.tn, c.tn + c.fp),
        "f1": from_rates(cells, f1, seed),
        "mcc": from_rates(cells, mcc, seed),
    }


def _scores(labels: Labels, probabilities: Probabilities, seed: int) -> dict[str, Interval]:
    return {
        "roc_auc": delong(labels, probabilities),
        "average_precision": from_resamples(labels, probabilities, seed),
        "log_loss": from_losses(log_losses(labels, probabilities), labels),
        "brier": from_losses(squared_errors(labels, probabilities), labels),
        "ece": from_bins(labels, probabilities, seed),
    }


def _per_class(c: Confusion, cells: Counts, classes: tuple[str, str], seed: int) -> dict[str, ClassReport]:
    mirrored = Counts(tn=cells.tp, fp=cells.fn, fn=cells.fp, tp=cells.tn)
    negative, positive = classes
    return {
        negative: ClassReport(
            wilson(c.tn, c.tn + c.fn), wilson(c.tn, c.tn + c.fp), from_rates(mirrored, f1, seed), c.tn + c.fp
        ),
        positive: ClassReport(
            wilson(c.tp, c.tp + c.fp), wilson(c.tp, c.tp + c.fn), from_rates(cells, f1, seed), c.tp + c.fn
        ),
    }


def _hesitant(labels: Labels, probabilities: Probabilities, threshold: float) -> Hesitant:
    near = np.abs(probabilities - threshold) <= WITHIN
    wrong = (probabilities >= threshold) != (labels == 1)
    return Hesitant(WITHIN, int(near.sum()), int((near & wrong).sum()))
