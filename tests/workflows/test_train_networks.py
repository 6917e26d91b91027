"""Trained networks, from a folder of images to the predictions of a bundle."""

import csv
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from drawings import draw, draw_folder
from hub_networks import save_tiny
from PIL import Image
from scenes import MOVES, scene
from torch.optim.optimizer import register_optimizer_step_pre_hook

from twofold.bundle.storage import load_bundle
from twofold.cli import main
from twofold.core.errors import DataError, UsageError
from twofold.core.options import BackboneOptions, LearningOptions, RuntimeOptions, TrainingOptions
from twofold.data import Preprocessing, preprocess
from twofold.embedding import Runtime
from twofold.learning.run_folder import RunFolder
from twofold.workflows.explain import Explainer
from twofold.workflows.predict import Predictor
from twofold.workflows.save import save
from twofold.workflows.train import train
from twofold.workflows.training_result import TrainingResult

NETWORK = BackboneOptions(size=48, dtype="f32")
SCRATCH = TrainingOptions(
    backbone=NETWORK, learning=LearningOptions(mode="scratch", epochs=3, batch_size=16, validation_fraction=0.25)
)


@pytest.fixture(scope="module")
def scratch(drawn: Path, runtime: Runtime) -> TrainingResult:
    """The classic network, trained for three epochs, tested on other images."""
    return train(drawn, SCRATCH, runtime, test=draw_folder(drawn.parent / "held-out", 5, start=70))


def test_calibration_threshold_and_evaluation_use_the_validation_images(
    scratch: TrainingResult,
) -> None:
    assert scratch.learning is not None
    assert scratch.evidence == "validation"
    validation = np.flatnonzero(scratch.learning.run.validation)
    assert np.array_equal(scratch.fit.scores.rows, validation)
    assert scratch.dataset.labels[validation].sum() == len(validation) // 2 == 5
    result = scratch.as_json()
    assert result["validation"]["confusion"].keys() == {"tn", "fp", "fn", "tp"}
    assert sum(result["validation"]["confusion"].values()) == 10
    assert sum(result["train"]["confusion"].values()) == 30
    assert result["learning"]["images"] == {"train": 30, "validation": 10}
    assert "cross_validation" not in result


def test_the_scores_equal_those_of_the_exported_graph(scratch: TrainingResult, runtime: Runtime) -> None:
    """The logits of PyTorch and ONNX agree."""
    model, rows = scratch.fit.model, scratch.fit.scores.rows
    predictions = Predictor(model, runtime).predict([scratch.dataset.paths[row] for row in rows])
    logits = [prediction.logit for prediction in predictions if prediction.logit is not None]
    assert np.allclose(logits, scratch.fit.scores.logits, atol=1e-4)


