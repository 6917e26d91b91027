"""The Evaluation: every number about a set of labelled, scored pictures, with its interval."""

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from twofold.decision.counts import Counts, balanced_accuracy, count_decisions, f1, mcc
from twofold.decision.rule import Rule
from twofold.evaluation.best_threshold import BestThreshold, find_best_threshold
from twofold.evaluation.intervals import (
    UNDEFINED,
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

PER_CLASS_METRICS = ("precision", "recall", "specificity", "f1", "average_precision")
"""Those that speak of one class, by default of the positive one; the others are the same whichever is positive."""

_DEFINED = ("accuracy", "recall", "specificity")  # of pictures of one class: the last is the recall of the other

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

    def as_json(self) -> dict[str, Any]:
        """The three values and the support; under "intervals" the three with their ends, as the metrics are given."""
        rates = {"precision": self.precision, "recall": self.recall, "f1": self.f1}
        told = {name: rate.as_json() for name, rate in rates.items()}
        return {**{name: rate["value"] for name, rate in told.items()}, "support": self.support, "intervals": told}


@dataclass(frozen=True, slots=True)
class Borderline:
    """The answers that nearly went the other way, and how many of them are wrong."""

    within: float
    images: int
    errors: int


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What `evaluate` gives; labels and probabilities are kept for the figures."""

    labels: Labels = field(repr=False)
    probabilities: Probabilities = field(repr=False)
    rule: Rule = field(repr=False)
    classes: tuple[str, str]  # (negative, positive)
    confusion: Confusion
    metrics: dict[str, Interval] = field(repr=False)
    per_class: dict[str, ClassReport] = field(repr=False)
    borderline: Borderline = field(repr=False)
    best_threshold: BestThreshold | None = field(repr=False)  # None where a class has no pictures

    @property
    def missing(self) -> list[str]:
        """The classes that have no pictures here."""
        return [name for label, name in enumerate(self.classes) if label not in self.labels]

    def metric(self, name: str, of: str | None = None) -> Interval:
        """One of `METRICS`; one that speaks of a class does so `of` that one, by default of the positive one."""
        if of in (None, self.classes[1]):
            return self.metrics[name]
        if name == "specificity":
            return self.metrics["recall"]
        if name == "average_precision":
            return from_resamples(1 - self.labels, 1 - self.probabilities, 0) if not self.missing else UNDEFINED
        interval = getattr(self.per_class[str(of)], name)
        assert isinstance(interval, Interval)
        return interval

    def as_json(self) -> dict[str, Any]:
        """The blocks "threshold", "confusion", "metrics", "per_class", "borderline", "best_threshold"; null: undefined."""
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
    """Every metric with its 95% interval, for one or more pictures.

    labels (n,) are 0 or 1, probabilities (n,) the chance of the second of the two classes. The intervals hold for new
    pictures like these in the same mixture of classes, independent of each other: copies make them too narrow. Where a class
    has no pictures only accuracy and the recall of the other are defined: a precision of 1 would say nothing.
    """
    labels, probabilities = np.asarray(labels, np.int8), np.asarray(probabilities, np.float64)
    assert len(labels) == len(probabilities) > 0
    decisions = rule.decide(probabilities)
    cells = count_decisions(labels, decisions)
    confusion = Confusion(*(int(cell) for cell in (cells.tn, cells.fp, cells.fn, cells.tp)))
    both = 0 < int(labels.sum()) < len(labels)
    metrics = _rates(confusion, cells, seed)
    if both:
        metrics |= _scores(labels, probabilities, seed)
    return Evaluation(
        labels=labels,
        probabilities=probabilities,
        rule=rule,
        classes=classes,
        confusion=confusion,
        metrics=metrics if both else _of_one_class(metrics),
        per_class=_per_class(confusion, cells, classes, seed, both=both),
        borderline=_borderline(labels, probabilities, rule),
        best_threshold=find_best_threshold(labels, probabilities, rule, seed=seed) if both else None,
    )


def with_positive(positive: str, evaluation: Evaluation) -> Evaluation:
    """The same answers with this class as the positive one."""
    negative, other = evaluation.classes
    if positive == other:
        return evaluation
    assert positive == negative
    rule, probabilities = evaluation.rule.mirrored(evaluation.probabilities)
    return evaluate(1 - evaluation.labels, probabilities, rule, classes=(other, negative))


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


def _of_one_class(metrics: dict[str, Interval]) -> dict[str, Interval]:
    """All metrics, with what is defined where the pictures are all of one class."""
    return {name: metrics[name] if name in _DEFINED else UNDEFINED for name in METRICS}


def _per_class(
    c: Confusion, cells: Counts, classes: tuple[str, str], seed: int, *, both: bool
) -> dict[str, ClassReport]:
    if not both:
        recalls = {classes[0]: (c.tn, c.tn + c.fp), classes[1]: (c.tp, c.tp + c.fn)}
        return {name: ClassReport(UNDEFINED, wilson(*cell), UNDEFINED, cell[1]) for name, cell in recalls.items()}
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


def _borderline(labels: Labels, probabilities: Probabilities, rule: Rule) -> Borderline:
    near = np.abs(probabilities - rule.threshold) <= WITHIN
    return Borderline(WITHIN, int(near.sum()), int((near & (rule.decide(probabilities) != labels)).sum()))
