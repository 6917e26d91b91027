"""The operating table: for each fraction of positives that may be missed, how many negatives are wrongly called positive."""

from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from twofold.core.arrays import Labels, Probabilities
from twofold.decision.bounds import needed_trials
from twofold.decision.rule import NEVER
from twofold.evaluation.groups import Groups, design_effect, has_groups
from twofold.evaluation.intervals import Interval, wilson

MISSED: Final = (0.01, 0.02, 0.05, 0.1)
"""The fractions of positives that may be missed."""

_CONFIDENCE: Final = 0.95


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """The highest threshold at which at most `limit` of the positives are missed.

    `missed` and `false_alarms` are the fractions of the positives and of the negatives that are wrongly called there; `needed` is
    the number of positives, or of groups of them, that it takes to promise the limit at 95% confidence if none is missed.
    """

    limit: float
    threshold: float
    missed: Interval
    false_alarms: Interval
    needed: int

    def as_json(self) -> dict[str, Any]:
        """{"limit", "threshold", "missed", "false_alarms", "needed"}."""
        return {**asdict(self), "missed": self.missed.as_json(), "false_alarms": self.false_alarms.as_json()}


def operating_table(
    labels: Labels, probabilities: Probabilities, groups: Groups | None = None, factor: float = 1.0
) -> list[OperatingPoint]:
    """A point for each of `MISSED`, from labelled images (n,) of both classes in groups (n,).

    `factor` is on the variances, as that of a cross-validation. The intervals are those of a fixed threshold.
    """
    positives, clusters = np.sort(probabilities[labels == 1]), groups if has_groups(groups) else None
    points = []
    for limit in MISSED:
        allowed = int(np.floor(limit * len(positives) + 1e-9))
        threshold = float(positives[allowed]) if allowed < len(positives) else NEVER
        called = probabilities >= threshold
        missed = _rate(~called, labels == 1, clusters, factor)
        false_alarms = _rate(called, labels == 0, clusters, factor)
        needed = needed_trials(0.0, limit, _CONFIDENCE)
        assert needed is not None
        points.append(OperatingPoint(limit, threshold, missed, false_alarms, needed))
    return points


def _rate(wrong: NDArray[np.bool_], of_class: NDArray[np.bool_], groups: Groups | None, factor: float) -> Interval:
    count, errors = int(of_class.sum()), int((wrong & of_class).sum())
    residuals = np.where(of_class, wrong - errors / count, 0.0)
    return wilson(errors, count, factor * design_effect(residuals, groups))
