"""The Evaluation: every metric of labelled images with scores, with its interval."""

from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

import numpy as np

from twofold.core.arrays import Labels, Probabilities
from twofold.decision.confusion import ConfusionMatrix, balanced_accuracy, confusion_matrix, f1, mcc
from twofold.decision.rule import Rule
from twofold.evaluation.best_threshold import BestThreshold, find_best_threshold
from twofold.evaluation.intervals import (
    UNDEFINED,
    Interval,
    average_precision_interval,
    delong,
    ece_interval,
    loss_interval,
    simulated_interval,
    wilson,
)
from twofold.evaluation.metrics import log_losses, squared_errors

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
"""The names of all metrics, in the order of the tables."""

PER_CLASS_METRICS = ("precision", "recall", "specificity", "f1", "average_precision")
"""The metrics of one class, by default of the positive one; the others are the same whichever class is positive."""

_DEFINED = ("accuracy", "recall", "specificity")  # where one class has no images: the recall of the other, and accuracy

BORDERLINE_DISTANCE = 0.02
"""A decision is borderline where its probability is within this distance of the threshold."""


@dataclass(frozen=True, slots=True)
class ClassReport:
    """Precision, recall and F1 of one class, and its number of images."""

    precision: Interval
    recall: Interval
    f1: Interval
    support: int

    def as_json(self) -> dict[str, Any]:
        """{"precision", "recall", "f1", "support", "intervals"}; the last has the rates with the ends of their intervals."""
        rates = {"precision": self.precision, "recall": self.recall, "f1": self.f1}
        intervals = {name: rate.as_json() for name, rate in rates.items()}
        values = {name: interval["value"] for name, interval in intervals.items()}
        return {**values, "support": self.support, "intervals": intervals}


@dataclass(frozen=True, slots=True)
class Borderline:
    """The number of decisions whose probability is within `distance` of the threshold, and the number of wrong ones."""

    distance: float
    images: int
    errors: int


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """The metrics of labelled images with their 95% intervals, and the labels (n,) and probabilities (n,) of the figures."""

    labels: Labels = field(repr=False)
    probabilities: Probabilities = field(repr=False)
    rule: Rule = field(repr=False)
    classes: tuple[str, str]  # (negative, positive)
    confusion: ConfusionMatrix
    metrics: dict[str, Interval] = field(repr=False)
    per_class: dict[str, ClassReport] = field(repr=False)
    borderline: Borderline = field(repr=False)
    best_threshold: BestThreshold | None = field(repr=False)  # None where a class has no images

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Evaluation):
            return NotImplemented
        arrays = ("labels", "probabilities")
        names = (item.name for item in fields(self) if item.name not in arrays)
        return all(np.array_equal(getattr(self, name), getattr(other, name)) for name in arrays) and all(
            getattr(self, name) == getattr(other, name) for name in names
        )

    __hash__ = None  # type: ignore[assignment]

    @property
    def missing(self) -> list[str]:
        """The classes that have no images in this evaluation."""
        return [name for label, name in enumerate(self.classes) if label not in self.labels]

    def metric(self, name: str, label: str | None = None) -> Interval:
        """The metric of this name, one of `METRICS`. A metric of `PER_CLASS_METRICS` is that of the class `label`, by default
        of the positive class."""
        if label in (None, self.classes[1]):
            return self.metrics[name]
        if name == "specificity":
            return self.metrics["recall"]
        if name == "average_precision":
            return (
                average_precision_interval(1 - self.labels, 1 - self.probabilities, 0)
                if not self.missing
                else UNDEFINED
            )
        interval = getattr(self.per_class[str(label)], name)
        assert isinstance(interval, Interval)
        return interval

    def as_json(self) -> dict[str, Any]:
        """The blocks "threshold", "confusion", "metrics", "per_class", "borderline", "best_threshold"; null where undefined."""
        return {
            "threshold": self.rule.threshold,
            "confusion": asdict(self.confusion),
            "metrics": {name: interval.as_json() for name, interval in self.metrics.items()},
            "per_class": {name: report.as_json() for name, report in self.per_class.items()},
            "borderline": asdict(self.borderline),
            "best_threshold": None if self.best_threshold is None else asdict(self.best_threshold),
        }