def test_a_bundle_of_a_trained_network_gives_the_same_predictions(
    scratch: TrainingResult, runtime: Runtime, tmp_path: Path
) -> None:
    save(scratch, tmp_path / "b.twofold")
    images = [draw(pattern, number) for pattern in ("bars", "rings") for number in range(90, 94)]
    predictions = Predictor(scratch.fit.model, runtime).predict(images)
    assert Predictor(load_bundle(tmp_path / "b.twofold")).predict(images) == predictions
    with (tmp_path / "b.twofold" / "history.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    assert [row["learning_rate"] for row in rows] == ["0.001"] * 3
    with (tmp_path / "b.twofold" / "scores.csv").open(encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) == 10
    card = (tmp_path / "b.twofold" / "README.md").read_text(encoding="utf-8")
    assert "The network was not trained on the validation images" in card


def test_the_onnx_of_a_trained_network_runs_in_onnxruntime(
    scratch: TrainingResult, runtime: Runtime, tmp_path: Path
) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    save(scratch, tmp_path / "b.twofold")
    image = preprocess(draw("rings", 95), Preprocessing(48, "squash", "bilinear"))
    session = onnxruntime.InferenceSession(tmp_path / "b.twofold" / "model.onnx", providers=["CPUExecutionProvider"])
    (logit,) = session.run(["logit"], {"image": image.model_input[None]})  # type: ignore[union-attr]  # no read error
    prediction = Predictor(scratch.fit.model, runtime).predict([draw("rings", 95)])[0]
    assert logit[0] == pytest.approx(prediction.logit, abs=1e-4)


def test_the_maps_of_a_network_from_scratch_sum_up_to_its_logits(drawn: Path, runtime: Runtime) -> None:
    """Its features are means over places; those of the classic network come out of dense layers."""
    modern = replace(SCRATCH, learning=replace(SCRATCH.learning, recipe="modern", epochs=1))
    explainer = Explainer(train(drawn, modern, runtime).fit.model, runtime)
    for pattern in ("bars", "rings"):
        explanation = explainer.explain(np.asarray(draw(pattern, 90)))
        assert explanation.method == "exact"
        assert explanation.map is not None
        assert explanation.bias is not None
        assert explanation.map.std() > 0
        assert explanation.map.sum(dtype=np.float64) + explanation.bias == pytest.approx(explanation.logit, abs=1e-4)


def test_with_cv_every_image_is_scored_out_of_fold(drawn: Path, runtime: Runtime) -> None:
    options = replace(SCRATCH, learning=replace(SCRATCH.learning, cv=2, epochs=2))
    training = train(drawn, options, runtime)
    assert training.evidence == "cross_validation"
    assert len(training.fit.scores.logits) == 40
    assert sorted(set(training.fit.scores.folds)) == [0, 1]
    assert sum(training.as_json()["cross_validation"]["confusion"].values()) == 40
    assert training.fit.familiarity is not None  # only of images that the network of the model was not trained on
    measured = np.isfinite(training.fit.familiarity)
    assert measured.tolist() == training.training_run.validation[training.fit.scores.rows].tolist()  # type: ignore[union-attr]
    in_sample = training.fit.model.head.logits(training.dataset.table.features)
    assert not np.isclose(in_sample, training.fit.scores.logits).any()


@contextmanager
def ctrl_c_once_exists(path: Path) -> Iterator[None]:
    """Ctrl-C at the next training step after the path exists."""

    def press(*_: Any) -> None:
        if path.exists():
            raise KeyboardInterrupt

    hook = register_optimizer_step_pre_hook(press)
    try:
        yield
    finally:
        hook.remove()


def test_ctrl_c_during_cv_keeps_the_network_and_can_be_resumed(drawn: Path, runtime: Runtime, tmp_path: Path) -> None:
    """Before the first epoch of a fold is over, and after it."""
    options, run_folder = replace(SCRATCH, learning=replace(SCRATCH.learning, cv=2, epochs=2)), RunFolder(tmp_path)
    for moment in ("fold-1", "fold-1/last.ckpt"):
        with ctrl_c_once_exists(tmp_path / moment):
            training = train(drawn, options, runtime, run_folder=run_folder)
        assert training.interrupted
        assert training.evidence == "validation"
        (note,) = [note for note in training.notes if note.code == "interrupted"]
        assert "scored on the validation images alone" in note.text
    training = train(drawn, options, runtime, run_folder=run_folder)
    assert not training.as_json()["learning"]["interrupted"]
    assert training.evidence == "cross_validation"


def test_ctrl_c_during_tuning_keeps_the_best_trial_and_can_be_resumed(
    drawn: Path, runtime: Runtime, tmp_path: Path
) -> None:
    options, run_folder = replace(SCRATCH, learning=replace(SCRATCH.learning, tune=3, epochs=2)), RunFolder(tmp_path)
    with ctrl_c_once_exists(tmp_path / "trial-2"):
        training = train(drawn, options, runtime, run_folder=run_folder)
    assert training.interrupted
    assert training.learning is not None
    assert training.learning.run.tuning is not None
    assert len(training.learning.run.tuning.trials) == 1
    training = train(drawn, options, runtime, run_folder=run_folder)
    assert not training.interrupted
    assert len(training.as_json()["learning"]["tuning"]["trials"]) == 3


def test_unreadable_test_images_are_an_error_before_training(drawn: Path, runtime: Runtime, tmp_path: Path) -> None:
    for label in ("bars", "rings"):
        (tmp_path / "test" / label).mkdir(parents=True)
        (tmp_path / "test" / label / "1.jpg").write_bytes(b"no image")
    run_folder = RunFolder(tmp_path / "run")
    with pytest.raises(DataError, match="not-an-image|no image|usable"):
        train(drawn, SCRATCH, runtime, test=tmp_path / "test", run_folder=run_folder)
    assert not run_folder.resumable


def test_duplicates_are_not_split_between_training_and_validation(
    drawn: Path, runtime: Runtime, tmp_path: Path
) -> None:
    folder = draw_folder(tmp_path / "duplicates", 10)
    for label in ("bars", "rings"):
        for number in range(10):
            draw(label, number).save(folder / label / f"copy-{number}.bmp")
    training = train(folder, replace(SCRATCH, learning=replace(SCRATCH.learning, epochs=1)), runtime)
    assert training.learning is not None
    validation, groups = training.learning.run.validation, training.dataset.groups
    assert len(set(groups)) == 20
    assert not set(groups[validation]) & set(groups[~validation])


@pytest.mark.parametrize("mode", ["scratch", "finetune"])
def test_cropped_duplicates_are_not_split_between_training_and_validation(
    runtime: Runtime, tmp_path: Path, mode: str
) -> None:
    """Only the features of a pretrained network recognise an image and its crop as duplicates."""
    for number in range(24):
        folder = tmp_path / ("even", "odd")[number % 2]
        folder.mkdir(exist_ok=True)
        for name, change in (("original", lambda image: image), ("cropped", MOVES["cropped"])):
            change(scene(number)).save(folder / f"{number}-{name}.png")
    learning = LearningOptions(mode=mode, epochs=1, batch_size=16, validation_fraction=0.25)  # type: ignore[arg-type]
    network = replace(NETWORK, size=48 if mode == "scratch" else 96)
    training = train(tmp_path, TrainingOptions(backbone=network, learning=learning), runtime)
    assert training.learning is not None
    training_run = training.learning.run
    numbers = [Path(path).name.split("-")[0] for path in training.dataset.paths]
    splits = set(zip(numbers, training_run.validation.tolist(), strict=True))
    assert len(splits) == 24
    assert {duplicate.kind for duplicate in training_run.duplicates} == {"near"}


@pytest.mark.parametrize("balance", ["loss", "sampler"])
def test_balanced_training_still_predicts_the_true_prevalence(runtime: Runtime, tmp_path: Path, balance: str) -> None:
    """On images without information the mean probability is the prevalence, 1 in 4, not 1 in 2."""
    folder = tmp_path / "noise"
    random = np.random.default_rng(0)
    for label, count in (("common", 90), ("rare", 30)):
        (folder / label).mkdir(parents=True)
        for number in range(count):
            draw("bars", int(random.integers(10_000)), side=24).save(folder / label / f"{number}.png")
    learning = replace(SCRATCH.learning, epochs=4, balance=balance, learning_rate=1e-3, recipe="modern", batch_size=32)  # type: ignore[arg-type]
    training = train(folder, replace(SCRATCH, learning=learning), runtime)
    logits = training.fit.scores.logits  # before calibration
    assert 0.1 < np.mean(1 / (1 + np.exp(-logits))) < 0.42


def test_fine_tuning_starts_with_the_head_of_the_frozen_network(drawn: Path, runtime: Runtime) -> None:
    learning = LearningOptions(mode="finetune", epochs=1, batch_size=16, learning_rate=1e-9, augment=0)
    network = BackboneOptions(size=96, dtype="f32")
    training = train(drawn, TrainingOptions(backbone=network, learning=learning), runtime)
    assert training.learning is not None
    training_run = training.learning.run
    assert training_run.history.epochs[0]["val_accuracy"] == 1.0
    assert training_run.backbone.name == "efficientnet-lite0, fine-tuned"
    assert training_run.head.weights.size == 6544
    assert training_run.backbone.features == "filters"


def test_fine_tuning_without_gain_keeps_the_frozen_model(drawn: Path, runtime: Runtime, tmp_path: Path) -> None:
    """The frozen network separates bars and rings without error."""
    learning = LearningOptions(mode="finetune", epochs=1, batch_size=16, learning_rate=0.01)
    options = TrainingOptions(backbone=BackboneOptions(size=96, dtype="f32"), learning=learning)
    training = train(drawn, options, runtime)
    assert training.crops is not None
    backbone = replace(options.backbone, crop_mode=training.crops.mode)
    assert backbone.crop_mode in ("center", "squash")  # a network is trained on one model input per image
    frozen = train(drawn, replace(options, backbone=backbone, learning=LearningOptions()), runtime)
    assert "not-better" in {note.code for note in training.notes}
    assert training.evidence == "cross_validation"
    assert training.fit.model.backbone.name == "efficientnet-lite0"
    assert np.array_equal(training.fit.scores.logits, frozen.fit.scores.logits)
    assert training.as_json()["learning"]["weight_interpolation"]["fraction"] == 0.0
    save(training, tmp_path / "bundle")
    assert (tmp_path / "bundle" / "history.csv").exists()
    card = (tmp_path / "bundle" / "README.md").read_text(encoding="utf-8")
    assert "by a head and a calibration that were fitted neither on it nor on a duplicate of it" in card
    assert "history.csv" in card
    assert "training images |" not in card


def test_fine_tuning_with_gain_is_scored_by_the_fine_tuned_network(runtime: Runtime, tmp_path: Path) -> None:
    """A random network that averages over the image cannot tell which of two patches is above."""
    random = np.random.default_rng(0)
    for label, colours, count in (("above", (0, 2), 120), ("below", (2, 0), 90)):
        (tmp_path / "images" / label).mkdir(parents=True)
        for number in range(count):
            pixels, (top, left) = random.normal(128, 20, (32, 32, 3)), random.integers(4, 20, 2)
            for position, colour in enumerate(colours):
                patch = pixels[top + 4 * position : top + 4 * position + 4, left : left + 8]
                patch[:], patch[..., colour] = 30, 230
            image = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
            image.save(tmp_path / "images" / label / f"{number}.png")
    size = {"height": 32, "width": 32}
    network = save_tiny("resnet", tmp_path / "network", size=size, image_mean=[0.5] * 3, image_std=[0.5] * 3)
    learning = LearningOptions(
        mode="finetune", epochs=12, batch_size=16, learning_rate=0.02, validation_fraction=0.25, cv=2, balance="loss"
    )
    options = TrainingOptions(
        backbone=BackboneOptions(str(network), dtype="f32", crop_mode="center"), learning=learning
    )
    training = train(tmp_path / "images", options, runtime)
    frozen = train(tmp_path / "images", replace(options, learning=LearningOptions()), runtime)
    interpolation = training.as_json()["learning"]["weight_interpolation"]
    losses = {point["fraction"]: point["log_loss"] for point in interpolation["validation"]}
    assert interpolation["fraction"] > 0
    assert losses[interpolation["fraction"]] < losses[0.0] - interpolation["standard_error"]
    assert training.evidence == "cross_validation"
    assert training.fit.evaluation.metrics["log_loss"].value < frozen.fit.evaluation.metrics["log_loss"].value - 0.1
    assert training.fit.model.backbone.name.endswith(", fine-tuned")
    # The model has the interpolated weights, not those of the last step.
    assert training.learning is not None
    rows = np.flatnonzero(training.learning.run.validation)
    probabilities = training.fit.model.probabilities(training.dataset.table.features[rows])
    assert np.mean((probabilities > 0.5) == training.dataset.labels[rows]) > 0.8


def test_too_few_images_are_an_error_and_unreadable_files_are_reported(runtime: Runtime, tmp_path: Path) -> None:
    few = draw_folder(tmp_path / "few", 9)
    (few / "bars" / "broken.jpg").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"'bars' has 9"):
        train(few, SCRATCH, runtime)
    draw_folder(tmp_path / "more", 12)
    (tmp_path / "more" / "bars" / "broken.jpg").write_bytes(b"no image")
    training = train(tmp_path / "more", replace(SCRATCH, learning=replace(SCRATCH.learning, epochs=1)), runtime)
    assert {row.reason for row in training.audit.file_report()} == {None, "not-an-image"}
    assert "labels-not-checked" in {note.code for note in training.notes}  # there are too few validation images


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 3}, "`epochs` needs `mode='finetune'` or `mode='scratch'`"),
        ({"mode": "finetune", "recipe": "modern"}, "`recipe` needs `mode='scratch'`"),
        ({"mode": "scratch", "batch_size": 1}, "`batch_size` must be at least 2"),
        ({"mode": "scratch", "learning_rate": 0.0}, "`learning_rate` must be above 0"),
        ({"mode": "scratch", "validation_fraction": 0.9}, r"`validation_fraction` must be in \[0.02, 0.5\]"),
        ({"mode": "scratch", "dropout": 1.0}, r"`dropout` must be in \[0, 1\)"),
    ],
)
def test_contradictory_options_are_an_error(options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        LearningOptions(**options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--resume", "--resume needs --mode finetune or scratch"),
        ("--mode scratch --weights x.pth", "--weights is for pretrained networks"),
        ("--mode scratch --backbone mobilenetv2", "--backbone is for pretrained networks"),
        ("--mode scratch --size 45", "--size must lie between 46 and 1024 for the classic recipe, got 45"),
        ("--mode finetune --backbone net.onnx", "net.onnx cannot be fine-tuned"),
        (
            "--mode finetune --backbone efficientnet-lite0+net.onnx",
            "efficientnet-lite0+net.onnx cannot be fine-tuned, because it has no training graph",
        ),
        ("--out .", "does not name a folder; pass NAME.twofold"),
    ],
)
def test_contradictory_flags_are_an_error(
    drawn: Path, tmp_path: Path, flags: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", str(drawn), "--out", str(tmp_path / "b.twofold"), *flags.split()]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "b.twofold").exists()


def weights(training: TrainingResult) -> bytes:
    assert training.learning is not None
    return training.learning.run.backbone.graph


def test_a_run_is_not_resumed_with_other_options(drawn: Path, runtime: Runtime, tmp_path: Path) -> None:
    run_folder = RunFolder(tmp_path / "run")
    one_epoch = replace(SCRATCH, learning=replace(SCRATCH.learning, epochs=1))
    train(drawn, one_epoch, runtime, run_folder=run_folder)
    with pytest.raises(UsageError, match="had other options or images"):
        train(drawn, SCRATCH, runtime, run_folder=run_folder)


def test_a_run_is_resumed_with_another_cache_and_other_devices(drawn: Path, runtime: Runtime, tmp_path: Path) -> None:
    """They change no weight: the finished epochs are not trained again, and the graph is the same to the bit."""
    run_folder = RunFolder(tmp_path / "run")
    first = train(drawn, SCRATCH, runtime, run_folder=run_folder)
    checkpoint = run_folder.path / "network" / "last.ckpt"
    modified = checkpoint.stat().st_mtime_ns
    learning = replace(SCRATCH.learning, devices=2, pixels_gb=0.0001)
    other_runtime = Runtime(tmp_path / "cache", RuntimeOptions(cache=False, threads=1))
    resumed = train(drawn, replace(SCRATCH, learning=learning), other_runtime, run_folder=run_folder)
    assert checkpoint.stat().st_mtime_ns == modified
    assert weights(resumed) == weights(first)


def test_an_interrupted_run_ends_with_identical_weights(drawn: Path, runtime: Runtime, tmp_path: Path) -> None:
    """Also where it is resumed with less room for decoded images."""
    uninterrupted = train(drawn, SCRATCH, runtime, run_folder=RunFolder(tmp_path / "uninterrupted"))
    run_folder = RunFolder(tmp_path / "interrupted")
    with ctrl_c_once_exists(run_folder.path / "network" / "last.ckpt"):
        assert train(drawn, SCRATCH, runtime, run_folder=run_folder).interrupted
    options = replace(SCRATCH, learning=replace(SCRATCH.learning, pixels_gb=0.0001))
    resumed = train(drawn, options, runtime, run_folder=run_folder)
    assert not resumed.interrupted
    assert weights(resumed) == weights(uninterrupted)


def test_a_run_is_not_resumed_with_other_groups(drawn: Path, runtime: Runtime, tmp_path: Path) -> None:
    """They decide which images are validation images."""
    run_folder = RunFolder(tmp_path / "run")
    one_epoch = replace(SCRATCH, learning=replace(SCRATCH.learning, epochs=1))
    train(grouped(drawn, tmp_path, 20), one_epoch, runtime, run_folder=run_folder)
    with pytest.raises(UsageError, match="had other options or images"):
        train(grouped(drawn, tmp_path, 10), one_epoch, runtime, run_folder=run_folder)


@pytest.mark.parametrize("learning", [LearningOptions(mode="finetune"), replace(SCRATCH.learning, cv=4)])
def test_too_few_groups_are_an_error_before_training(
    drawn: Path, runtime: Runtime, tmp_path: Path, learning: LearningOptions
) -> None:
    """Three groups, each with both classes: fewer than the folds of the head, or of `cv`."""
    run_folder, network = RunFolder(tmp_path / "run"), BackboneOptions(size=96, dtype="f32")
    with pytest.raises(DataError, match="The class 'bars' cannot be divided into"):
        train(
            grouped(drawn, tmp_path, 3),
            TrainingOptions(backbone=network, learning=learning),
            runtime,
            run_folder=run_folder,
        )
    assert not run_folder.resumable


def grouped(drawn: Path, tmp_path: Path, count: int) -> Path:
    """A list of the drawn images, in `count` groups, each with both classes."""
    table = tmp_path / "list.csv"
    with table.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("path", "label", "group"))
        rows.writerows((path, path.parent.name, int(path.stem[-3:]) % count) for path in sorted(drawn.rglob("*.png")))
    return table


