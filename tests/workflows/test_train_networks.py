"""Networks that are learned, from a folder of pictures to a bundle that answers."""

import csv
import json
import signal
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
from twofold.core.options import BackboneOptions, LearningOptions, TrainingOptions
from twofold.data import Preprocessing, preprocess
from twofold.embedding import Runtime
from twofold.learning.run_folder import RunFolder
from twofold.workflows.save import save
from twofold.workflows.train import train
from twofold.workflows.training_result import TrainingResult

NETWORK = BackboneOptions(size=48, dtype="f32")
SCRATCH = TrainingOptions(
    backbone=NETWORK, learning=LearningOptions(mode="scratch", epochs=3, batch_size=16, validation_fraction=0.25)
)


@pytest.fixture(scope="module")
def scratch(drawn: Path, runtime: Runtime) -> TrainingResult:
    """The classic network, learned for three epochs, tested on other pictures."""
    return train(drawn, SCRATCH, runtime, test=draw_folder(drawn.parent / "held-out", 5, start=70))


def test_calibration_threshold_and_evaluation_come_from_pictures_that_were_not_learned_from(
    scratch: TrainingResult,
) -> None:
    assert scratch.learning is not None
    assert scratch.scored == "validation"
    held = np.flatnonzero(scratch.learning.training_run.validation)
    assert np.array_equal(scratch.fit.scores.rows, held)
    assert scratch.dataset.labels[held].sum() == len(held) // 2 == 5
    result = scratch.as_json()
    assert result["validation"]["confusion"].keys() == {"tn", "fp", "fn", "tp"}
    assert sum(result["validation"]["confusion"].values()) == 10
    assert sum(result["train"]["confusion"].values()) == 30
    assert result["learning"]["images"] == {"train": 30, "validation": 10}
    assert "cross_validation" not in result


def test_the_scores_are_those_of_the_graph_that_the_bundle_holds(scratch: TrainingResult, runtime: Runtime) -> None:
    """The network's own logits and those of ONNX differ by less than shows."""
    model, rows = scratch.fit.model, scratch.fit.scores.rows
    again = model.predict([scratch.dataset.paths[row] for row in rows], runtime)
    assert np.allclose(
        [answer.logit for answer in again if answer.logit is not None], scratch.fit.scores.logits, atol=1e-4
    )


