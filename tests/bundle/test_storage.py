"""Bundles: what is saved is what is loaded, by twofold and by anything that reads ONNX; damage is refused."""

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from drawings import draw
from hostile import record_of, reseal
from PIL import Image

from twofold.bundle.storage import FILES, check_free, load_bundle, new_bundle_folder
from twofold.core.errors import BundleError, UsageError
from twofold.core.options import BackboneOptions, TrainingOptions
from twofold.data import PreprocessedImage, preprocess
from twofold.embedding import Runtime
from twofold.workflows.predict import Predictor
from twofold.workflows.save import save
from twofold.workflows.train import train
from twofold.workflows.training_result import TrainingResult

FROZEN = FILES - {"history.csv", "report.html", "tuning.csv"}  # what `save` writes where no network is learned


def test_a_bundle_holds_its_files_and_no_pickle(bundle: Path) -> None:
    assert {file.name for file in bundle.iterdir()} == FROZEN


def test_the_loaded_model_answers_as_the_trained_one(bundle: Path, training: TrainingResult, runtime: Runtime) -> None:
    images = [draw(pattern, number) for pattern in ("bars", "rings") for number in range(90, 95)]
    trained = Predictor(training.fit.model, runtime).predict(images)
    loaded = Predictor(load_bundle(bundle)).predict(images)
    assert [answer.label for answer in loaded] == ["bars"] * 5 + ["rings"] * 5
    assert np.allclose([a.logit for a in loaded], [a.logit for a in trained], atol=1e-4)


def test_a_bundle_whose_probes_cannot_be_reached_here_does_not_answer(
    drawn: Path, runtime: Runtime, tmp_path: Path
) -> None:
    options = TrainingOptions(backbone=BackboneOptions(size=96, dtype="int8"))
    save(train(drawn, options, runtime), tmp_path / "int8.twofold")
    assert len(Predictor(load_bundle(tmp_path / "int8.twofold")).predict([draw("bars", 90)])) == 1
    record = record_of(tmp_path / "int8.twofold")
    record["probes"] = record["probes"][::-1]
    reseal(tmp_path / "int8.twofold", record)
    with pytest.raises(BundleError, match="does not reproduce the logits of the training"):
        Predictor(load_bundle(tmp_path / "int8.twofold")).predict([draw("bars", 90)])


def test_where_bfloat16_gives_other_probes_float32_answers_with_a_note(drawn: Path, tmp_path: Path) -> None:
    here = Runtime(tmp_path / "cache")
    options = TrainingOptions(backbone=BackboneOptions(size=96, dtype="bf16"))
    save(train(drawn, options, here), tmp_path / "bf16.twofold")
    record = record_of(tmp_path / "bf16.twofold")
    record["probes"] = record["probes"][::-1]
    reseal(tmp_path / "bf16.twofold", record)
    model = load_bundle(tmp_path / "bf16.twofold").model
    native = Runtime(tmp_path).engine(model.backbone)
    assert native.requests  # exact where there is no bfloat16
    exact = here.embed([draw("bars", 90)], here.engine(replace(model.backbone, dtype="f32")))
    with Predictor(load_bundle(tmp_path / "bf16.twofold"), here) as predictor:
        (answer,) = predictor.predict([draw("bars", 90)])
    assert answer.logit == model.logits(exact.features)[0]
    assert [note.code for note in predictor.notes] == ([] if native.exact else ["dtype-fallback"])


SCORES = ("logit", "probability", "familiarity")


def onnx_scores(bundle: Path, images: list[Image.Image]) -> dict[str, np.ndarray]:
    """The scores of images by model.onnx in ONNX Runtime, the model inputs of each image one after the other."""
    preprocessing, inputs = load_bundle(bundle).model.backbone.preprocessing, []
    for image in images:
        preprocessed = preprocess(image, preprocessing)
        assert isinstance(preprocessed, PreprocessedImage)
        inputs += preprocessed.model_inputs
    session = onnxruntime.InferenceSession(bundle / "model.onnx", providers=["CPUExecutionProvider"])
    return dict(zip(SCORES, session.run(list(SCORES), {"image": np.stack(inputs)}), strict=True))


