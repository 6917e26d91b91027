"""A training on saved features is that on the images, without opening one."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from drawings import draw, draw_folder
from part_predictors import rows
from PIL import Image

from twofold.bundle.storage import load_bundle
from twofold.cli import main
from twofold.core.errors import DataError
from twofold.data import DecisionsFile, ReviewDecision
from twofold.workflows.predict import Predictor
from twofold.workflows.scale.feature_rows import to_half


@pytest.fixture(scope="module")
def first(tiny_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle with a tiny network."""
    folder = tmp_path_factory.mktemp("first")
    out = folder / "first.twofold"
    data = draw_folder(folder / "sample", 15)
    assert (
        main(["train", str(data), "--out", str(out), "--backbone", str(tiny_file), "--effort", "fast", "--quiet"]) == 0
    )
    return out


def mosaic(folder: Path, label: str, number: int) -> None:
    """An image of random squares, brighter for `light`: no two are similar, so that all ways to find duplicates agree."""
    squares = np.random.default_rng([number, len(label)]).integers(0, 200, (8, 8, 3), np.uint8) + 30 * (
        label == "light"
    )
    Image.fromarray(squares.astype(np.uint8).repeat(8, axis=0).repeat(8, axis=1)).save(folder / label / f"{number}.png")


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """200 dark and light images; one is there twice, one is damaged, and one has both labels."""
    folder = tmp_path_factory.mktemp("many") / "images"
    for label in ("dark", "light"):
        (folder / label).mkdir(parents=True)
        for number in range(100):
            mosaic(folder, label, number)
    shutil.copy(folder / "dark" / "0.png", folder / "dark" / "copy.png")
    (folder / "dark" / "damaged.png").write_bytes(b"no image")
    for label in ("dark", "light"):
        draw("rings", 300).save(folder / label / "both.png")
    return folder


