"""The Evaluation: every metric of labelled images with scores, with its interval."""

from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twofold.core.arrays import Labels, Probabilities, Reals
from twofold.core.data_frame import data_frame
from twofold.decision.confusion import ConfusionMatrix, balanced_accuracy, confusion_matrix, f1, mcc
from twofold.decision.costs import Costs
from twofold.decision.prevalence import ClassWeights, change_prevalence
from twofold.decision.rule import NEGATIVE, UNFAMILIAR, UNSURE, Rule
from twofold.decision.sweep import Score
from twofold.evaluation.best_threshold import BestThreshold, find_best_threshold
from twofold.evaluation.calibration_errors import ece_interval, recalibration
from twofold.evaluation.expected_cost import DecidedImages, ExpectedCost
from twofold.evaluation.groups import Groups, count_groups, design_effect, has_groups
from twofold.evaluation.intervals import (
    UNDEFINED,
    Interval,
    average_precision_interval,
    delong,
    loss_interval,
    simulated_interval,
    wilson,
)
from twofold.evaluation.metrics import log_losses, squared_errors
from twofold.evaluation.notebook_view import evaluation_html
from twofold.evaluation.operating_table import OperatingPoint, operating_table
from twofold.evaluation.promise_checks import PromiseCheck
from twofold.evaluation.rule_summary import RuleSample, RuleSummary
from twofold.evaluation.sample import Sample, VarianceFactors
from twofold.evaluation.slices import Slices

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
    "calibration_slope",
    "calibration_intercept",
)
"""The names of all metrics, in the order of the tables."""