def test_a_bundle_of_a_learned_network_answers_alike(scratch: TrainingResult, runtime: Runtime, tmp_path: Path) -> None:
    save(scratch, tmp_path / "b.twofold")
    images = [draw(pattern, number) for pattern in ("bars", "rings") for number in range(90, 94)]
    ours = scratch.fit.model.predict(images, runtime)
    assert load_bundle(tmp_path / "b.twofold").predict(images) == ours
    with (tmp_path / "b.twofold" / "history.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    with (tmp_path / "b.twofold" / "scores.csv").open(encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) == 10
    card = (tmp_path / "b.twofold" / "README.md").read_text(encoding="utf-8")
    assert "The network did not learn from the validation pictures" in card


def test_the_onnx_of_a_learned_network_runs_elsewhere(
    scratch: TrainingResult, runtime: Runtime, tmp_path: Path
) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    save(scratch, tmp_path / "b.twofold")
    seen = preprocess(draw("rings", 95), Preprocessing(48, "squash", "bilinear"))
    session = onnxruntime.InferenceSession(tmp_path / "b.twofold" / "model.onnx", providers=["CPUExecutionProvider"])
    (logit,) = session.run(["logit"], {"image": seen.model_input[None]})  # type: ignore[union-attr]  # a drawing is a picture
    answer = scratch.fit.model.predict([draw("rings", 95)], runtime)[0]
    assert logit[0] == pytest.approx(answer.logit, abs=1e-4)


def test_with_cv_every_picture_is_scored_by_a_network_that_did_not_see_it(drawn: Path, runtime: Runtime) -> None:
    options = replace(SCRATCH, learning=replace(SCRATCH.learning, cv=2, epochs=2))
    training = train(drawn, options, runtime)
    assert training.evidence == "cross_validation"
    assert len(training.fit.scores.logits) == 40
    assert sorted(set(training.fit.scores.folds)) == [0, 1]
    assert sum(training.as_json()["cross_validation"]["confusion"].values()) == 40
    its_own = training.fit.model.head.logits(training.dataset.table.features)
    assert not np.isclose(its_own, training.fit.scores.logits).any()


@contextmanager
def ctrl_c_once_there_is(path: Path) -> Iterator[None]:
    """Pressed at the next step of learning."""

    def press(*_: Any) -> None:
        if path.exists():
            raise KeyboardInterrupt

    before, hook = signal.getsignal(signal.SIGINT), register_optimizer_step_pre_hook(press)
    try:
        yield
    finally:
        hook.remove()
        signal.signal(signal.SIGINT, before)


def test_ctrl_c_during_cv_keeps_the_network_and_can_be_resumed(drawn: Path, runtime: Runtime, tmp_path: Path) -> None:
    """Before the first epoch of a fold is over, and after it."""
    options, place = replace(SCRATCH, learning=replace(SCRATCH.learning, cv=2, epochs=2)), RunFolder(tmp_path)
    for moment in ("fold-1", "fold-1/last.ckpt"):
        with ctrl_c_once_there_is(tmp_path / moment):
            training = train(drawn, options, runtime, run_folder=place)
        assert training.interrupted
        assert training.evidence == "validation"
        (note,) = [note for note in training.notes if note.code == "interrupted"]
        assert "the validation part alone scores it" in note.text
    training = train(drawn, options, runtime, run_folder=place)
    assert not training.as_json()["learning"]["interrupted"]
    assert training.evidence == "cross_validation"


def test_ctrl_c_during_tuning_keeps_the_best_so_far_and_can_be_resumed(
    drawn: Path, runtime: Runtime, tmp_path: Path
) -> None:
    options, place = replace(SCRATCH, learning=replace(SCRATCH.learning, tune=3, epochs=2)), RunFolder(tmp_path)
    with ctrl_c_once_there_is(tmp_path / "trial-2"):
        training = train(drawn, options, runtime, run_folder=place)
    assert training.interrupted
    assert training.learning is not None
    assert training.learning.run.tuning is not None
    assert len(training.learning.run.tuning.trials) == 1
    training = train(drawn, options, runtime, run_folder=place)
    assert not training.interrupted
    assert len(training.as_json()["learning"]["tuning"]["trials"]) == 3


def test_test_pictures_that_cannot_be_read_are_told_before_anything_is_learned(
    drawn: Path, runtime: Runtime, tmp_path: Path
) -> None:
    for label in ("bars", "rings"):
        (tmp_path / "test" / label).mkdir(parents=True)
        (tmp_path / "test" / label / "1.jpg").write_bytes(b"no picture")
    place = RunFolder(tmp_path / "begun")
    with pytest.raises(DataError, match="not-an-image|no picture|usable"):
        train(drawn, SCRATCH, runtime, test=tmp_path / "test", run_folder=place)
    assert not place.begun


def test_copies_are_not_parted_by_the_validation_part(drawn: Path, runtime: Runtime, tmp_path: Path) -> None:
    folder = draw_folder(tmp_path / "copied", 10)
    for label in ("bars", "rings"):
        for number in range(10):
            draw(label, number).save(folder / label / f"copy-{number}.bmp")
    training = train(folder, replace(SCRATCH, learning=replace(SCRATCH.learning, epochs=1)), runtime)
    assert training.learning is not None
    held, groups = training.learning.run.validation, training.dataset.groups
    assert len(set(groups)) == 20
    assert not set(groups[held]) & set(groups[~held])


@pytest.mark.parametrize("mode", ["scratch", "finetune"])
def test_cropped_copies_are_not_parted_by_the_validation_part(runtime: Runtime, tmp_path: Path, mode: str) -> None:
    """Each picture and its crop are alike to a trained network, and to nothing else."""
    for number in range(24):
        folder = tmp_path / ("even", "odd")[number % 2]
        folder.mkdir(exist_ok=True)
        for name, change in (("whole", lambda image: image), ("cropped", MOVES["cropped"])):
            change(scene(number)).save(folder / f"{number}-{name}.png")
    learning = LearningOptions(mode=mode, epochs=1, batch_size=16, validation_fraction=0.25)  # type: ignore[arg-type]
    network = replace(NETWORK, size=48 if mode == "scratch" else 96)
    training = train(tmp_path, TrainingOptions(backbone=network, learning=learning), runtime)
    assert training.learning is not None
    training_run, numbers = (
        training.learning.run,
        [Path(path).name.split("-")[0] for path in training.dataset.paths],
    )
    parts = set(zip(numbers, training_run.validation.tolist(), strict=True))
    assert len(parts) == 24
    assert {copy.kind for copy in training_run.duplicates} == {"near"}


@pytest.mark.parametrize("balance", ["loss", "sampler"])
def test_classes_learned_as_equals_are_scored_as_what_they_are(runtime: Runtime, tmp_path: Path, balance: str) -> None:
    """Of pictures that say nothing the network learns the share of the classes: 1 in 4, not 1 in 2."""
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


def test_a_network_that_is_fine_tuned_begins_with_the_frozen_head(drawn: Path, runtime: Runtime) -> None:
    learning = LearningOptions(mode="finetune", epochs=1, batch_size=16, learning_rate=1e-9, augment=0)
    network = BackboneOptions(size=96, dtype="f32")
    training = train(drawn, TrainingOptions(backbone=network, learning=learning), runtime)
    assert training.learning is not None
    training_run = training.learning.run
    assert training_run.history.epochs[0]["val_accuracy"] == 1.0
    assert training_run.backbone.name == "efficientnet-lite0, fine-tuned"
    assert training_run.head.weights.size == 2848
    assert training_run.backbone.features == "stages"


def test_fine_tuning_that_makes_nothing_better_leaves_the_frozen_model(
    drawn: Path, runtime: Runtime, tmp_path: Path
) -> None:
    """Bars and rings are no riddle to the frozen network."""
    learning = LearningOptions(mode="finetune", epochs=1, batch_size=16, learning_rate=0.01)
    options = TrainingOptions(backbone=BackboneOptions(size=96, dtype="f32"), learning=learning)
    training = train(drawn, options, runtime)
    frozen = train(drawn, replace(options, learning=LearningOptions()), runtime)
    assert "not-better" in {note.code for note in training.notes}
    assert training.evidence == "cross_validation"
    assert training.fit.model.backbone.name == "efficientnet-lite0"
    assert np.array_equal(training.fit.scores.logits, frozen.fit.scores.logits)
    assert training.as_json()["learning"]["weights"]["share"] == 0.0
    save(training, tmp_path / "bundle")
    assert (tmp_path / "bundle" / "history.csv").exists()
    card = (tmp_path / "bundle" / "README.md").read_text(encoding="utf-8")
    assert "by a head that did not see it" in card
    assert "history.csv" in card
    assert "training pictures |" not in card


def test_fine_tuning_that_teaches_a_network_something_is_scored_by_what_was_taught(
    runtime: Runtime, tmp_path: Path
) -> None:
    """Which of two patches lies above is no matter to a random network that averages over the picture."""
    random = np.random.default_rng(0)
    for label, colours, count in (("above", (0, 2), 120), ("below", (2, 0), 90)):
        (tmp_path / "images" / label).mkdir(parents=True)
        for number in range(count):
            pixels, (top, left) = random.normal(128, 20, (32, 32, 3)), random.integers(4, 20, 2)
            for part, colour in enumerate(colours):
                patch = pixels[top + 4 * part : top + 4 * part + 4, left : left + 8]
                patch[:], patch[..., colour] = 30, 230
            image = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
            image.save(tmp_path / "images" / label / f"{number}.png")
    size = {"height": 32, "width": 32}
    network = save_tiny("resnet", tmp_path / "network", size=size, image_mean=[0.5] * 3, image_std=[0.5] * 3)
    learning = LearningOptions(
        mode="finetune", epochs=12, batch_size=16, learning_rate=0.02, validation_fraction=0.25, cv=2, balance="loss"
    )
    options = TrainingOptions(backbone=BackboneOptions(str(network), dtype="f32"), learning=learning)
    training = train(tmp_path / "images", options, runtime)
    frozen = train(tmp_path / "images", replace(options, learning=LearningOptions()), runtime)
    weights = training.as_json()["learning"]["weights"]
    losses = {tried["share"]: tried["log_loss"] for tried in weights["validation"]}
    assert weights["share"] > 0
    assert losses[weights["share"]] < losses[0.0] - weights["standard_error"]
    assert training.evidence == "cross_validation"
    assert training.fit.evaluation.metrics["log_loss"].value < frozen.fit.evaluation.metrics["log_loss"].value - 0.1
    assert training.fit.model.backbone.name.endswith(", fine-tuned")
    # What is saved is what was chosen: the network on the way, not the one at its end.
    assert training.learning is not None
    rows = np.flatnonzero(training.learning.run.validation)
    probabilities = training.fit.model.probabilities(training.dataset.table.features[rows])
    assert np.mean((probabilities > 0.5) == training.dataset.labels[rows]) > 0.8


def test_too_few_pictures_and_files_that_are_none_are_told_as_ever(runtime: Runtime, tmp_path: Path) -> None:
    few = draw_folder(tmp_path / "few", 9)
    (few / "bars" / "broken.jpg").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"'bars' has 9"):
        train(few, SCRATCH, runtime)
    draw_folder(tmp_path / "more", 12)
    (tmp_path / "more" / "bars" / "broken.jpg").write_bytes(b"no picture")
    training = train(tmp_path / "more", replace(SCRATCH, learning=replace(SCRATCH.learning, epochs=1)), runtime)
    assert {row.reason for row in training.audit.file_report()} == {"", "not-an-image"}
    assert "labels-not-judged" in {note.code for note in training.notes}  # by the few of the validation part


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"epochs": 3}, "--epochs is for --mode scratch or finetune"),
        ({"mode": "finetune", "recipe": "modern"}, "--recipe is for --mode scratch"),
        ({"mode": "scratch", "batch_size": 1}, "--batch-size must be at least 2"),
        ({"mode": "scratch", "learning_rate": 0.0}, "--learning-rate must be above 0"),
        ({"mode": "scratch", "validation": 0.9}, "--validation must lie between"),
        ({"mode": "scratch", "dropout": 1.0}, "--dropout must lie between"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        LearningOptions(**options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ("--resume", "--resume is for --mode scratch or finetune"),
        ("--mode scratch --weights x.pth", "--weights is for networks that were trained before"),
        ("--mode scratch --backbone mobilenetv2", "--backbone is for networks that were trained before"),
        ("--mode scratch --size 45", "--size for the classic recipe lies between 46 and 1024, got 45"),
        ("--mode finetune --backbone net.onnx", "FILE.onnx cannot be fine-tuned"),
        ("--out .", "names no folder of its own; pass NAME.twofold"),
    ],
)
def test_flags_that_do_not_go_together_are_refused(
    drawn: Path, tmp_path: Path, flags: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", str(drawn), "--out", str(tmp_path / "b.twofold"), *flags.split()]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "b.twofold").exists()


def test_other_options_or_pictures_are_not_resumed(drawn: Path, runtime: Runtime, tmp_path: Path) -> None:
    place = RunFolder(tmp_path / "begun")
    once = replace(SCRATCH, learning=replace(SCRATCH.learning, epochs=1))
    train(drawn, once, runtime, run_folder=place)
    with pytest.raises(UsageError, match="had other options or pictures"):
        train(drawn, SCRATCH, runtime, run_folder=place)


def test_other_groups_are_not_resumed(drawn: Path, runtime: Runtime, tmp_path: Path) -> None:
    """By them the validation part is dealt out."""
    place = RunFolder(tmp_path / "begun")
    once = replace(SCRATCH, learning=replace(SCRATCH.learning, epochs=1))
    train(grouped(drawn, tmp_path, 20), once, runtime, run_folder=place)
    with pytest.raises(UsageError, match="had other options or pictures"):
        train(grouped(drawn, tmp_path, 10), once, runtime, run_folder=place)


@pytest.mark.parametrize("learning", [LearningOptions(mode="finetune"), replace(SCRATCH.learning, cv=4)])
def test_groups_that_are_too_few_are_told_before_anything_is_learned(
    drawn: Path, runtime: Runtime, tmp_path: Path, learning: LearningOptions
) -> None:
    """Three, in both classes: fewer than there are folds of the head, or networks."""
    place, network = RunFolder(tmp_path / "begun"), BackboneOptions(size=96, dtype="f32")
    with pytest.raises(DataError, match="'bars' cannot be dealt out"):
        train(
            grouped(drawn, tmp_path, 3), TrainingOptions(backbone=network, learning=learning), runtime, run_folder=place
        )
    assert not place.begun


def grouped(drawn: Path, tmp_path: Path, count: int) -> Path:
    """A list of the drawn pictures, in so many groups of both classes."""
    table = tmp_path / "list.csv"
    with table.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("path", "label", "group"))
        rows.writerows((path, path.parent.name, int(path.stem[-3:]) % count) for path in sorted(drawn.rglob("*.png")))
    return table


def command(drawn: Path, out: Path, *more: str) -> int:
    flags = "--mode scratch --image-size 48 --epochs 2 --batch-size 16 --dtype f32 --quiet"
    return main(["train", str(drawn), "--out", str(out), *flags.split(), *more])


def test_the_command_writes_a_bundle_and_leaves_logs_but_no_checkpoints(
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
    assert "exists already" in capsys.readouterr().err
    assert command(drawn, out, "--resume") == 2
    assert command(drawn, out, "--force") == 0
    assert "best" in capsys.readouterr().out


def test_what_was_begun_is_neither_lost_nor_gone_on_with_unasked(
    drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    out = tmp_path / "b.twofold"
    RunFolder(tmp_path / "b.learning").begin("what was learned elsewhere")
    assert command(drawn, out) == 2
    assert "go on with --resume, or start anew with --force" in capsys.readouterr().err
    assert command(drawn, out, "--resume") == 2
    assert "had other options or pictures" in capsys.readouterr().err
    assert not out.exists()
    assert command(drawn, out, "--force") == 0
