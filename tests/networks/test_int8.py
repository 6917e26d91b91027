"""The int8 graphs: quantised, close to float32, and equal in OpenVINO and ONNX Runtime."""

import json
from collections import defaultdict
from importlib.resources import files
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from papers import reference
from PIL import Image
from runs import cosines, model_inputs, run

from twofold.core.options import BackboneOptions
from twofold.embedding.compilation import import_openvino
from twofold.networks import Backbone, fast_dtypes, load_backbone
from twofold.networks.architectures import ARCHITECTURES
from twofold.networks.graph import build_graph

LITES = ["efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2"]


@pytest.mark.parametrize("name", LITES)
def test_int8_features_are_close_to_float32_features(
    name: str, images: list[bytes | Image.Image], tmp_path: Path
) -> None:
    f32, int8 = (load_backbone(BackboneOptions(backbone=name), dtype, cache=tmp_path) for dtype in ("f32", "int8"))
    pixels = model_inputs(images, f32.preprocessing.size)
    assert cosines(run(f32, pixels), run(int8, pixels)).min() > 0.99


def test_int8_features_of_mobilenetv2_are_close_to_float32_features(
    mobilenetv2: Path, images: list[bytes | Image.Image], tmp_path: Path
) -> None:
    options = BackboneOptions(backbone="mobilenetv2", weights=mobilenetv2)
    f32, int8 = (load_backbone(options, dtype, cache=tmp_path) for dtype in ("f32", "int8"))
    pixels = model_inputs(images, f32.preprocessing.size)
    assert cosines(run(f32, pixels), run(int8, pixels)).min() > 0.98


@pytest.mark.parametrize("dtype", ["f32", "int8"])
def test_the_same_graph_runs_in_onnx_runtime(
    dtype: str, lite0: dict[str, Backbone], images: list[bytes | Image.Image]
) -> None:
    import onnxruntime

    pixels = model_inputs(images, 96)
    session = onnxruntime.InferenceSession(lite0[dtype].graph, providers=["CPUExecutionProvider"])
    features, feature_map = session.run(["features", "feature_map"], {"image": pixels})
    assert cosines(features, run(lite0[dtype], pixels)).min() > (0.99 if dtype == "int8" else 1 - 1e-6)
    assert np.allclose(feature_map.mean(axis=(2, 3)), features[:, -1280:], atol=1e-4)


def test_every_convolution_except_the_first_two_has_int8_input_and_weights(lite0: dict[str, Backbone]) -> None:
    graph = onnx.load_model_from_string(lite0["int8"].graph).graph
    producers = {name: node for node in graph.node for name in node.output}
    constants = {constant.name: numpy_helper.to_array(constant) for constant in graph.initializer}
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    assert [constants[node.input[1]].dtype for node in convolutions[:2]] == [np.float32, np.float32]
    assert len(convolutions[2:]) == 47
    for node in convolutions[2:]:
        source, weight = (producers[name] for name in node.input[:2])
        assert (source.op_type, weight.op_type) == ("DequantizeLinear", "DequantizeLinear")
        assert producers[source.input[0]].op_type == "QuantizeLinear"
        assert constants[weight.input[0]].dtype == np.int8


def test_convolutions_run_in_int8_where_the_processor_supports_it(lite0: dict[str, Backbone]) -> None:
    core = import_openvino().Core()
    network = core.compile_model(core.read_model(lite0["int8"].graph), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    info = [operation.get_rt_info() for operation in network.get_runtime_model().get_ordered_ops()]
    precisions = [row["runtimePrecision"].astype(str) for row in info if row["layerType"].astype(str) == "Convolution"]
    assert len(precisions) == 49
    if "int8" in fast_dtypes():
        assert sorted(precisions) == ["f32"] * 2 + ["u8"] * 47


@pytest.mark.parametrize("name", [*LITES, "mobilenetv2"])
def test_the_packaged_ranges_are_those_that_the_graph_reads(name: str) -> None:
    requested: dict[str, tuple[float, float]] = defaultdict(lambda: (0.0, 1.0))
    weights = {key: tensor.numpy() for key, tensor in reference(name).state_dict().items()}
    build_graph(ARCHITECTURES[name], weights, size=96, features="stages", ranges=requested)
    packaged = json.loads((files("twofold.networks") / "ranges" / f"{name}.json").read_text(encoding="utf-8"))
    assert list(requested) == list(packaged)
    assert all(low <= 0 < high for low, high in packaged.values())