DECISION_METRICS = ("coverage", "error", "cost")
"""The metrics of a rule's decisions: the fraction of the images that are decided, the fraction of those that is wrong, and the
cost per 1,000 images of a rule that was chosen for costs."""

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
    """The metrics of labelled images with their 95% intervals, and the labels (n,), probabilities (n,) and ranks (n,) of the
    figures. `ranks` order the images for the area under the ROC curve and average precision."""

    labels: Labels = field(repr=False)
    probabilities: Probabilities = field(repr=False)
    ranks: Reals = field(repr=False)
    groups: Groups | None = field(repr=False)  # (n,); None where each image is a group
    rule: Rule = field(repr=False)
    classes: tuple[str, str]  # (negative, positive)
    confusion: ConfusionMatrix
    metrics: dict[str, Interval] = field(repr=False)
    per_class: dict[str, ClassReport] = field(repr=False)
    borderline: Borderline = field(repr=False)
    best_threshold: BestThreshold | None = field(repr=False)  # None where a class has no images
    factors: VarianceFactors | None = field(repr=False, default=None)  # of cross-validation; None where not measured
    cost: ExpectedCost | None = field(repr=False, default=None)  # None where the rule's policy has no costs
    promises: tuple[PromiseCheck, ...] = field(repr=False, default=())  # of the rule, checked on a test set
    slices: Slices | None = field(repr=False, default=None)  # None where not looked at, or nothing tells images apart
    familiarity: Reals | None = field(repr=False, default=None)  # (n,); None where the model has none
    model_probabilities: Probabilities | None = field(repr=False, default=None)  # (n,), as in `evaluate`

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Evaluation):
            return NotImplemented
        arrays = ("labels", "probabilities", "ranks", "groups", "familiarity", "model_probabilities")
        names = (item.name for item in fields(self) if item.name not in arrays)
        return all(_same(getattr(self, name), getattr(other, name)) for name in arrays) and all(
            getattr(self, name) == getattr(other, name) for name in names
        )

    __hash__ = None  # type: ignore[assignment]

    @property
    def group_count(self) -> int:
        """The number of groups; that of the images where each is a group."""
        return len(self.labels) if self.groups is None else count_groups(self.groups)

    @property
    def missing(self) -> list[str]:
        """The classes that have no images in this evaluation."""
        return [name for label, name in enumerate(self.classes) if label not in self.labels]

    def metric(self, name: str, label: str | None = None) -> Interval:
        """The metric of this name, one of `METRICS` or `DECISION_METRICS`.

        A metric of `PER_CLASS_METRICS` is that of the class `label`, by default of the positive class.
        """
        if name == "cost":
            return UNDEFINED if self.cost is None else self.cost.per_1000
        if name in DECISION_METRICS:
            return self.decided[name]
        if label in (None, self.classes[1]):
            return self.metrics[name]
        if name == "specificity":
            return self.metrics["recall"]
        if name == "average_precision":
            return UNDEFINED if self.missing else _average_precision(self.sample.swap_classes(), 0)
        interval = getattr(self.per_class[str(label)], name)
        assert isinstance(interval, Interval)
        return interval

    @property
    def decided(self) -> dict[str, Interval]:
        """Coverage and error. All other metrics but the cost are those of an answer for every image."""
        sample, decided = self.sample, self.decisions >= NEGATIVE
        wrong = int(np.sum(decided & (sample.decisions != self.labels)))
        return {
            "coverage": self._fraction(decided),
            "error": wilson(wrong, int(decided.sum()), sample.of_rate(decided)),
        }

    @property
    def operating_table(self) -> list[OperatingPoint]:
        """The operating table of these images; empty where a class has none."""
        if self.missing:
            return []
        # Thresholds are for probabilities at the prevalence that the rule assumes.
        probabilities = self.rule_probabilities if self.model_probabilities is None else self.model_probabilities
        return operating_table(self.labels, probabilities, self.groups, self.sample.factors.decisions)

    @property
    def rule_probabilities(self) -> Probabilities:
        """The probabilities (n,) at the prevalence that the rule assumes, as predictions have them."""
        return change_prevalence(self.probabilities, self.rule.neutral, 0.5)

    @property
    def is_borderline(self) -> NDArray[np.bool_]:
        """Whether the probability of each image is near the threshold, (n,)."""
        return _is_borderline(self.probabilities, self.rule)

    @property
    def restated(self) -> RuleSummary | None:
        """What the rule does at the prevalence that it assumes; None where it assumes none, or a class has no images."""
        if self.rule.prevalence is None or self.missing:
            return None
        columns = self.labels, self.probabilities, self.groups
        factor = self.sample.factors.decisions
        return RuleSample(*columns, self.rule.prevalence, factor, self.familiarity).summary(self.rule)

    @property
    def decisions(self) -> NDArray[np.int8]:
        """The decision of the rule for each image, (n,), also UNSURE or UNFAMILIAR."""
        return self.rule.decide(self.probabilities, self.familiarity)

    @property
    def decision_names(self) -> list[str]:
        """The decision for each image, (n,): a class, "unsure" or "unfamiliar"."""
        names = {**dict(enumerate(self.classes)), UNSURE: "unsure", UNFAMILIAR: "unfamiliar"}
        return [names[decision] for decision in self.decisions.tolist()]

    @property
    def undecided(self) -> dict[str, Interval]:
        """The fraction of the images of each reason for no decision, "unsure" and "unfamiliar", where there are any."""
        reasons = {"unsure": self.decisions == UNSURE, "unfamiliar": self.decisions == UNFAMILIAR}
        return {name: self._fraction(rows) for name, rows in reasons.items() if rows.any()}

    def _fraction(self, rows: NDArray[np.bool_]) -> Interval:
        effect = self.sample.factors.decisions * design_effect(rows - rows.mean(), self.groups)
        return wilson(int(rows.sum()), len(rows), effect)

    @property
    def sample(self) -> Sample:
        """The images with the factors on the variances of their metrics."""
        factors = VarianceFactors() if self.factors is None else self.factors
        decisions = self.rule.answer(self.probabilities)
        return Sample(self.labels, decisions, self.probabilities, self.ranks, self.groups, factors)

    def to_pandas(self) -> Any:
        """A pandas.DataFrame with one row per image: label, decision, probability, familiarity and group.

        The probability is that of the positive class at the prevalence that the rule assumes. Raises UsageError where pandas
        is not installed.
        """
        columns = {
            "label": [self.classes[label] for label in self.labels.tolist()],
            "decision": self.decision_names,
            "probability": self.rule_probabilities,
            "familiarity": np.full(len(self.labels), np.nan) if self.familiarity is None else self.familiarity,
            "group": np.arange(len(self.labels)) if self.groups is None else self.groups,
        }
        return data_frame(columns)

    def _repr_html_(self) -> str:
        return evaluation_html(self)

    def as_json(self) -> dict[str, Any]:
        """The blocks "images", "groups", "variance_factors", "threshold", "operating_table", "restated", "decided", "cost",
        "promises", "confusion", "metrics", "per_class", "borderline", "best_threshold", "slices"; null where undefined."""
        return {
            "images": len(self.labels),
            "groups": self.group_count,
            "variance_factors": None if self.factors is None else asdict(self.factors),
            "threshold": self.rule.original.threshold,
            "operating_table": [point.as_json() for point in self.operating_table],
            "restated": None if self.restated is None else self.restated.as_json(),
            "decided": {name: interval.as_json() for name, interval in {**self.decided, **self.undecided}.items()},
            "cost": None if self.cost is None else self.cost.as_json(),
            "promises": [check.as_json() for check in self.promises],
            "confusion": asdict(self.confusion),
            "metrics": {name: interval.as_json() for name, interval in self.metrics.items()},
            "per_class": {name: report.as_json() for name, report in self.per_class.items()},
            "borderline": asdict(self.borderline),
            "best_threshold": None if self.best_threshold is None else asdict(self.best_threshold),
            "slices": None if self.slices is None else self.slices.as_json(),
        }


