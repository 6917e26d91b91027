"""The recipe, from a folder of images to a model and its numbers."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from drawings import draw, draw_folder

from twofold.core.errors import DataError, UsageError
from twofold.core.options import BackboneOptions, DecisionOptions, LearningOptions, TrainingOptions
from twofold.embedding import Runtime
from twofold.learning.run_folder import RunFolder
from twofold.workflows.train import train
from twofold.workflows.training_result import TrainingResult

F32 = TrainingOptions(backbone=BackboneOptions(dtype="f32"))


def test_bars_and_rings_are_classified_out_of_fold_and_in_a_test_set(training: TrainingResult) -> None:
    assert training.fit.evaluation.metrics["accuracy"].value == 1.0
    assert training.test is not None
    assert training.test.evaluation.metrics["accuracy"].value >= 0.95
    assert training.test.dataset.counts == {"bars": 10, "rings": 10}


def test_auto_dtype_says_how_it_compares_with_float32(training: TrainingResult) -> None:
    dtype, check = training.fit.model.backbone.dtype, training.dtype_check
    assert (check is None) == (dtype == "f32")
    if check is not None:
        assert check.dtype == dtype
        assert check.images == 40
        assert 0.96 <= check.median_cosine <= 1.0 + 1e-6


def test_the_other_class_as_positive_mirrors_everything(drawn: Path, runtime: Runtime) -> None:
    rings = train(drawn, F32, runtime).fit
    bars = train(drawn, replace(F32, positive="bars"), runtime).fit
    assert bars.model.classes == ("rings", "bars")
    assert np.allclose(bars.scores.logits, -rings.scores.logits, atol=1e-2)
    assert bars.evaluation.confusion.tp == rings.evaluation.confusion.tn


def test_training_twice_gives_the_same_model_whether_remembered_or_not(drawn: Path, tmp_path: Path) -> None:
    first, again = (train(drawn, F32, Runtime(tmp_path)).fit for _ in range(2))
    assert np.array_equal(first.scores.logits, again.scores.logits)
    assert np.array_equal(first.model.head.weights, again.model.head.weights)


def test_copies_share_a_fold(drawn: Path, runtime: Runtime, tmp_path: Path) -> None:
    folder = shutil.copytree(drawn, tmp_path / "copied")
    for label in ("bars", "rings"):
        original = folder / label / f"{label}-005.png"
        shutil.copy(original, folder / label / "same-bytes.png")
        draw(label, 5).save(folder / label / "same-pixels.bmp")
    training = train(folder, replace(F32, backbone=replace(F32.backbone, crop_mode="center")), runtime)
    for label in ("bars", "rings"):
        rows = [row for row, path in enumerate(training.dataset.paths) if path.endswith(f"{label}-005.png")]
        twins = np.flatnonzero(training.dataset.groups == training.dataset.groups[rows[0]])
        assert {Path(training.dataset.paths[row]).name for row in twins} == {
            f"{label}-005.png",
            "same-bytes.png",
            "same-pixels.bmp",
        }
        assert len({int(training.fit.scores.folds[row]) for row in twins}) == 1
    text = next(note.text for note in training.notes if note.code == "duplicates")
    assert text.startswith("Duplicates of other images: 2 exact, 2 with equal pixels")


def test_a_broken_file_is_left_out_noted_and_in_the_ledger(drawn: Path, runtime: Runtime, tmp_path: Path) -> None:
    folder = shutil.copytree(drawn, tmp_path / "images")
    (folder / "bars" / "broken.jpg").write_bytes(b"not an image")
    training = train(folder, F32, runtime)
    rows = {Path(row.path).name: row for row in training.audit.file_report()}
    assert rows["broken.jpg"].status == "skipped"
    assert rows["broken.jpg"].reason == "not-an-image"
    assert rows["bars-000.png"].status == "used"
    assert training.as_json()["data"] == {
        "files": 41,
        "used": 40,
        "skipped": 1,
        "classes": ["bars", "rings"],
        "positive": "rings",
        "counts": {"bars": 20, "rings": 20},
    }
    assert "files-skipped" in {note.code for note in training.notes}


def test_too_few_images_are_refused_with_their_number(runtime: Runtime, tmp_path: Path) -> None:
    few = draw_folder(tmp_path / "few", 9)
    (few / "bars" / "broken.jpg").touch()
    with pytest.raises(DataError, match=r"'bars' has 9 .* Not usable \(1 file\): .*broken\.jpg: The file has no bytes"):
        train(few, F32, runtime)


def test_test_images_of_other_classes_are_refused_before_anything_is_embedded(drawn: Path, tmp_path: Path) -> None:
    other = draw_folder(tmp_path / "other", 2, labels=("cats", "dogs"))
    runtime = Runtime(tmp_path / "cache")
    with pytest.raises(DataError, match="bars"):
        train(drawn, F32, runtime, test=other)
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (BackboneOptions(backbone="efficientnet-lite9"), "did you mean 'efficientnet-lite"),
        (BackboneOptions(size=50), "between 96 and 384"),
        (BackboneOptions(mean=(0.0, 0.0, 0.0)), "`mean` is for external networks; efficientnet-lite0 has its own."),
        (BackboneOptions(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0)), "`mean` and `std` are for external networks"),
        (BackboneOptions(output="x"), "`output` is for FILE.onnx; leave it out for efficientnet-lite0"),
    ],
)
def test_a_network_that_is_not_to_be_had_is_a_usage_error(
    drawn: Path, runtime: Runtime, options: BackboneOptions, said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        train(drawn, TrainingOptions(backbone=replace(options, dtype="f32")), runtime)


def test_a_given_threshold_is_used_and_policies_stand_beside_it(drawn: Path, runtime: Runtime) -> None:
    fit = train(drawn, replace(F32, decision=DecisionOptions(threshold=0.9)), runtime).fit
    assert fit.model.rule.threshold == 0.9
    assert fit.model.rule.policy.name == "fixed"
    assert set(fit.model.rule.policy.evidence["candidates"]) == {"accuracy", "balanced", "f1", "fixed"}


@pytest.mark.parametrize("mode", ["scratch", "finetune"])
def test_an_arithmetic_that_no_learned_network_has_is_refused_before_it_learns(
    mode: Literal["scratch", "finetune"], drawn: Path, runtime: Runtime, tmp_path: Path
) -> None:
    options = TrainingOptions(backbone=BackboneOptions(dtype="int8"), learning=LearningOptions(mode))
    with pytest.raises(UsageError, match="cannot be run in int8; use `dtype` bf16 or f32"):
        train(drawn, options, runtime, run_folder=RunFolder(tmp_path / "learning"))
    assert not (tmp_path / "learning").exists()
