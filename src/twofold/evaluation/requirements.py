"""Requirements of an evaluation: 'accuracy>=0.95', 'recall:defect>=0.9', or 'recall:defect.low>=0.9' for the lower end of the
interval."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import isnan
from operator import ge, gt, le, lt
from typing import Literal
from unicodedata import normalize

from twofold.core.errors import UsageError
from twofold.core.hints import nearest
from twofold.evaluation.results import METRICS, PER_CLASS_METRICS, Evaluation

OPERATORS = {">=": ge, "<=": le, ">": gt, "<": lt}
Part = Literal["value", "low", "high"]
PARTS: tuple[Part, ...] = ("value", "low", "high")
_FORM = re.compile(
    r"\s*(\S.*?)\s*(>=|<=|>|<)\s*([^\s<>=]+)\s*", re.DOTALL
)  # the last operator: a class may hold others
_METRIC = re.compile(r"([\w-]+)(?:\.(\w+))?")
_QUOTED = re.compile(r"""(["'])(.*)\1(?:\.(\w+))?""", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Requirement:
    """A metric, or an end of its interval, an operator and a bound; `of` is the class of a per-class metric."""

    metric: str
    part: Part
    operator: str
    bound: float
    of: str | None = None  # the positive class

    def __str__(self) -> str:
        name = self.metric if self.of is None else f"{self.metric}:{self.of}"
        return f"{name if self.part == 'value' else f'{name}.{self.part}'}{self.operator}{self.bound:g}"

    def reached(self, evaluation: Evaluation) -> float:
        """The value in this evaluation; NaN where undefined."""
        return float(getattr(evaluation.metric(self.metric, self.of), self.part))

    def met(self, evaluation: Evaluation) -> bool:
        """Whether the evaluation meets the requirement; an undefined value meets none."""
        return bool(OPERATORS[self.operator](self.reached(evaluation), self.bound))

    def shortfall(self, evaluation: Evaluation) -> str:
        """The message for a requirement that is not met."""
        value, missing = self.reached(evaluation), evaluation.missing
        if not isnan(value):
            return f"{self} is not met: the value is {value:.4f}."
        why = f"there are no images of {missing[0]!r}" if missing else "no image was predicted to be of that class"
        return f"{self} is not met: the value is undefined, because {why}."


def parse_requirement(text: str, classes: tuple[str, str] | None = None, *, alphabetical: bool = False) -> Requirement:
    """The requirement of a text such as 'recall>=0.95'. Raises UsageError for any other text, with the legal values.

    Without the model's `classes`, (negative, positive), `of` is the text between the colon and the operator. With `alphabetical`
    the positive class is only the default, the second in alphabetical order, and a per-class metric must name its class.

    >>> parse_requirement("recall:solar cell.low >= 0.9", ("free", "solar cell"))
    Requirement(metric='recall', part='low', operator='>=', bound=0.9, of='solar cell')
    """
    match = _FORM.fullmatch(text)
    if not match:
        raise UsageError(
            f"`require` takes METRIC>=NUMBER (or <=, >, <), as in 'recall>=0.95' or 'recall:CLASS>=0.95', got {text!r}."
        )
    metric_text, colon, class_text = match[1].partition(":")
    name, part = _metric(metric_text.strip())
    bound = _bound(name, match[3])
    requirement = Requirement(name, part, match[2], bound)
    if not colon:
        if alphabetical and classes is not None and name in PER_CLASS_METRICS:
            raise UsageError(_unnamed(requirement, classes))
        return requirement
    if name not in PER_CLASS_METRICS or part != "value":
        raise UsageError(_misplaced(text, name, part))
    if classes is None:
        return replace(requirement, of=class_text.strip())
    of, part = _class(class_text.strip(), classes)
    return replace(requirement, of=of, part=part)


def _metric(text: str) -> tuple[str, Part]:
    match = _METRIC.fullmatch(text)
    name = match[1].replace("-", "_") if match else text
    if match is None or name not in METRICS:
        raise UsageError(
            f"`require`: there is no metric {name!r}{nearest(name, METRICS)}: choose from {', '.join(METRICS)}."
        )
    return name, _part(name, match[2] or "value")


def _part(name: str, part: str) -> Part:
    if part not in PARTS:
        raise UsageError(f"`require`: a metric has {', '.join(PARTS)}, got {name}.{part}{nearest(part, PARTS)}.")
    return part


def _class(text: str, classes: tuple[str, str]) -> tuple[str, Part]:
    """The class and the part of a text like 'defect' or 'defect.low'; a class of exactly that name takes precedence."""
    by_name = {_plain(name): name for name in classes}
    for name, part in _readings(text):
        if _plain(name) in by_name:
            return by_name[_plain(name)], _part(name, part)
    names = " and ".join(repr(name) for name in sorted(classes))
    close = nearest(next(iter(_readings(text)))[0], classes) or nearest(text.rpartition(".")[0], classes)
    raise UsageError(f"`require`: the model has no class {text!r}{close}, it has {names}.")


def _readings(text: str) -> Iterator[tuple[str, str]]:
    yield text, "value"
    if quoted := _QUOTED.fullmatch(text):
        yield quoted[2], quoted[3] or "value"
    name, dot, part = text.rpartition(".")
    if dot:
        yield name.rstrip(), part.lstrip()


def _plain(name: str) -> str:
    """The normal form of a name: file systems and keyboards encode accents differently."""
    return normalize("NFC", name.strip())


def _unnamed(requirement: Requirement, classes: tuple[str, str]) -> str:
    forms = " or ".join(repr(str(replace(requirement, of=of))) for of in sorted(classes))
    return (
        f"`require` '{requirement}' is a metric of one class, and {classes[1]!r} is positive by alphabetical order only: write "
        f"{forms}, or choose the positive class with `positive`."
    )


def _misplaced(text: str, name: str, part: Part) -> str:
    if name in PER_CLASS_METRICS:
        return f"`require` {text!r}: the end of the interval comes last, as in '{name}:CLASS.{part}>=0.95'."
    return f"`require` {text!r}: {name} is a metric of both classes; leave the class out, as in '{name}>=0.95'."


def _bound(metric: str, text: str) -> float:
    try:
        bound = float(text)
    except ValueError:
        raise UsageError(f"`require`: {text!r} is not a number; write '{metric}>=0.95'.") from None
    least, most = (-1, 1) if metric == "mcc" else (0, float("inf") if metric == "log_loss" else 1)
    if not least <= bound <= most:
        raise UsageError(
            f"`require`: {metric} lies between {least} and {most}, got {text}; 95 percent is written 0.95."
        )
    return bound