def evaluate(
    labels: Labels,
    probabilities: Probabilities,
    rule: Rule,
    *,
    classes: tuple[str, str],
    seed: int = 0,
    groups: Groups | None = None,
    ranks: Reals | None = None,
    factors: VarianceFactors | None = None,
    familiarity: Reals | None = None,
    model_probabilities: Probabilities | None = None,
) -> Evaluation:
    """The evaluation of one or more images: every metric with its 95% interval.

    labels (n,) are 0 or 1, probabilities (n,) are those of the second class of `classes`, (negative, positive). Images of one
    group (n,) may depend on each other, those of different groups do not; by default each image is a group. `ranks` (n,), by
    default the probabilities, order the images. `factors` widen the intervals of a cross-validation. `familiarity` (n,) is for
    the gate of the rule. `model_probabilities` (n,) are those of the model itself, which thresholds are shown for, where
    `probabilities` are those of calibrations of the folds. The number of images of each class is taken as fixed. Where a class
    has no images only accuracy and the recall of the other class are defined: a precision of 1 would carry no information.
    """
    labels, probabilities = np.asarray(labels, np.int8), np.asarray(probabilities, np.float64)
    assert len(labels) == len(probabilities) > 0
    confusion = confusion_matrix(labels, rule.answer(probabilities))
    has_both_classes = 0 < int(labels.sum()) < len(labels)
    evaluation = Evaluation(
        labels=labels,
        probabilities=probabilities,
        ranks=probabilities if ranks is None else np.asarray(ranks, np.float64),
        groups=groups if has_groups(groups) else None,
        rule=rule,
        classes=classes,
        confusion=confusion,
        metrics={},
        per_class={},
        borderline=_borderline(labels, probabilities, rule),
        best_threshold=find_best_threshold(labels, probabilities, rule, seed=seed) if has_both_classes else None,
        factors=factors,
        familiarity=familiarity,
        model_probabilities=model_probabilities,
    )
    metrics = _rates(evaluation.sample, confusion, seed)
    if has_both_classes:
        metrics |= _scores(evaluation.sample, seed)
    return replace(
        evaluation,
        cost=_expected_cost(evaluation, seed),
        metrics=metrics if has_both_classes else _of_one_class(metrics),
        per_class=_per_class(evaluation.sample, confusion, classes, seed, has_both_classes=has_both_classes),
    )


def _expected_cost(evaluation: Evaluation, seed: int) -> ExpectedCost | None:
    """The expected cost at the prevalence that the rule assumes; None where its policy has no costs."""
    rule, labels = evaluation.rule, evaluation.labels
    costs = Costs.of_rule(rule)
    if costs is None:
        return None
    decisions = costs.decide(rule, evaluation.probabilities, evaluation.familiarity)
    weights, factor = ClassWeights.for_prevalence(labels, rule.prevalence), evaluation.sample.factors.decisions
    images = DecidedImages(labels, decisions, evaluation.groups, weights, factor)
    return images.expected_cost(costs, evaluation.classes, seed)


def _same(first: NDArray[Any] | None, second: NDArray[Any] | None) -> bool:
    """Whether both are None, or equal arrays, in which NaN equals NaN."""
    if first is None or second is None:
        return first is second
    return np.array_equal(first, second, equal_nan=True)