def command(drawn: Path, out: Path, *more: str) -> int:
    flags = "--mode scratch --image-size 48 --epochs 2 --batch-size 16 --dtype f32 --quiet"
    return main(["train", str(drawn), "--out", str(out), *flags.split(), *more])


def test_the_command_writes_a_bundle_and_keeps_logs_but_no_checkpoints(
    drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    out = tmp_path / "b.twofold"
    assert command(drawn, out, "--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert result["mode"] == "scratch"
    assert [row["epoch"] for row in result["learning"]["history"]] == [1, 2]
    learning = tmp_path / "b.learning"
    assert list(learning.glob("**/metrics.csv"))
    assert not list(learning.glob("**/*.ckpt"))
    assert command(drawn, out) == 2
    assert "exists; replace it with --force" in capsys.readouterr().err
    assert command(drawn, out, "--resume") == 2
    assert command(drawn, out, "--force") == 0
    assert "best" in capsys.readouterr().out


def test_an_unfinished_run_is_neither_lost_nor_resumed_unasked(
    drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    out = tmp_path / "b.twofold"
    RunFolder(tmp_path / "b.learning").start("the key of another run")
    assert command(drawn, out) == 2
    assert "continue it with --resume, or start again with --force" in capsys.readouterr().err
    assert command(drawn, out, "--resume") == 2
    assert "had other options or images" in capsys.readouterr().err
    assert not out.exists()
    assert command(drawn, out, "--force") == 0
