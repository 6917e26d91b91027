"""The scored images of a bundle, as the evaluations of its training have them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from twofold.bundle.history import History
from twofold.bundle.scores import ScoreTable
from twofold.bundle.storage import Bundle
from twofold.decision import Rule
from twofold.evaluation.groups import has_groups
from twofold.evaluation.sample import Sample, VarianceFactors
from twofold.workflows.labelled_scores import LabelledScores
from twofold.workflows.report_images import ScoredImages


def training_images(
    bundle: Bundle,
    name: str,
    block: Mapping[str, Any],
    table: ScoreTable,
    scores: LabelledScores,
    rows: Sequence[Mapping[str, str]],
) -> ScoredImages:
    """The images of scores.csv; `block` is their evaluation as JSON, `rows` are those of files.csv."""
    factors = block.get("variance_factors")
    rule = _trained_rule(bundle, float(np.mean(scores.labels == 1)))
    sample = Sample(
        scores.labels,
        rule.answer(table.probabilities),
        table.probabilities,
        scores.logits,
        scores.groups,
        VarianceFactors(**factors) if factors else VarianceFactors(),
    )
    by_path = {row["path"]: row.get("p_label_error") for row in rows}
    p_label_error = np.array([float(by_path.get(path) or "nan") for path in table.paths])
    return ScoredImages(name, sample, rule, table.paths, table.familiarity, p_label_error)


def test_images(bundle: Bundle, name: str, block: Mapping[str, Any]) -> ScoredImages | None:
    """The images of test_scores.csv that the column `name` is about; None where the bundle holds no such file.

    `block` is the evaluation of the test set as JSON. Raises BundleError where the file was altered.
    """
    scores = bundle.test_scores()
    if scores is None:
        return None
    leaked = {image["path"] for image in block["leakage"]["images"]} if name == "test (unseen)" else set()
    rows = np.array([row for row, path in enumerate(scores.paths) if path not in leaked], np.intp)
    rule = _trained_rule(bundle, bundle.model.calibration.prevalence)
    probabilities, groups = scores.probabilities[rows], scores.groups[rows]
    decisions, known_groups = rule.answer(probabilities), groups if has_groups(groups) else None
    sample = Sample(scores.labels[rows], decisions, probabilities, probabilities, known_groups)
    paths = tuple(scores.paths[row] for row in rows.tolist())
    return ScoredImages(name, sample, rule, paths, scores.familiarity[rows])


def _trained_rule(bundle: Bundle, prevalence: float) -> Rule:
    """The rule of the training, which its evaluations are made with, for probabilities at this prevalence."""
    rule = History.of_record(bundle.record, {}).decisions[0].rule
    return rule if rule.prevalence is None else rule.restate(np.empty(0), prevalence)[0]
