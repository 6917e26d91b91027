"""Prevalence and accuracy among images without labels, by a model and its labelled scores."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from twofold.bundle.model import Model
from twofold.core.arrays import Reals
from twofold.core.errors import DataError
from twofold.evaluation.prevalence_estimate import PrevalenceEstimate, estimate_prevalence
from twofold.evaluation.unlabelled_accuracy import Decisions, LabelledDecisions, UnlabelledAccuracy, estimate_accuracy
from twofold.workflows.labelled_scores import LabelledScores


@dataclass(frozen=True, slots=True)
class UnlabelledEstimates:
    """Prevalence and accuracy; where one cannot be estimated, it is None, and `unknown` says why."""

    prevalence: PrevalenceEstimate | None = None
    accuracy: UnlabelledAccuracy | None = None
    unknown: str = ""

    def as_json(self) -> dict[str, Any]:
        """{"prevalence", "accuracy", "unknown"}, each of them null or what it says."""
        return {
            "prevalence": None if self.prevalence is None else self.prevalence.as_json(),
            "accuracy": None if self.accuracy is None else self.accuracy.as_json(),
            "unknown": self.unknown or None,
        }


def estimate_unlabelled(
    model: Model, labelled: LabelledScores, logits: Reals, familiarity: Sequence[float] | Reals | None
) -> UnlabelledEstimates:
    """The estimates for images with these logits (m,) and familiarity (m,), None for a model that has none."""
    curve = model.calibration
    recent, known = curve.probabilities(logits), curve.probabilities(labelled.logits)
    try:
        prevalence = estimate_prevalence(recent, labelled.labels, known, labelled.groups)
    except DataError as error:
        return UnlabelledEstimates(unknown=str(error).rstrip("."))
    decisions = decide_scores(model, labelled.logits, labelled.familiarity)
    reference = LabelledDecisions(labelled.labels, known, decisions, labelled.groups, labelled.factor)
    accuracy = estimate_accuracy(recent, decide_scores(model, logits, familiarity), prevalence.prevalence, reference)
    return UnlabelledEstimates(prevalence, accuracy, "" if accuracy is not None else "no image was decided")


def decide_scores(model: Model, logits: Reals, familiarity: Sequence[float] | Reals | None) -> Decisions:
    """The decisions of the model for logits (n,) and familiarity (n,), None where it has none."""
    known = None if familiarity is None or model.familiarity is None else np.asarray(familiarity, np.float64)
    return np.asarray(model.rule.decide(model.probability_curve.probabilities(logits), known), np.int8)