@pytest.mark.parametrize(
    "crops", [{"crop_mode": "squash"}, {"crop_mode": "both"}, {"crop_mode": "both", "views": "2x2"}]
)
def test_onnx_runtime_gives_the_scores_of_the_predictor(
    drawn: Path, runtime: Runtime, tmp_path: Path, crops: dict[str, Any]
) -> None:
    network = BackboneOptions(size=96, dtype="f32", **crops)
    save(train(drawn, TrainingOptions(backbone=network), runtime), tmp_path / "f32.twofold")
    images = [draw(pattern, number) for pattern in ("bars", "rings") for number in range(90, 96)]
    images += [Image.new("RGB", (90, 60), colour) for colour in ("black", "red")]
    answers, scores = (
        Predictor(load_bundle(tmp_path / "f32.twofold")).predict(images),
        onnx_scores(tmp_path / "f32.twofold", images),
    )
    for name in SCORES:
        expected = np.array([getattr(answer, name) for answer in answers])
        assert scores[name].shape == (len(images),)
        assert np.allclose(scores[name], expected, atol=1e-5, rtol=1e-5), name
    assert [answer.reason for answer in answers] == [None] * 12 + ["unfamiliar"] * 2


def test_onnx_runtime_gives_about_the_same_in_int8(bundle: Path) -> None:
    images = [draw("rings", 91), draw("bars", 92)]
    expected = [answer.logit for answer in Predictor(load_bundle(bundle)).predict(images)]
    assert onnx_scores(bundle, images)["logit"] == pytest.approx(expected, rel=0.05, abs=0.3)


def test_a_bundle_that_always_answers_labels_what_is_unfamiliar(bundle: Path) -> None:
    loaded, flat = load_bundle(bundle), Image.new("RGB", (90, 60), "red")
    (refused,) = Predictor(loaded).predict([flat])
    (answered,) = Predictor(loaded.always_answering()).predict([flat])
    assert (refused.label, refused.reason) == (None, "unfamiliar")
    assert answered.label in loaded.model.classes
    assert answered == replace(refused, label=answered.label, reason=None)


