"""Metrics with 95% intervals, evaluations, comparisons and requirements."""

from twofold.evaluation.comparison import Comparison, compare
from twofold.evaluation.intervals import Interval
from twofold.evaluation.metric_names import PER_CLASS_METRICS
from twofold.evaluation.requirements import Requirement, parse_requirement
from twofold.evaluation.results import (
    METRICS,
    Borderline,
    Evaluation,
    evaluate,
    with_positive,
)

__all__ = [
    "METRICS",
    "PER_CLASS_METRICS",
    "Borderline",
    "Comparison",
    "Evaluation",
    "Interval",
    "Requirement",
    "compare",
    "evaluate",
    "parse_requirement",
    "with_positive",
]
