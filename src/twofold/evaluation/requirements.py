"""Requirements of an evaluation: 'accuracy>=0.95', 'recall:defect>=0.9', or 'recall:defect.low>=0.9' for the lower end of the
interval."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import inf, isnan
from operator import ge, gt, le, lt
from typing import Literal
from unicodedata import normalize

from twofold.core.errors import UsageError
from twofold.core.hints import nearest
from twofold.decision.costs import Costs
from twofold.decision.rule import Rule
from twofold.evaluation.metric_names import PER_CLASS_METRICS
from twofold.evaluation.results import DECISION_METRICS, METRICS, Evaluation

RANGES = {
    "mcc": (-1, 1),
    "cost": (0, inf),
    "log_loss": (0, inf),
    "calibration_slope": (-inf, inf),
    "calibration_intercept": (-inf, inf),
}
"""The ranges of the metrics that do not lie between 0 and 1."""

OPERATORS = {">=": ge, "<=": le, ">": gt, "<": lt}
IntervalField = Literal["value", "low", "high"]
INTERVAL_FIELDS: tuple[IntervalField, ...] = ("value", "low", "high")
_FORM = re.compile(
    r"\s*(\S.*?)\s*(>=|<=|>|<)\s*([^\s<>=]+)\s*", re.DOTALL
)  # the last operator: a class may hold others
_METRIC = re.compile(r"([\w-]+)(?:\.(\w+))?")
_QUOTED = re.compile(r"""(["'])(.*)\1(?:\.(\w+))?""", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Requirement:
    """A metric, or an end of its interval, an operator and a bound; `class_name` is the class of a per-class metric."""

    metric: str
    interval_field: IntervalField
    operator: str
    bound: float
    class_name: str | None = None  # the positive class

    def __str__(self) -> str:
        name = self.metric if self.class_name is None else f"{self.metric}:{self.class_name}"
        return f"{name if self.interval_field == 'value' else f'{name}.{self.interval_field}'}{self.operator}{self.bound:g}"

    def value_in(self, evaluation: Evaluation) -> float:
        """The value in this evaluation; NaN where undefined."""
        return float(getattr(evaluation.metric(self.metric, self.class_name), self.interval_field))

    def is_met(self, evaluation: Evaluation) -> bool:
        """Whether the evaluation meets the requirement; an undefined value meets none."""
        return bool(OPERATORS[self.operator](self.value_in(evaluation), self.bound))

    def shortfall(self, evaluation: Evaluation) -> str:
        """The message for a requirement that is not met."""
        value, missing = self.value_in(evaluation), evaluation.missing
        if not isnan(value):
            return f"{self} is not met: the value is {value:.4f}."
        if self.metric == "error":
            return f"{self} is not met: the value is undefined, because every image is unsure."
        why = f"there are no images of {missing[0]!r}" if missing else "no image was predicted to be of that class"
        return f"{self} is not met: the value is undefined, because {why}."


def parse_requirement(
    text: str, classes: tuple[str, str] | None = None, *, alphabetical: bool = False, rule: Rule | None = None
) -> Requirement:
    """The requirement of a text such as 'recall>=0.95'. Raises UsageError for any other text, with the legal values.

    Without the model's `classes`, (negative, positive), `class_name` is the text between the colon and the operator. With
    `alphabetical` the positive class is only the default, the second in alphabetical order, and a per-class metric must name its
    class. The `rule` of the model tells whether it has a cost.

    >>> parse_requirement("recall:solar cell.low >= 0.9", ("free", "solar cell"))
    Requirement(metric='recall', interval_field='low', operator='>=', bound=0.9, class_name='solar cell')
    """
    match = _FORM.fullmatch(text)
    if not match:
        raise UsageError(
            f"`require` takes METRIC>=NUMBER (or <=, >, <), as in 'recall>=0.95' or 'recall:CLASS>=0.95', got {text!r}."
        )
    metric_text, colon, class_text = match[1].partition(":")
    name, interval_field = _metric(metric_text.strip())
    bound = _bound(name, match[3])
    if name == "cost" and rule is not None and Costs.of_rule(rule) is None:
        raise UsageError(_no_costs_text(text, rule))
    requirement = Requirement(name, interval_field, match[2], bound)
    if not colon:
        if alphabetical and classes is not None and name in PER_CLASS_METRICS:
            raise UsageError(_class_missing_text(requirement, classes))
        return requirement
    if name not in PER_CLASS_METRICS or interval_field != "value":
        raise UsageError(_misplaced_class_text(text, name, interval_field))
    if classes is None:
        return replace(requirement, class_name=class_text.strip())
    class_name, interval_field = _class(class_text.strip(), classes)
    return replace(requirement, class_name=class_name, interval_field=interval_field)


def _metric(text: str) -> tuple[str, IntervalField]:
    match = _METRIC.fullmatch(text)
    name = match[1].replace("-", "_") if match else text
    names = METRICS + DECISION_METRICS
    if match is None or name not in names:
        raise UsageError(
            f"`require`: there is no metric {name!r}{nearest(name, names)}: choose from {', '.join(names)}."
        )
    return name, _check_field(name, match[2] or "value")


def _check_field(name: str, interval_field: str) -> IntervalField:
    if interval_field not in INTERVAL_FIELDS:
        hint = nearest(interval_field, INTERVAL_FIELDS)
        raise UsageError(f"`require`: a metric has {', '.join(INTERVAL_FIELDS)}, got {name}.{interval_field}{hint}.")
    return interval_field


def _class(text: str, classes: tuple[str, str]) -> tuple[str, IntervalField]:
    """The class and the interval field of a text like 'defect' or 'defect.low'; a class of exactly that name takes precedence."""
    by_name = {_normalise(name): name for name in classes}
    for name, interval_field in _readings(text):
        if _normalise(name) in by_name:
            return by_name[_normalise(name)], _check_field(name, interval_field)
    names = " and ".join(repr(name) for name in sorted(classes))
    close = nearest(next(iter(_readings(text)))[0], classes) or nearest(text.rpartition(".")[0], classes)
    raise UsageError(f"`require`: the model has no class {text!r}{close}, it has {names}.")


def _readings(text: str) -> Iterator[tuple[str, str]]:
    yield text, "value"
    if match := _QUOTED.fullmatch(text):
        yield match[2], match[3] or "value"
    name, dot, interval_field = text.rpartition(".")
    if dot:
        yield name.rstrip(), interval_field.lstrip()


def _normalise(name: str) -> str:
    """The normal form of a name: file systems and keyboards encode accents differently."""
    return normalize("NFC", name.strip())


def _class_missing_text(requirement: Requirement, classes: tuple[str, str]) -> str:
    forms = " or ".join(repr(str(replace(requirement, class_name=class_name))) for class_name in sorted(classes))
    return (
        f"`require` '{requirement}' is a metric of one class, and {classes[1]!r} is positive by alphabetical order only: write "
        f"{forms}, or choose the positive class with `positive`."
    )


def _no_costs_text(text: str, rule: Rule) -> str:
    return (
        f"`require` {text!r}: the rule of this bundle was chosen by the policy {rule.policy.name!r}, which has no costs; give "
        "`cost_fp` and `cost_fn` where the rule is chosen, or require another metric."
    )


def _misplaced_class_text(text: str, name: str, interval_field: IntervalField) -> str:
    if name in PER_CLASS_METRICS:
        return f"`require` {text!r}: the end of the interval comes last, as in '{name}:CLASS.{interval_field}>=0.95'."
    return f"`require` {text!r}: {name} is a metric of both classes; leave the class out, as in '{name}>=0.95'."


def _bound(metric: str, text: str) -> float:
    try:
        bound = float(text)
    except ValueError:
        raise UsageError(f"`require`: {text!r} is not a number; write '{metric}>=0.95'.") from None
    minimum, maximum = RANGES.get(metric, (0, 1))
    if not minimum <= bound <= maximum:
        raise UsageError(
            f"`require`: {metric} lies between {minimum} and {maximum}, got {text}; 95 percent is written 0.95."
        )
    return bound
