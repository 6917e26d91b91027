"""Scores that rules are chosen on: those in a bundle, and those of held-out images."""

import hashlib
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from twofold.bundle.scores import ScoreTable
from twofold.bundle.storage import Bundle
from twofold.core.arrays import Labels, Reals
from twofold.evaluation.groups import Groups, count_groups, has_groups

ScoreSource = Literal["out-of-fold", "validation", "held-out"]


@dataclass(frozen=True, slots=True, eq=False)
class LabelledScores:
    """Logits (n,) of labelled images in groups (n,), the source of the scores, and the factor on the variances of rates."""

    source: ScoreSource
    labels: Labels = field(repr=False)
    logits: NDArray[np.float64] = field(repr=False)
    groups: Groups | None = field(repr=False)  # None where each image is a group
    familiarity: Reals | None = field(repr=False, default=None)
    factor: float = 1.0
    left_out: int = 0  # images that resemble training images

    @property
    def group_count(self) -> int:
        """The number of groups; that of the images where each is a group."""
        return len(self.labels) if self.groups is None else count_groups(self.groups)

    @property
    def digest(self) -> str:
        """A digest that tells other scores apart."""
        columns = self.labels, np.round(self.logits, 4) + 0.0, *(() if self.groups is None else (self.groups,))
        return hashlib.sha256(b"".join(column.tobytes() for column in columns)).hexdigest()

    def as_json(self) -> dict[str, Any]:
        """{"source", "images", "positives", "groups", "digest"}."""
        counts = {
            "images": len(self.labels),
            "positives": int(self.labels.sum()),
            "groups": self.group_count,
        }
        return {"source": self.source, **counts, "digest": self.digest}


def out_of_fold_scores(bundle: Bundle) -> LabelledScores:
    """The scores in the bundle. Raises BundleError where they are missing or altered."""
    return scores_of_table(bundle, bundle.scores())


def scores_of_table(bundle: Bundle, table: ScoreTable) -> LabelledScores:
    """The same from the table of the bundle's scores."""
    evidence = bundle.record.get("evidence")
    source: ScoreSource = "validation" if evidence == "validation" else "out-of-fold"
    groups = table.groups if has_groups(table.groups) else None
    return LabelledScores(source, table.labels, table.logits, groups, table.familiarity, _variance_factor(bundle))


def _variance_factor(bundle: Bundle) -> float:
    """The factor on the variance of rates by nested cross-validation; 1 where training did not measure it."""
    evaluation = bundle.evaluation().get(str(bundle.record.get("evidence")))
    factors = evaluation.get("variance_factors") if isinstance(evaluation, dict) else None
    decisions = factors.get("decisions") if isinstance(factors, dict) else None
    return max(1.0, float(decisions)) if isinstance(decisions, int | float) else 1.0