def with_positive(positive: str, evaluation: Evaluation) -> Evaluation:
    """The evaluation of the same decisions with this class as the positive one.

    Costs and promises of the rule stay those of its own positive class.
    """
    negative, current = evaluation.classes
    if positive == current:
        return evaluation
    assert positive == negative
    rule, probabilities = evaluation.rule.swap_classes(evaluation.probabilities)
    swapped = evaluate(
        1 - evaluation.labels,
        probabilities,
        rule,
        classes=(current, negative),
        groups=evaluation.groups,
        ranks=None if evaluation.ranks is evaluation.probabilities else -evaluation.ranks,
        factors=evaluation.factors,
        familiarity=evaluation.familiarity,
        model_probabilities=None if evaluation.model_probabilities is None else 1 - evaluation.model_probabilities,
    )
    return replace(swapped, cost=evaluation.cost, promises=evaluation.promises, slices=evaluation.slices)


def _rates(sample: Sample, c: ConfusionMatrix, seed: int) -> dict[str, Interval]:
    rates, everywhere = _class_rates(sample, c, seed), np.ones(len(sample.labels), np.bool_)
    return {
        "accuracy": wilson(c.tp + c.tn, c.tp + c.tn + c.fp + c.fn, sample.of_rate(everywhere)),
        "balanced_accuracy": _simulated(sample, c, balanced_accuracy, seed),
        "precision": rates.precision,
        "recall": rates.recall,
        "specificity": wilson(c.tn, c.tn + c.fp, sample.of_rate(sample.labels != 1)),
        "f1": rates.f1,
        "mcc": _simulated(sample, c, mcc, seed),
    }


def _simulated(sample: Sample, c: ConfusionMatrix, score: Score, seed: int) -> Interval:
    return simulated_interval(c, score, seed, sample.of_score(c, score))


def _scores(sample: Sample, seed: int) -> dict[str, Interval]:
    labels, probabilities = sample.labels, sample.probabilities
    losses, errors = log_losses(labels, probabilities), squared_errors(labels, probabilities)
    factor, of_gaps = sample.factors.probabilities, sample.of_losses((labels == 1) - probabilities)
    slope, intercept = recalibration(labels, probabilities, sample.groups, factor)
    return {
        "roc_auc": delong(labels, sample.ranks, sample.of_area()),
        "average_precision": _average_precision(sample, seed),
        "log_loss": loss_interval(losses, labels, sample.of_losses(losses)),
        "brier": loss_interval(errors, labels, sample.of_losses(errors)),
        "ece": ece_interval(labels, probabilities, seed, of_gaps / factor, factor),
        "calibration_slope": slope,
        "calibration_intercept": intercept,
    }


def _average_precision(sample: Sample, seed: int) -> Interval:
    return average_precision_interval(sample.labels, sample.ranks, seed, sample.of_average_precision())


def _of_one_class(metrics: dict[str, Interval]) -> dict[str, Interval]:
    """The metrics of a test set of one class: all but `_DEFINED` are undefined."""
    return {name: metrics[name] if name in _DEFINED else UNDEFINED for name in METRICS}


def _per_class(
    sample: Sample, c: ConfusionMatrix, classes: tuple[str, str], seed: int, *, has_both_classes: bool
) -> dict[str, ClassReport]:
    of_negative = _class_rates(sample.swap_classes(), c.swap_classes(), seed)
    reports = {classes[0]: of_negative, classes[1]: _class_rates(sample, c, seed)}
    if has_both_classes:
        return reports
    return {name: replace(report, precision=UNDEFINED, f1=UNDEFINED) for name, report in reports.items()}


def _class_rates(sample: Sample, c: ConfusionMatrix, seed: int) -> ClassReport:
    """The report of the positive class of a matrix."""
    return ClassReport(
        precision=wilson(c.tp, c.tp + c.fp, sample.of_rate(sample.decisions == 1)),
        recall=wilson(c.tp, c.tp + c.fn, sample.of_rate(sample.labels == 1)),
        f1=_simulated(sample, c, f1, seed),
        support=c.tp + c.fn,
    )


def _borderline(labels: Labels, probabilities: Probabilities, rule: Rule) -> Borderline:
    near = _is_borderline(probabilities, rule)
    return Borderline(BORDERLINE_DISTANCE, int(near.sum()), int((near & (rule.answer(probabilities) != labels)).sum()))


def _is_borderline(probabilities: Probabilities, rule: Rule) -> NDArray[np.bool_]:
    return np.asarray(np.abs(probabilities - rule.threshold) <= BORDERLINE_DISTANCE)