def test_scores_are_the_out_of_fold_scores(bundle: Path, training: TrainingResult) -> None:
    with (bundle / "scores.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    data = training.roots[0]
    assert [data / row["path"] for row in rows] == list(map(Path, training.dataset.paths))
    assert np.allclose([float(row["logit"]) for row in rows], training.fit.scores.logits, rtol=1e-4)
    assert {row["label"] for row in rows} == {"bars", "rings"}
    assert training.fit.familiarity is not None
    assert np.allclose([float(row["familiarity"]) for row in rows], training.fit.familiarity, rtol=1e-4)


def test_what_it_was_trained_on_is_known_under_any_name(training: TrainingResult, tmp_path: Path) -> None:
    dataset = training.dataset
    odd = replace(dataset.file_list.files[0], path=Path("a,\n\x0c\u2028.jpg"))
    file_list = replace(dataset.file_list, files=(odd, *dataset.file_list.files[1:]))
    save(replace(training, dataset=replace(dataset, file_list=file_list)), tmp_path / "odd.twofold")
    known = load_bundle(tmp_path / "odd.twofold").fingerprint_index()
    assert known.paths[0] == str(odd.path)
    assert [training.roots[0] / path for path in known.paths[1:]] == list(map(Path, dataset.paths[1:]))


def test_the_record_says_how_it_came_about(bundle: Path) -> None:
    record = json.loads((bundle / "bundle.json").read_text(encoding="utf-8"))
    assert record["format"] == 5
    assert record["positive"] == "rings"
    assert record["rule"]["policy"]["name"] == "accuracy"
    assert record["command"] == ["twofold", "train"]
    assert set(record["files"]) == FROZEN - {"bundle.json"}


def spoil(bundle: Path, name: str) -> None:
    """Change one byte in the middle of a file, by more than the last digit of a number, which may not count."""
    data = bytearray((bundle / name).read_bytes())
    data[len(data) // 2] ^= 0x40
    (bundle / name).write_bytes(bytes(data))


@pytest.mark.parametrize("name", ["model.onnx", "bundle.json"])
def test_a_changed_file_is_refused(bundle: Path, tmp_path: Path, name: str) -> None:
    copy = shutil.copytree(bundle, tmp_path / "copy.twofold")
    spoil(copy, name)
    with pytest.raises(BundleError, match="damaged|altered"):
        load_bundle(copy)


def test_a_changed_threshold_is_refused(bundle: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(bundle, tmp_path / "copy.twofold")
    record = json.loads((copy / "bundle.json").read_text(encoding="utf-8"))
    record["rule"]["low"] = record["rule"]["high"] = 0.1
    (copy / "bundle.json").write_text(json.dumps(record), encoding="utf-8")
    with pytest.raises(BundleError, match="altered"):
        load_bundle(copy)


@pytest.mark.parametrize(
    ("version", "advice"), [(6, "update"), *((version, "train it again") for version in (4, 3, 2, 1))]
)
def test_another_format_is_refused_with_what_to_do(bundle: Path, tmp_path: Path, version: int, advice: str) -> None:
    copy = shutil.copytree(bundle, tmp_path / "copy.twofold")
    (copy / "bundle.json").write_text(json.dumps({"format": version}), encoding="utf-8")
    with pytest.raises(BundleError, match=f"format {version}.*{advice}"):
        load_bundle(copy)


def test_a_missing_bundle_and_a_folder_that_is_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="does not exist"):
        load_bundle(tmp_path / "missing.twofold")
    with pytest.raises(BundleError, match="not a bundle"):
        load_bundle(tmp_path)


def test_a_bundle_is_replaced_only_by_force_and_nothing_else_ever(
    bundle: Path, training: TrainingResult, tmp_path: Path
) -> None:
    copy = shutil.copytree(bundle, tmp_path / "copy.twofold")
    with pytest.raises(UsageError, match="`force=True`"):
        save(training, copy)
    save(training, copy, force=True)
    assert {file.name for file in copy.iterdir()} == FROZEN
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(UsageError, match="is not a bundle"):
        save(training, tmp_path / "mine", force=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy.twofold", "mine"]


def test_force_takes_no_file_that_twofold_did_not_write(bundle: Path, training: TrainingResult, tmp_path: Path) -> None:
    copy = shutil.copytree(bundle, tmp_path / "copy.twofold")
    (copy / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(UsageError, match=r"notes\.txt"):
        save(training, copy, force=True)
    assert {file.name for file in copy.iterdir()} == FROZEN | {"notes.txt"}


def test_a_link_is_no_place_for_a_bundle_and_is_told_before_work(bundle: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(bundle, tmp_path / "copy.twofold")
    for name, target in (("current.twofold", copy), ("dangling.twofold", tmp_path / "none")):
        (tmp_path / name).symlink_to(target)
        with pytest.raises(UsageError, match="is a link"):
            check_free(tmp_path / name, force=True)


@pytest.mark.parametrize("address", ["s3://bucket/a.twofold", "gs://b/a", "https://host/a.twofold", "file:///tmp/a"])
def test_an_address_is_no_place_for_a_bundle(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="is an address; give a local folder"):
        check_free(Path(address), force=False)


def test_the_old_bundle_comes_back_where_the_new_one_cannot_take_its_place(bundle: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(bundle, tmp_path / "copy.twofold")

    def vanish() -> None:
        with new_bundle_folder(copy, force=True) as folder:
            folder.chmod(0o755)
            folder.rename(tmp_path / "elsewhere")

    with pytest.raises(FileNotFoundError):
        vanish()
    assert {file.name for file in copy.iterdir()} == FROZEN
    assert {path.name for path in tmp_path.iterdir()} == {"copy.twofold", "elsewhere"}


def stopped_halfway(path: Path) -> None:
    with new_bundle_folder(path, force=True) as folder:
        (folder / "model.onnx").write_bytes(b"half")
        raise KeyboardInterrupt


def test_a_failure_while_writing_leaves_the_old_bundle_and_nothing_else(bundle: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(bundle, tmp_path / "copy.twofold")
    before = (copy / "bundle.json").read_bytes()
    with pytest.raises(KeyboardInterrupt):
        stopped_halfway(copy)
    assert (copy / "bundle.json").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["copy.twofold"]
