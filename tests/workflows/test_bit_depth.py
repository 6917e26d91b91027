"""Images with more than eight bits, from a folder to a bundle and its predictions."""

import json
from pathlib import Path

import numpy as np
import pytest
from deepfiles import png
from drawings import draw

from twofold.bundle.storage import load_bundle
from twofold.core.options import BackboneOptions, CrossValidationOptions, DataOptions, LearningOptions, TrainingOptions
from twofold.embedding import Runtime
from twofold.estimator import BinaryImageClassifier
from twofold.workflows.audit import audit
from twofold.workflows.predict import Predictor
from twofold.workflows.save import save
from twofold.workflows.train import train
from twofold.workflows.training_result import TrainingResult

F32 = BackboneOptions(dtype="f32")
COUNT = 14


def deepened(pattern: str, number: int, bits: int = 10) -> np.ndarray[tuple[int, int, int], np.dtype[np.uint16]]:
    return np.rint(np.asarray(draw(pattern, number)) * ((2.0**bits - 1) / 255)).astype(np.uint16)


def lay_out(folder: Path, start: int = 0, count: int = COUNT, bits: int = 10) -> Path:
    for pattern in ("bars", "rings"):
        (folder / pattern).mkdir(parents=True)
        for number in range(start, start + count):
            (folder / pattern / f"{number}.png").write_bytes(png(deepened(pattern, number, bits)))
    return folder


@pytest.fixture(scope="module")
def deep(tmp_path_factory: pytest.TempPathFactory, runtime: Runtime) -> TrainingResult:
    """Bars and rings in ten bits, tested on others in ten bits."""
    folder = tmp_path_factory.mktemp("deep")
    other = lay_out(folder / "other", 50, 6)
    return train(lay_out(folder / "data"), TrainingOptions(backbone=F32), runtime, test=other)


def test_ten_bits_are_classified_as_eight_bits_are(deep: TrainingResult, runtime: Runtime) -> None:
    assert deep.fit.model.backbone.preprocessing.integer_range == (0, 1023)
    assert deep.fit.evaluation.metrics["accuracy"].value == 1.0
    assert deep.test is not None
    assert deep.test.evaluation.metrics["accuracy"].value >= 0.95
    assert [note.code for note in deep.notes].count("range-integers") == 1
    eight_bits = [draw(pattern, number) for pattern in ("bars", "rings") for number in range(60, 64)]
    ten_bits = [deepened(pattern, number) for pattern in ("bars", "rings") for number in range(60, 64)]
    logits = [prediction.logit for prediction in Predictor(deep.fit.model, runtime).predict([*ten_bits, *eight_bits])]
    assert np.allclose(logits[:8], logits[8:], atol=0.3)


def test_a_bundle_has_the_range_and_predicts_the_same(deep: TrainingResult, runtime: Runtime, tmp_path: Path) -> None:
    save(deep, tmp_path / "b.twofold")
    record = json.loads((tmp_path / "b.twofold" / "bundle.json").read_text(encoding="utf-8"))
    assert record["backbone"]["preprocessing"]["integer_range"] == [0, 1023]
    new = [deepened(pattern, number) for pattern in ("bars", "rings") for number in range(70, 74)]
    dark = [image // 8 for image in new]  # with another range of their own
    bundle = load_bundle(tmp_path / "b.twofold")
    assert bundle.model.backbone.preprocessing == deep.fit.model.backbone.preprocessing
    for sources in (new, dark, [png(image) for image in new]):
        assert Predictor(bundle).predict(sources) == Predictor(deep.fit.model, runtime).predict(sources)


def test_the_estimator_treats_files_and_arrays_alike(tmp_path: Path) -> None:
    images = [deepened(pattern, number, 12) for number in range(COUNT) for pattern in ("bars", "rings")]
    labels = np.array(["bars", "rings"] * COUNT)
    classifier = BinaryImageClassifier(dtype="f32", cache=False).fit(images, labels)
    assert classifier.model_.backbone.preprocessing.integer_range == (0, 4095)
    new = [deepened(pattern, 90, 12) for pattern in ("bars", "rings")]
    assert classifier.predict(new).tolist() == ["bars", "rings"]
    assert np.allclose(classifier.decision_function(new), classifier.decision_function([png(image) for image in new]))


def test_an_audit_without_a_network_uses_the_range(tmp_path: Path, runtime: Runtime) -> None:
    """Read as sixteen bits, nearly all images of ten bits would have one colour, and none would be a near duplicate."""
    folder = lay_out(tmp_path / "data")
    brighter = (deepened("bars", 3).astype(np.float64) * 0.9).astype(np.uint16)
    (folder / "bars" / "brighter.png").write_bytes(png(brighter))
    result = audit(folder, DataOptions(), F32, CrossValidationOptions(), runtime, quick=True)
    assert "range-integers" in {note.code for note in result.notes}
    near = {(Path(result.audit.dataset.paths[copy.second]).name, copy.kind) for copy in result.audit.dataset.duplicates}
    assert ("brighter.png", "near") in near


def test_a_trained_network_uses_the_range(tmp_path: Path, runtime: Runtime) -> None:
    learning = LearningOptions(mode="scratch", epochs=1, batch_size=16, validation_fraction=0.25)
    options = TrainingOptions(backbone=BackboneOptions(size=48, dtype="f32"), learning=learning)
    training = train(lay_out(tmp_path / "data", bits=12), options, runtime)
    assert training.fit.model.backbone.preprocessing.integer_range == (0, 4095)
    assert training.learning is not None
    rows = training.fit.scores.rows
    predictions = Predictor(training.fit.model, runtime).predict([training.dataset.paths[row] for row in rows])
    logits = [prediction.logit for prediction in predictions if prediction.logit is not None]
    assert np.allclose(logits, training.fit.scores.logits, atol=1e-4)
