"""Evaluations with slices and with the promises of the rule."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from drawings import draw_folder

from twofold.core.options import DataOptions
from twofold.dataset.labelled import embed_files, list_test_files
from twofold.decision.rule import PolicyRecord
from twofold.embedding import Runtime
from twofold.evaluation import with_positive
from twofold.workflows.sliced_evaluation import evaluate_test, with_slices
from twofold.workflows.training_result import TrainingResult


def test_a_test_set_has_slices_and_the_promises_of_the_rule(
    training: TrainingResult, tmp_path: Path, runtime: Runtime
) -> None:
    data = draw_folder(tmp_path / "test", 30, start=200)
    policy = PolicyRecord("promise", {"promise": ["recall>=0.5"], "confidence": 0.95, "abstain": False})
    model = replace(training.fit.model, rule=replace(training.fit.model.rule, policy=policy))
    file_list = list_test_files(model.classes, data, DataOptions())
    dataset = embed_files(file_list, file_list.paths, model.engine(runtime), runtime, what="test")
    evaluation = evaluate_test(model, dataset)
    assert evaluation.slices is not None
    assert sum(each.images for each in evaluation.slices.slices if each.feature == "sharpness") == 60
    assert [check.promise for check in evaluation.promises] == ["recall>=0.5"]
    assert evaluation.as_json()["slices"]["count"] == len(evaluation.slices.slices)
    swapped = with_positive(model.classes[0], evaluation)
    assert (swapped.slices, swapped.promises) == (evaluation.slices, evaluation.promises)
    few = np.arange(30)
    assert with_slices(model.evaluate(dataset, few), dataset, few).slices is None
