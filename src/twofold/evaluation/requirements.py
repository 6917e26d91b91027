"""Requirements: what an evaluation must reach, as 'recall>=0.95', or 'recall.low>=0.9' for its interval's lower end."""

import re
from dataclasses import dataclass
from operator import ge, gt, le, lt
from typing import Literal, cast

from twofold.errors import UsageError
from twofold.evaluation.evaluation import METRICS, Evaluation
from twofold.naming import nearest

OPERATORS = {">=": ge, "<=": le, ">": gt, "<": lt}
Part = Literal["value", "low", "high"]
PARTS: tuple[Part, ...] = ("value", "low", "high")
_FORM = re.compile(r"\s*([\w-]+)(?:\.(\w+))?\s*(>=|<=|>|<)\s*(\S+)\s*")


@dataclass(frozen=True, slots=True)
class Requirement:
    """One end of one metric's interval, an operator and a bound."""

    metric: str
    part: Part
    operator: str
    bound: float

    def __str__(self) -> str:
        name = self.metric if self.part == "value" else f"{self.metric}.{self.part}"
        return f"{name}{self.operator}{self.bound:g}"

    def reached(self, evaluation: Evaluation) -> float:
        """What the evaluation says of it; NaN where undefined."""
        return float(getattr(evaluation.metrics[self.metric], self.part))

    def met(self, evaluation: Evaluation) -> bool:
        """Whether the evaluation meets it; what is undefined meets nothing."""
        return bool(OPERATORS[self.operator](self.reached(evaluation), self.bound))


def parse_requirement(text: str) -> Requirement:
    """The requirement that a text states; raises UsageError when it states none, naming what is legal.

    >>> parse_requirement("recall.low >= 0.9")
    Requirement(metric='recall', part='low', operator='>=', bound=0.9)
    """
    form = _FORM.fullmatch(text)
    if not form:
        raise UsageError(f"--require takes METRIC>=NUMBER (or <=, >, <), as in 'recall>=0.95', got {text!r}.")
    name, part, operator, bound = form[1].replace("-", "_"), form[2] or "value", form[3], form[4]
    if name not in METRICS:
        raise UsageError(
            f"--require: there is no metric {name!r}{nearest(name, METRICS)}: choose from {', '.join(METRICS)}."
        )
    if part not in PARTS:
        raise UsageError(f"--require: a metric has {', '.join(PARTS)}, got {name}.{part}{nearest(part, PARTS)}.")
    return Requirement(name, cast(Part, part), operator, _bound(name, bound))


def _bound(metric: str, text: str) -> float:
    try:
        bound = float(text)
    except ValueError:
        raise UsageError(f"--require: {text!r} is not a number; write '{metric}>=0.95'.") from None
    least, most = (-1, 1) if metric == "mcc" else (0, float("inf") if metric == "log_loss" else 1)
    if not least <= bound <= most:
        raise UsageError(
            f"--require: {metric} lies between {least} and {most}, got {text}; 95 percent is written 0.95."
        )
    return bound