def evaluate(
    labels: Labels, probabilities: Probabilities, rule: Rule, *, classes: tuple[str, str], seed: int = 0
) -> Evaluation:
    """The evaluation of one or more images: every metric with its 95% interval.

    labels (n,) are 0 or 1, probabilities (n,) are those of the second class of `classes`, (negative, positive). The intervals
    assume independent images and a fixed number of images of each class; duplicates make them too narrow. Where a class has no
    images only accuracy and the recall of the other class are defined: a precision of 1 would carry no information.
    """
    labels, probabilities = np.asarray(labels, np.int8), np.asarray(probabilities, np.float64)
    assert len(labels) == len(probabilities) > 0
    confusion = confusion_matrix(labels, rule.decide(probabilities))
    has_both_classes = 0 < int(labels.sum()) < len(labels)
    metrics = _rates(confusion, seed)
    if has_both_classes:
        metrics |= _scores(labels, probabilities, seed)
    return Evaluation(
        labels=labels,
        probabilities=probabilities,
        rule=rule,
        classes=classes,
        confusion=confusion,
        metrics=metrics if has_both_classes else _of_one_class(metrics),
        per_class=_per_class(confusion, classes, seed, has_both_classes=has_both_classes),
        borderline=_borderline(labels, probabilities, rule),
        best_threshold=find_best_threshold(labels, probabilities, rule, seed=seed) if has_both_classes else None,
    )


def with_positive(positive: str, evaluation: Evaluation) -> Evaluation:
    """The evaluation of the same decisions with this class as the positive one."""
    negative, current = evaluation.classes
    if positive == current:
        return evaluation
    assert positive == negative
    rule, probabilities = evaluation.rule.swap_classes(evaluation.probabilities)
    return evaluate(1 - evaluation.labels, probabilities, rule, classes=(current, negative))


def _rates(c: ConfusionMatrix, seed: int) -> dict[str, Interval]:
    rates = _class_rates(c, seed)
    return {
        "accuracy": wilson(c.tp + c.tn, c.tp + c.tn + c.fp + c.fn),
        "balanced_accuracy": simulated_interval(c, balanced_accuracy, seed),
        "precision": rates.precision,
        "recall": rates.recall,
        "specificity": wilson(c.tn, c.tn + c.fp),
        "f1": rates.f1,
        "mcc": simulated_interval(c, mcc, seed),
    }


def _scores(labels: Labels, probabilities: Probabilities, seed: int) -> dict[str, Interval]:
    return {
        "roc_auc": delong(labels, probabilities),
        "average_precision": average_precision_interval(labels, probabilities, seed),
        "log_loss": loss_interval(log_losses(labels, probabilities), labels),
        "brier": loss_interval(squared_errors(labels, probabilities), labels),
        "ece": ece_interval(labels, probabilities, seed),
    }


def _of_one_class(metrics: dict[str, Interval]) -> dict[str, Interval]:
    """The metrics of a test set of one class: all but `_DEFINED` are undefined."""
    return {name: metrics[name] if name in _DEFINED else UNDEFINED for name in METRICS}


def _per_class(
    c: ConfusionMatrix, classes: tuple[str, str], seed: int, *, has_both_classes: bool
) -> dict[str, ClassReport]:
    reports = {classes[0]: _class_rates(c.swap_classes(), seed), classes[1]: _class_rates(c, seed)}
    if has_both_classes:
        return reports
    return {name: replace(report, precision=UNDEFINED, f1=UNDEFINED) for name, report in reports.items()}


def _class_rates(c: ConfusionMatrix, seed: int) -> ClassReport:
    """The report of the positive class of a matrix."""
    return ClassReport(
        precision=wilson(c.tp, c.tp + c.fp),
        recall=wilson(c.tp, c.tp + c.fn),
        f1=simulated_interval(c, f1, seed),
        support=c.tp + c.fn,
    )


def _borderline(labels: Labels, probabilities: Probabilities, rule: Rule) -> Borderline:
    near = np.abs(probabilities - rule.threshold) <= BORDERLINE_DISTANCE
    return Borderline(BORDERLINE_DISTANCE, int(near.sum()), int((near & (rule.decide(probabilities) != labels)).sum()))
