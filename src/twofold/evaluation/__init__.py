"""Every number a person sees, with its 95% interval: metrics, the Evaluation record, comparisons and requirements."""

from twofold.evaluation.comparison import Comparison, compare
from twofold.evaluation.evaluation import (
    METRICS,
    OF_A_CLASS,
    ClassReport,
    Confusion,
    Evaluation,
    Hesitant,
    evaluate,
    speaking_of,
)
from twofold.evaluation.hindsight import Hindsight
from twofold.evaluation.intervals import Interval
from twofold.evaluation.requirements import Requirement, parse_requirement

__all__ = [
    "METRICS",
    "OF_A_CLASS",
    "ClassReport",
    "Comparison",
    "Confusion",
    "Evaluation",
    "Hesitant",
    "Hindsight",
    "Interval",
    "Requirement",
    "compare",
    "evaluate",
    "parse_requirement",
    "speaking_of",
]
