"""Exports answer as their bundle does, from the bytes of images, or are refused."""

import json
import shutil
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import openvino
import pytest
from drawings import draw, draw_folder
from exports import tiny_bundle

from twofold.bundle.storage import Bundle, load_bundle
from twofold.core.errors import BackboneError, DataError, TwofoldError, UsageError
from twofold.core.options import ExportOptions
from twofold.decision import Calibration, Rule
from twofold.decision.bounds import upper_bound
from twofold.decision.rule import NEVER
from twofold.embedding import Runtime
from twofold.networks import Backbone
from twofold.networks.exported_graph import LABELS, Thresholds
from twofold.report.export_text import export_text
from twofold.workflows.model_export import _write_litert, export
from twofold.workflows.parity import check_parity, compare
from twofold.workflows.predict import Predictor

FEW = ExportOptions(sample=20)
needs_litert = pytest.mark.skipif(
    not (find_spec("tensorflow") and find_spec("ai_edge_litert")), reason="needs '.[litert]': TensorFlow and LiteRT"
)
needs_coreml = pytest.mark.skipif(
    not (find_spec("coremltools") and find_spec("onnx2coreml")) or sys.platform == "darwin",
    reason="needs '.[coreml]', and a computer that cannot run Core ML",
)


def with_all_decisions(bundle: Bundle, images: Path) -> Bundle:
    """The bundle with a calibration and a rule that give images of this folder each of the four decisions."""
    predictions = [each for each in Predictor(bundle.model).predict(sorted(images.iterdir())) if each.logit is not None]
    logits = np.array([prediction.logit for prediction in predictions])
    level = np.quantile([float(prediction.familiarity or 0) for prediction in predictions], 0.2)
    calibration = Calibration(float(1 / np.std(logits)), float(-np.median(logits) / np.std(logits)))
    rule = Rule(0.4, 0.6, {"level": float(level)})
    return replace(bundle, model=replace(bundle.model, calibration=calibration, rule=rule))


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawn images of many sizes: upright and wide ones, small and large, PNG and JPEG."""
    folder = tmp_path_factory.mktemp("photographs")
    for number in range(24):
        image = draw(("bars", "rings")[number % 2], number, 24 + 5 * number)
        image.crop((0, 0, image.width, image.height - number)).save(
            folder / f"{number:02}.{('png', 'jpg')[number in (3, 6)]}"
        )
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    return folder


@pytest.mark.parametrize("target", ["onnx", "openvino"])
@pytest.mark.parametrize(
    "preprocessing",
    [{"crop_mode": "both", "views": (2,)}, {"crop_mode": "pad", "filter": "bicubic"}, {"crop_mode": "center"}],
)
def test_an_export_answers_as_the_bundle_does(
    tiny: Backbone, photographs: Path, tmp_path: Path, target: Any, preprocessing: dict[str, Any]
) -> None:
    bundle = with_all_decisions(tiny_bundle(tiny, **preprocessing), photographs)
    result = export(bundle, target, tmp_path / "out", FEW, Runtime(tmp_path), data=photographs, force=False)
    parity = result.parity
    assert parity is not None
    assert len(parity.images) == 24  # those drawn at random, and all others as the nearest to the threshold
    assert parity.difference < (1e-4 if target == "onnx" else 4e-3)  # OpenVINO resizes in float32
    assert parity.reduced == 0
    assert max(comparison.pixels[0] for comparison in parity.images) <= (0 if target == "onnx" else 1)
    assert not parity.flips
    assert {comparison.bundle for comparison in parity.images} == {"bars", "rings", "unsure", "unfamiliar"}
    assert parity.bound == upper_bound(0, 20, 0.95)
    record = json.loads((tmp_path / "out" / "parity.json").read_text())
    assert record["images"] == {"all": 24, "random": 20, "reduced_scale": 0}
    assert str(photographs) not in json.dumps(record)  # it is handed on


def test_the_outputs_of_a_written_file_are_those_of_the_predictor(
    tiny: Backbone, photographs: Path, tmp_path: Path
) -> None:
    bundle = with_all_decisions(tiny_bundle(tiny, crop_mode="squash"), photographs)
    export(bundle, "onnx", tmp_path / "out", FEW, Runtime(tmp_path), data=photographs, force=False)
    onnx.checker.check_model(tmp_path / "out" / "model.onnx", full_check=True)
    session = onnxruntime.InferenceSession(tmp_path / "out" / "model.onnx")
    labels = json.loads(session.get_modelmeta().custom_metadata_map["labels"])
    assert labels == ["bars", "rings", "unsure", "unfamiliar"]
    names = ["logit", "probability", "familiarity", "decision"]
    images = [np.asarray(draw(pattern, number, 40)) for pattern in ("bars", "rings") for number in range(70, 75)]
    for image, prediction in zip(images, Predictor(bundle.model).predict(images), strict=True):
        logit, probability, familiarity, decision = (values[0] for values in session.run(names, {"image": image}))
        assert logit == pytest.approx(prediction.logit, abs=1e-4)
        assert probability == pytest.approx(prediction.probability, abs=1e-5)
        assert familiarity == pytest.approx(prediction.familiarity, abs=1e-4)
        assert labels[decision] == (prediction.label or prediction.reason)


def test_the_exported_rule_decides_as_the_rule_at_its_very_ends(linear: Backbone) -> None:
    scoring_ends = [(0.3, 0.7), (0.5, 0.5), (0.0, NEVER), (NEVER, NEVER), (0.1 + 0.2, 1.0)]
    for low, high in scoring_ends:
        run = _decision_of(low, high)
        for end in (low, high):
            for probability in (
                np.float32(end),
                np.nextafter(np.float32(end), np.float32(0)),
                np.nextafter(np.float32(end), np.float32(2)),
            ):
                expected = Rule(low, high).decide(np.array([probability], np.float64))[0]
                assert LABELS[run(probability)] == {0: "negative", 1: "positive", -1: "unsure"}[int(expected)], (
                    low,
                    high,
                    probability,
                )


def _decision_of(low: float, high: float) -> Any:
    """The decision of the operators of an exported rule for a probability."""
    from onnx import TensorProto, helper

    from twofold.networks.exported_graph import _decision_nodes

    nodes, constants = _decision_nodes(Thresholds(low, high, None))
    entry = helper.make_tensor_value_info("probability", TensorProto.FLOAT, [1])
    leave = helper.make_tensor_value_info("decision", TensorProto.INT32, [1])
    graph = helper.make_graph(nodes, "decision", [entry], [leave], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    return lambda probability: int(session.run(None, {"probability": np.array([probability], np.float32)})[0][0])


def test_an_export_that_differs_is_refused_and_leaves_nothing(
    tiny: Backbone, photographs: Path, tmp_path: Path
) -> None:
    bundle = tiny_bundle(tiny, crop_mode="squash")
    limits = ExportOptions(sample=20, max_difference=0.0)  # which not even float32 and float64 keep
    with pytest.raises(
        TwofoldError, match="does not answer as tiny.twofold does, and nothing was written: a probability differs"
    ):
        export(bundle, "onnx", tmp_path / "out", limits, Runtime(tmp_path / "cache"), data=photographs, force=False)
    assert [entry.name for entry in tmp_path.iterdir() if entry.name != "cache"] == []


def test_large_jpeg_files_are_told_apart_from_a_wrong_export(tiny: Backbone, tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    for number in range(3):
        draw("rings", number, 400).save(tmp_path / "images" / f"{number}.jpg")
    bundle = tiny_bundle(tiny, crop_mode="squash")
    limits = ExportOptions(sample=3, max_difference=1e-4, max_flips=9)
    with pytest.raises(
        TwofoldError,
        match="3 of the images are large JPEG files, which twofold decodes at reduced scale; from the same",
    ):
        export(bundle, "onnx", tmp_path / "out", limits, Runtime(tmp_path), data=tmp_path / "images", force=False)


def test_too_few_images_are_said_to_be_too_few(tiny: Backbone, photographs: Path, tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match="299 images are needed to compare .* 24 of 25 files can be read: give more with `data`"
    ):
        export(
            tiny_bundle(tiny),
            "onnx",
            tmp_path / "out",
            ExportOptions(),
            Runtime(tmp_path),
            data=photographs,
            force=False,
        )


def test_a_folder_that_is_no_export_is_not_replaced(tiny: Backbone, photographs: Path, tmp_path: Path) -> None:
    bundle, out, runtime = tiny_bundle(tiny), tmp_path / "out", Runtime(tmp_path)
    draw_folder(out, 1)
    with pytest.raises(UsageError, match="exists and is not an export"):
        export(bundle, "onnx", out, FEW, runtime, data=photographs, force=True)
    shutil.rmtree(out)
    export(bundle, "onnx", out, FEW, runtime, data=photographs, force=False)
    with pytest.raises(UsageError, match="exists; replace it with `force=True`"):
        export(bundle, "openvino", out, FEW, runtime, data=photographs, force=False)
    export(bundle, "openvino", out, FEW, runtime, data=photographs, force=True)
    assert {file.name for file in out.iterdir()} == {"model.xml", "model.bin", "parity.json"}
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="is not a plain folder"):
        export(bundle, "onnx", tmp_path / "file", FEW, runtime, data=photographs, force=True)


@needs_litert
@pytest.mark.slow
@pytest.mark.parametrize("preprocessing", [{"crop_mode": "both", "views": (2,)}, {"crop_mode": "pad"}])
def test_an_export_to_litert_answers_as_the_bundle_does(
    tiny: Backbone, photographs: Path, tmp_path: Path, preprocessing: dict[str, Any]
) -> None:
    bundle = with_all_decisions(tiny_bundle(tiny, **preprocessing), photographs)
    result = export(bundle, "litert", tmp_path / "out", FEW, Runtime(tmp_path), data=photographs, force=False)
    assert result.parity is not None
    assert result.parity.difference < 1e-4
    assert not result.parity.flips
    assert {image.exported for image in result.parity.images} == {"bars", "rings", "unsure", "unfamiliar"}
    assert [file.name for file in result.files] == ["model.tflite", "parity.json"]
    record = json.loads((tmp_path / "out" / "parity.json").read_text())
    assert record["input"]["shape"] == [len(bundle.model.backbone.preprocessing.crops), 16, 16, 3]
    assert record["input"]["preprocessing"]["crop_mode"] == preprocessing["crop_mode"]
    assert "cropped and resized by twofold" in export_text(result)


@needs_litert
@pytest.mark.slow
def test_an_export_to_litert_with_other_weights_is_refused(tiny: Backbone, photographs: Path, tmp_path: Path) -> None:
    bundle = tiny_bundle(tiny, crop_mode="squash")
    network = onnx.load_from_string(tiny.graph)
    weight = next(tensor for tensor in network.graph.initializer if len(tensor.dims) == 4)  # of the convolution
    weight.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(weight) * np.float32(1.05), weight.name))
    disturbed = replace(
        bundle, model=replace(bundle.model, backbone=replace(bundle.model.backbone, graph=network.SerializeToString()))
    )
    program = _write_litert(disturbed, tmp_path)
    images = sorted(photographs.glob("*.png"))
    parity = compare(bundle.model, Predictor(bundle.model), *program, images, 10)
    with pytest.raises(TwofoldError, match="nothing was written: a probability differs by"):
        check_parity(parity, bundle.model, FEW, bundle.path)


@needs_coreml
@pytest.mark.slow
def test_an_export_to_core_ml_says_that_it_was_not_compared(tiny: Backbone, photographs: Path, tmp_path: Path) -> None:
    import coremltools

    bundle = with_all_decisions(tiny_bundle(tiny, crop_mode="both"), photographs)
    result = export(bundle, "coreml", tmp_path / "out", FEW, Runtime(tmp_path), data=None, force=False)
    assert result.parity is None
    assert export_text(result).startswith("Not compared with the bundle: Core ML runs on macOS alone")
    record = json.loads((tmp_path / "out" / "parity.json").read_text())
    assert "Core ML runs on macOS alone" in record["not_compared"]
    assert "flips" not in record
    description = coremltools.utils.load_spec(str(tmp_path / "out" / "model.mlpackage")).description
    (entry,) = description.input
    assert (entry.name, [*entry.type.multiArrayType.shape]) == ("model_inputs", [2, 16, 16, 3])
    assert {output.name for output in description.output} == {"logit", "probability", "familiarity", "decision"}
    labels = json.loads(description.metadata.userDefined["labels"])
    assert labels == ["bars", "rings", "unsure", "unfamiliar"]
    assert description.metadata.author == ""  # not that of the converter
    export(bundle, "coreml", tmp_path / "out", FEW, Runtime(tmp_path), data=None, force=True)  # a folder is replaced


@pytest.mark.parametrize("target", ["litert", "coreml"])
def test_int8_networks_are_not_converted(tiny: Backbone, tmp_path: Path, target: Any) -> None:
    bundle = tiny_bundle(replace(tiny, dtype="int8"))
    with pytest.raises(
        BackboneError, match=f"runs in int8, which is not exported to {target}: train with `dtype='f32'`"
    ):
        export(bundle, target, tmp_path / "out", FEW, Runtime(tmp_path), data=tmp_path, force=False)


@pytest.mark.parametrize(("target", "package"), [("litert", "ai_edge_litert"), ("coreml", "coremltools")])
def test_an_export_without_its_packages_names_the_extra_and_leaves_nothing(
    tiny: Backbone, photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: Any, package: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)  # as if it were not installed
    with pytest.raises(BackboneError, match=rf"needs .*{package}.*install it with: pip install '\.\[{target}\]'"):
        export(tiny_bundle(tiny), target, tmp_path / "out", FEW, Runtime(tmp_path), data=photographs, force=False)
    assert not (tmp_path / "out").exists()


def test_training_images_that_are_gone_are_asked_for(tiny: Backbone, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="are not at hand: give them with `data`"):
        export(tiny_bundle(tiny), "onnx", tmp_path / "out", FEW, Runtime(tmp_path), data=None, force=False)


def test_the_bundle_itself_loads_in_openvino_and_onnx_runtime_as_it_stands(bundle: Path) -> None:
    inputs = np.zeros((1, 224, 224, 3), np.uint8)
    k = len(load_bundle(bundle).model.backbone.preprocessing.crops)
    batch = np.repeat(inputs, k, axis=0)
    session = onnxruntime.InferenceSession(bundle / "model.onnx")
    compiled = openvino.Core().compile_model(bundle / "model.onnx", "CPU")
    assert session.run(["probability"], {"image": batch})[0].shape == (1,)
    assert compiled({"image": batch})["probability"].shape == (1,)
