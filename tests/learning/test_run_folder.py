"""The run folder and the key of a run."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from twofold.core.errors import UsageError
from twofold.core.options import (
    BackboneOptions,
    CrossValidationOptions,
    DataOptions,
    DecisionOptions,
    LearningOptions,
    TrainingOptions,
)
from twofold.data import list_labelled_files
from twofold.dataset.labelled import LabelledDataset, labelled_dataset
from twofold.embedding import Runtime
from twofold.learning.run_folder import RunFolder, run_key


def test_starting_again_with_the_same_key_does_not_rewrite_the_key(tmp_path: Path) -> None:
    """Several processes start at once: a rewritten file would be empty for a moment."""
    run_folder = RunFolder(tmp_path / "a.learning")
    run_folder.start("key")
    (file,) = run_folder.path.iterdir()
    status = file.stat()
    run_folder.start("key")
    assert (file.stat().st_ino, file.stat().st_mtime_ns) == (status.st_ino, status.st_mtime_ns)
    with pytest.raises(UsageError, match="had other options or images"):
        run_folder.start("other")


def test_an_unfinished_run_is_neither_overwritten_nor_resumed_unasked(tmp_path: Path) -> None:
    run_folder = RunFolder(tmp_path / "a.learning")
    with pytest.raises(UsageError, match="no training run to resume; leave `resume=True` out"):
        run_folder.prepare(resume=True, force=False)
    run_folder.start("key")
    with pytest.raises(UsageError, match="continue it with `resume=True`, or start again with `force=True`"):
        run_folder.prepare(resume=False, force=False)
    run_folder.prepare(resume=True, force=False)
    assert run_folder.resumable
    run_folder.prepare(resume=False, force=True)
    assert not run_folder.resumable


SCRATCH = TrainingOptions(learning=LearningOptions(mode="scratch", epochs=3))


@pytest.fixture(scope="module")
def dataset(drawn: Path, runtime: Runtime) -> LabelledDataset:
    file_list = list_labelled_files(drawn, DataOptions())
    return labelled_dataset(file_list, runtime.scan([file.path for file in file_list.files]))


def with_learning(**changes: Any) -> TrainingOptions:
    return replace(SCRATCH, learning=replace(SCRATCH.learning, **changes))


@pytest.mark.parametrize(
    "options",
    [
        with_learning(devices=2),
        with_learning(num_nodes=3),
        with_learning(pixels_gb=0.5),
        replace(SCRATCH, decision=DecisionOptions(threshold=0.2)),
        replace(SCRATCH, decision=DecisionOptions(optimize="f1")),
        replace(SCRATCH, decision=DecisionOptions(promise=("recall>=0.9",), confidence=0.9, abstain=True)),
        replace(SCRATCH, decision=DecisionOptions(cost_fp=1, cost_fn=2, cost_unsure=0.1)),
    ],
)
def test_the_key_ignores_options_that_change_no_weight(dataset: LabelledDataset, options: TrainingOptions) -> None:
    assert run_key(options, dataset) == run_key(SCRATCH, dataset)


@pytest.mark.parametrize(
    "options",
    [
        with_learning(epochs=4),
        with_learning(learning_rate=0.1),
        with_learning(cv=2),
        replace(SCRATCH, cross_validation=CrossValidationOptions(seed=1)),
        replace(SCRATCH, backbone=BackboneOptions(size=64)),
    ],
)
def test_the_key_depends_on_options_that_change_weights(dataset: LabelledDataset, options: TrainingOptions) -> None:
    assert run_key(options, dataset) != run_key(SCRATCH, dataset)
