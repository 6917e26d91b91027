"""The slim form of a bundle answers as the bundle, and names no image of the training."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from drawings import draw, draw_folder

from twofold.bundle.slim import write_slim_bundle
from twofold.bundle.storage import load_bundle
from twofold.cli import main
from twofold.core.errors import BundleError, UsageError
from twofold.embedding import Runtime
from twofold.workflows.predict import Predictor


@pytest.fixture(scope="module")
def slim(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("slim") / "slim.twofold"
    write_slim_bundle(load_bundle(bundle), path, force=False)
    return path


def test_its_files_hold_no_path_and_no_score(slim: Path, drawn: Path) -> None:
    names = {"README.md", "bundle.json", "evaluation.json", "fingerprints.csv", "model.onnx"}
    assert {file.name for file in slim.iterdir()} == names
    texts = [(slim / name).read_text(encoding="utf-8") for name in sorted(names - {"model.onnx"})]
    for file in drawn.rglob("*.png"):
        assert not any(file.name in text or str(drawn) in text for text in texts)
    evaluation = json.loads((slim / "evaluation.json").read_text())
    assert set(evaluation) == {"cross_validation", "test"}
    assert set(evaluation["test"]["metrics"]) > {"accuracy"}
    card = (slim / "README.md").read_text(encoding="utf-8")
    assert "Classifies an image as bars or rings. <!-- decision -->The decision is rings where" in card
    assert "| accuracy | " in card


def test_it_answers_as_the_bundle_and_keeps_what_strangers_check(slim: Path, bundle: Path, runtime: Runtime) -> None:
    images = [draw(pattern, number) for pattern in ("bars", "rings") for number in (80, 81)]
    whole, small = load_bundle(bundle), load_bundle(slim)
    assert Predictor(small, runtime).predict(images) == Predictor(whole, runtime).predict(images)
    assert small.model.probe_logits is not None
    assert np.array_equal(small.model.probe_logits, np.asarray(whole.model.probe_logits))


def test_evaluate_still_finds_training_images_in_a_test_set(
    slim: Path, drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    test = draw_folder(tmp_path / "test", 5, start=60)
    shutil.copy(next((drawn / "bars").iterdir()), test / "bars" / "leaked.png")
    assert main(["evaluate", str(slim), str(test), "--json", "--quiet"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert "image " in json.dumps(record)  # the training image has a number, and no name


def test_what_needs_scores_says_that_they_are_missing(slim: Path) -> None:
    with pytest.raises(BundleError, match="holds no scores.csv, as a bundle for handing on: take the whole bundle"):
        load_bundle(slim).scores()


def test_the_command_writes_it_and_replaces_it_when_told(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "handed.twofold"
    assert main(["export", str(bundle), "--to", "bundle", "--out", str(out)]) == 0
    assert capsys.readouterr().out == f"Wrote {out}\n"
    assert main(["export", str(bundle), "--to", "bundle", "--out", str(out)]) == 2
    assert "replace it with --force" in capsys.readouterr().err
    assert main(["export", str(bundle), "--to", "bundle", "--out", str(out), "--force", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"folder": str(out), "to": "bundle"}
    with pytest.raises(UsageError, match="exists"):
        write_slim_bundle(load_bundle(bundle), out, force=False)
