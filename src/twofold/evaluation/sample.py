"""Labelled images with scores, and the factor on the variance of each of their metrics."""

from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from twofold.core.arrays import Labels, Probabilities, Reals
from twofold.decision.confusion import ConfusionMatrix
from twofold.decision.sweep import Score
from twofold.evaluation.groups import Groups, centred, design_effect
from twofold.evaluation.intervals import precision_influences
from twofold.evaluation.metrics import placements


@dataclass(frozen=True, slots=True)
class VarianceFactors:
    """Factors on the variances of out-of-fold metrics, at least 1: of decisions, of ranks (ROC AUC, average precision), of
    probabilities. `evaluation.nested` measures them."""

    decisions: float = 1.0
    ranks: float = 1.0
    probabilities: float = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """Labels, decisions, probabilities and ranks of n images. `ranks` (n,) are scores by which the images are ordered."""

    labels: Labels = field(repr=False)
    decisions: NDArray[np.int8] = field(repr=False)
    probabilities: Probabilities = field(repr=False)
    ranks: Reals = field(repr=False)
    groups: Groups | None = field(repr=False)
    factors: VarianceFactors = VarianceFactors()

    def swap_classes(self) -> Self:
        """The same images with the classes swapped."""
        return replace(
            self,
            labels=1 - self.labels,
            decisions=1 - self.decisions,
            probabilities=1 - self.probabilities,
            ranks=-self.ranks,
        )

    def of_rate(self, among: NDArray[np.bool_], level: float = 0.95) -> float:
        """The factor of the rate of correct decisions among these images (n,), for an interval of this level."""
        correct = (self.decisions == self.labels)[among].astype(np.float64)
        groups = None if self.groups is None else self.groups[among]
        residuals = correct - correct.mean() if len(correct) else correct
        return self.factors.decisions * design_effect(residuals, groups, level)

    def of_score(self, confusion: ConfusionMatrix, score: Score) -> float:
        """The factor of a score of the confusion matrix, from its derivatives by the rates of the classes."""
        if self.groups is None:
            return self.factors.decisions
        correct = (self.decisions == self.labels).astype(np.float64)
        slopes = np.where(self.labels == 1, _slope(confusion, score, "tp", "fn"), _slope(confusion, score, "tn", "fp"))
        return self.factors.decisions * design_effect(centred(correct * slopes, self.labels), self.groups)

    def of_losses(self, losses: Reals) -> float:
        """The factor of the mean of losses (n,)."""
        return self.factors.probabilities * design_effect(centred(losses, self.labels), self.groups)

    def of_area(self) -> float:
        """The factor of the area under the ROC curve (Obuchowski 1997)."""
        if self.groups is None:
            return self.factors.ranks
        above, below = placements(self.labels, self.ranks)
        return self.factors.ranks * self._of_classes(above / len(above), below / len(below))

    def of_average_precision(self) -> float:
        """The factor of average precision."""
        if self.groups is None:
            return self.factors.ranks
        positive, negative = (np.flatnonzero(self.labels == label) for label in (1, 0))
        orders = [rows[np.argsort(-self.ranks[rows], kind="stable")] for rows in (positive, negative)]
        influences = precision_influences(*(self.ranks[order] for order in orders))
        values = np.empty(len(self.labels))
        for order, influence in zip(orders, influences, strict=True):
            values[order] = influence / len(order)
        return self.factors.ranks * design_effect(centred(values, self.labels), self.groups)

    def _of_classes(self, of_positives: Reals, of_negatives: Reals) -> float:
        values = np.empty(len(self.labels))
        values[self.labels == 1], values[self.labels != 1] = of_positives, of_negatives
        return design_effect(centred(values, self.labels), self.groups)


def _slope(confusion: ConfusionMatrix, score: Score, right: str, wrong: str) -> float:
    """The change of a score for one more correct decision of a class, by half an image either way."""
    more, less = (_moved(confusion, right, wrong, step) for step in (0.5, -0.5))
    slope = float(score(more) - score(less))
    return slope if np.isfinite(slope) else 1.0


def _moved(confusion: ConfusionMatrix, right: str, wrong: str, step: float) -> ConfusionMatrix:
    cells: dict[str, Any] = {cell: float(getattr(confusion, cell)) + 0.5 for cell in ("tn", "fp", "fn", "tp")}
    cells[right] += step
    cells[wrong] -= step
    return ConfusionMatrix(**cells)