@pytest.fixture(scope="module")
def answers(first: Path, images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with features."""
    out = tmp_path_factory.mktemp("run") / "answers"
    assert main(["predict", str(first), str(images), "--out", str(out), "--engine", "local", "--save-features"]) == 0
    return out


def train(data: Path, out: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    """The result of a training as JSON."""
    capsys.readouterr()
    assert main(["train", str(data), "--out", str(out), "--json", *arguments]) == 0
    result: dict[str, Any] = json.loads(capsys.readouterr().out)
    return result


def test_rows_have_the_features_of_the_network_in_half_precision(first: Path, answers: Path, images: Path) -> None:
    found = {row["path"]: row for row in rows(answers)}
    files = sorted(images.rglob("*.png"))
    assert sorted(found) == sorted(map(str, files))
    with Predictor(load_bundle(first)) as predictor:
        for prediction, row in predictor.stream_rows(files):
            saved = found[prediction.path]
            assert (saved["label"], saved["logit"]) == (prediction.label, prediction.logit)
            if row.features is None:
                assert (saved["reason"], saved["features"], saved["sha256"]) == ("not-an-image", None, None)
            else:
                expected = predictor.model.backbone.preprocessing.pool(row.features).astype(np.float16)
                np.testing.assert_array_equal(np.array(saved["features"], np.float16), expected)
                assert saved["sha256"] == row.metadata.sha256 if row.metadata else None


def test_a_training_on_features_is_that_on_the_images(
    first: Path, answers: Path, images: Path, tiny_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    network = ["--backbone", str(tiny_file), "--effort", "fast", "--dtype", "f32"]
    on_images = train(images, tmp_path / "images.twofold", capsys, *network)
    on_features = train(images, tmp_path / "features.twofold", capsys, "--features-from", str(answers))
    assert on_features["data"] == on_images["data"]
    assert on_features["data"]["used"] == 201
    losses = [result["cross_validation"]["metrics"]["log_loss"]["value"] for result in (on_images, on_features)]
    assert losses[1] == pytest.approx(losses[0], rel=0.05)
    reports = [(tmp_path / f"{name}.twofold" / "files.csv").read_text() for name in ("images", "features")]
    assert [line.split(",")[:2] for line in reports[0].splitlines()] == [
        line.split(",")[:2] for line in reports[1].splitlines()
    ]
    new = tmp_path / "new"
    for label in ("dark", "light"):
        (new / label).mkdir(parents=True)
        for number in range(200, 230):
            mosaic(new, label, number)
    predictions = []
    for name in ("images", "features"):
        with Predictor(load_bundle(tmp_path / f"{name}.twofold")) as predictor:
            predictions.append(predictor.predict(sorted(new.rglob("*.png"))))
    pairs = list(zip(*predictions, strict=True))
    assert max(abs((a.probability or 0) - (b.probability or 0)) for a, b in pairs) < 0.02
    assert sum(a.label != b.label for a, b in pairs) <= 1
    assert main(["evaluate", str(tmp_path / "features.twofold"), str(new)]) == 0
    assert main(["decide", str(tmp_path / "features.twofold"), "--threshold", "0.7"]) == 0


def test_no_image_is_opened_and_relative_paths_are_found(
    first: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder, answers = draw_folder(tmp_path / "images", 30, start=100), tmp_path / "answers"
    labels = tmp_path / "labels.csv"
    files = sorted(folder.rglob("*.png"))
    text = "".join(f"{file.relative_to(tmp_path)},{file.parent.name}\n" for file in files)
    labels.write_text(f"path,label\n{text}")
    assert main(["predict", str(first), "images", "--out", str(answers), "--engine", "local", "--save-features"]) == 0
    shutil.rmtree(folder)
    monkeypatch.chdir(tmp_path.parent)
    result = train(labels, tmp_path / "second.twofold", capsys, "--features-from", str(answers))
    assert result["data"]["used"] == 60


def test_labels_without_features_are_named_and_rows_without_labels_are_left_out(
    answers: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [
        images / label / f"{number}.png" for label, count in (("dark", 60), ("light", 40)) for number in range(count)
    ]
    lines = [f"{file},{('no', 'yes')[file.parent.name == 'light']}" for file in files]
    labels = tmp_path / "labels.csv"
    labels.write_text("\n".join(["path,label", *lines, "/gone/1.png,yes", "s3://bucket/2.png,no"]) + "\n")
    result = train(labels, tmp_path / "second.twofold", capsys, "--features-from", str(answers))
    assert result["data"]["counts"] == {"no": 60, "yes": 40}
    (note,) = [note for note in result["notes"] if note["code"] == "skipped-no-features"]
    assert "2 files without saved features, such as /gone/1.png" in note["text"]


def test_folders_that_cannot_be_trained_on_are_refused(
    first: Path, answers: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = tmp_path / "plain"
    assert main(["predict", str(first), str(images), "--out", str(plain), "--engine", "local"]) == 0
    unfinished, damaged = (Path(shutil.copytree(answers, tmp_path / name)) for name in ("unfinished", "damaged"))
    next((unfinished / "parts").iterdir()).unlink()
    next((damaged / "parts").iterdir()).write_bytes(b"PAR1")
    other = tmp_path / "other.csv"
    other.write_text("path,label\n/a.png,x\n/b.png,y\n")
    cases = [
        (images, tmp_path / "nothing", 2, "is no folder of predictions"),
        (images, plain, 2, "without features"),
        (images, unfinished, 1, "1 of 1 part in"),
        (images, damaged, 1, "predict into it again"),
        (other, answers, 1, "None of the 2 labelled files has features"),
    ]
    for data, folder, code, text in cases:
        capsys.readouterr()
        assert main(["train", str(data), "--features-from", str(folder), "--out", str(tmp_path / "b.twofold")]) == code
        assert text in " ".join(capsys.readouterr().err.split()), text
        assert not (tmp_path / "b.twofold").exists()


def test_a_run_with_features_and_one_without_are_different_runs(
    first: Path, answers: Path, images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", str(first), str(images), "--out", str(answers), "--engine", "local"]) == 2
    assert "other options (features)" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--mode", "finetune"], "--mode"),
        (["--backbone", "mobilenetv2"], "--backbone"),
        (["--crop-mode", "pad"], "--crop-mode"),
        (["--resume"], "--resume"),
    ],
)
def test_options_of_the_network_are_refused(
    answers: Path, images: Path, tmp_path: Path, arguments: list[str], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["train", str(images), "--features-from", str(answers), "--out", str(tmp_path / "b.twofold")]
    assert main([*command, *arguments]) == 2
    assert text in capsys.readouterr().err


def test_save_features_needs_an_engine(first: Path, images: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", str(first), str(images), "--save-features"]) == 2
    assert "--engine" in capsys.readouterr().err


def test_features_beyond_the_range_of_half_precision_are_an_error() -> None:
    np.testing.assert_array_equal(
        to_half(np.array([65504, -1], np.float32), "a.png"), np.array([65504, -1], np.float16)
    )
    for value in (65520.0, -1e6, np.inf, np.nan):
        with pytest.raises(DataError, match="a.png"):
            to_half(np.array([value, 1], np.float32), "a.png")


def test_review_decisions_are_applied_by_content(
    answers: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    decisions = DecisionsFile(tmp_path / "decisions.csv")
    hashes = [hashlib.sha256((images / "dark" / f"{number}.png").read_bytes()).hexdigest() for number in (1, 2)]
    decisions.append([ReviewDecision(decisions.now(), hashes[0], "label", "light")])
    decisions.append([ReviewDecision(decisions.now(), hashes[1], "exclude")])
    arguments = ["--features-from", str(answers), "--decisions", str(decisions.path)]
    result = train(images, tmp_path / "second.twofold", capsys, *arguments)
    assert result["data"]["counts"] == {"dark": 99, "light": 101}


def test_labels_of_damaged_images_alone_are_an_error(
    answers: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = tmp_path / "labels.csv"
    labels.write_text(f"path,label\n{images}/dark/damaged.png,dark\n{images}/light/none.png,light\n")
    out = tmp_path / "second.twofold"
    assert main(["train", str(labels), "--features-from", str(answers), "--out", str(out)]) == 1
    assert "dark" in capsys.readouterr().err
    assert not out.exists()
