"""Any ONNX network becomes a backbone, or raises an error of one sentence."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from runs import run

from twofold.core.errors import BackboneError, UsageError
from twofold.core.options import BackboneOptions
from twofold.embedding import Engine
from twofold.networks import Backbone, load_backbone, offered_dtypes

Pool = Literal["global", "mean", "mean-input", "none"]
PIXELS = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3), np.uint8)
MEAN, STD = np.array([123.675, 116.28, 103.53]), np.array([58.395, 57.12, 57.375])


@dataclass
class SmallNetwork:
    """A 1 x 1 convolution to 5 channels, ReLU, pooling, and a linear layer to 2 scores. `squeeze`: a pooling inside as well."""

    layout: Literal["NCHW", "NHWC"] = "NCHW"
    pool: Pool = "global"
    batch: int | str = 1
    sides: tuple[int | str | None, int | str | None] = (8, 8)
    channels: int = 3
    element: int = TensorProto.FLOAT
    opset: int = 17
    squeeze: bool = False
    input: str = "input"

    @property
    def weight(self) -> NDArray[np.float64]:
        return np.random.default_rng(1).normal(size=(5, self.channels)) / 2

    def map(self, pixels: NDArray[np.uint8], mean: NDArray[Any] = MEAN, std: NDArray[Any] = STD) -> NDArray[np.float64]:
        """The expected map before the pooling, (n, 5, height, width)."""
        y = np.maximum(((pixels - mean) / std) @ self.weight.T, 0)
        if self.squeeze:
            y = y * y.mean(axis=(1, 2), keepdims=True)
        return y.transpose(0, 3, 1, 2)

    def save(self, path: Path) -> str:
        number = {TensorProto.FLOAT16: np.float16, TensorProto.DOUBLE: np.float64}.get(self.element, np.float32)
        constants = {
            "weight": self.weight[:, :, None, None].astype(number),
            "axes": np.array([1, 2] if self.layout == "NHWC" else [-1, -2]),
            "linear": np.ones((5, 2), number),
        }
        nodes = [
            *self.input_nodes(),
            helper.make_node("Conv", ["planes", "weight"], ["features"]),  # also the name of an output of the backbone
            helper.make_node("Relu", ["features"], ["relu"]),
            *self.squeeze_nodes(),
            *self.pool_nodes(),
            helper.make_node("Flatten", ["pooled"], ["flat"]),
            helper.make_node("MatMul", ["flat", "linear"], ["scores"]),
        ]
        sides = [self.channels, *self.sides] if self.layout == "NCHW" else [*self.sides, self.channels]
        graph = helper.make_graph(
            nodes,
            "network",
            [helper.make_tensor_value_info(self.input, self.element, [self.batch, *sides])],
            [helper.make_tensor_value_info("scores", self.element_out, [self.batch, 2])],
            [numpy_helper.from_array(values, name) for name, values in constants.items()],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)])
        model.ir_version = 9
        onnx.save(model, path)
        return str(path)

    @property
    def element_out(self) -> int:
        return TensorProto.FLOAT if self.element == TensorProto.UINT8 else self.element

    def input_nodes(self) -> list[onnx.NodeProto]:
        kind, extra = ("Transpose", {"perm": [0, 3, 1, 2]}) if self.layout == "NHWC" else ("Identity", {})
        if self.element != TensorProto.UINT8:
            return [helper.make_node(kind, [self.input], ["planes"], **extra)]
        cast = helper.make_node("Cast", [self.input], ["numbers"], to=TensorProto.FLOAT)
        return [cast, helper.make_node(kind, ["numbers"], ["planes"], **extra)]

    def squeeze_nodes(self) -> list[onnx.NodeProto]:
        if not self.squeeze:
            return [helper.make_node("Identity", ["relu"], ["map"])]
        pool = helper.make_node("GlobalAveragePool", ["relu"], ["squeeze"])
        return [pool, helper.make_node("Mul", ["relu", "squeeze"], ["map"])]

    def pool_nodes(self) -> list[onnx.NodeProto]:
        source, transpose = "map", []
        if self.layout == "NHWC":
            source, transpose = (
                "transposed",
                [helper.make_node("Transpose", ["map"], ["transposed"], perm=[0, 2, 3, 1])],
            )
        axes = [1, 2] if self.layout == "NHWC" else [2, 3]
        match self.pool:
            case "global":
                pool = helper.make_node("GlobalAveragePool", ["map"], ["pooled"])
            case "mean":
                pool = helper.make_node("ReduceMean", [source], ["pooled"], axes=axes, keepdims=0)
            case "mean-input":
                pool = helper.make_node("ReduceMean", [source, "axes"], ["pooled"], keepdims=0)
            case "none":
                pool = helper.make_node("ReduceMax", [source], ["pooled"], axes=axes, keepdims=0)
        return [*transpose, pool]


def load(network: SmallNetwork, folder: Path, **options: Any) -> Backbone:
    return load_backbone(
        BackboneOptions(backbone=network.save(folder / "network.onnx"), **options), "f32", cache=folder
    )


@pytest.mark.parametrize(
    "network",
    [
        SmallNetwork(),
        SmallNetwork(batch="n"),
        SmallNetwork(pool="mean"),
        SmallNetwork(pool="mean-input", opset=18),
        SmallNetwork(layout="NHWC", pool="mean"),
        SmallNetwork(layout="NHWC", pool="mean-input", opset=18),
        SmallNetwork(layout="NHWC", pool="global"),
        SmallNetwork(batch=4, opset=7),
        SmallNetwork(element=TensorProto.DOUBLE),
        SmallNetwork(element=TensorProto.FLOAT16),
        SmallNetwork(squeeze=True),
        SmallNetwork(input="image"),
        SmallNetwork(input="feature_map"),
    ],
    ids=repr,
)
def test_features_are_the_mean_of_the_input_of_the_pooling(network: SmallNetwork, tmp_path: Path) -> None:
    backbone = load(network, tmp_path)
    assert (backbone.name, backbone.features, backbone.preprocessing.size) == ("network.onnx", "last", 8)
    tolerance = 1e-2 if network.element == TensorProto.FLOAT16 else 1e-5
    assert np.allclose(run(backbone, PIXELS), network.map(PIXELS).mean(axis=(2, 3)), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(
    "network",
    [SmallNetwork(), SmallNetwork(layout="NHWC", pool="mean"), SmallNetwork(layout="NHWC", element=TensorProto.UINT8)],
    ids=repr,
)
def test_the_graph_runs_in_onnx_runtime_with_a_channels_first_map(network: SmallNetwork, tmp_path: Path) -> None:
    import onnxruntime

    backbone = load(network, tmp_path)
    onnx.checker.check_model(onnx.load_model_from_string(backbone.graph), full_check=True)
    session = onnxruntime.InferenceSession(backbone.graph, providers=["CPUExecutionProvider"])
    features, feature_map = session.run(["features", "feature_map"], {"image": PIXELS})
    is_uint8 = network.element == TensorProto.UINT8
    expected = network.map(PIXELS, *(np.array([0.0, 1.0]) if is_uint8 else (MEAN, STD)))
    assert np.allclose(feature_map, expected, rtol=1e-4, atol=1e-4)
    assert np.allclose(features, expected.mean(axis=(2, 3)), rtol=1e-4, atol=1e-4)


def test_mean_and_std_are_options(tmp_path: Path) -> None:
    mean, std = (10.0, 20.0, 30.0), (100.0, 200.0, 300.0)
    features = run(load(SmallNetwork(), tmp_path, mean=mean, std=std), PIXELS)
    assert np.allclose(features, SmallNetwork().map(PIXELS, np.array(mean), np.array(std)).mean(axis=(2, 3)), atol=1e-5)


def test_an_assumed_normalisation_is_noted(tmp_path: Path) -> None:
    (note,) = load(SmallNetwork(), tmp_path).notes
    assert note.code == "assumed-preprocessing"
    assert "123.675 116.28 103.53" in note.text
    assert load(SmallNetwork(), tmp_path, mean=(0.0, 0.0, 0.0), std=(255.0, 255.0, 255.0)).notes == ()
    assert load(SmallNetwork(element=TensorProto.UINT8), tmp_path).notes == ()


def test_another_tensor_can_be_the_output(tmp_path: Path) -> None:
    weight = SmallNetwork().weight
    before_relu = (((PIXELS - MEAN) / STD) @ weight.T).mean(axis=(1, 2))
    assert np.allclose(run(load(SmallNetwork(), tmp_path, output="features"), PIXELS), before_relu, atol=1e-5)


def test_a_tensor_of_two_dimensions_is_the_features_itself(tmp_path: Path) -> None:
    backbone = load(SmallNetwork(pool="none"), tmp_path, output="flat")
    assert np.allclose(run(backbone, PIXELS), SmallNetwork().map(PIXELS).max(axis=(2, 3)), atol=1e-5)
    assert [output.name for output in onnx.load_model_from_string(backbone.graph).graph.output] == ["features"]


def test_a_channels_last_map_is_transposed(tmp_path: Path) -> None:
    network = SmallNetwork(layout="NHWC", pool="mean")
    features = run(load(network, tmp_path, output="transposed"), PIXELS)
    assert np.allclose(features, network.map(PIXELS).mean(axis=(2, 3)), atol=1e-5)


def test_nodes_and_constants_after_the_features_are_removed(tmp_path: Path) -> None:
    graph = onnx.load_model_from_string(load(SmallNetwork(), tmp_path).graph).graph
    assert not any("linear" in constant.name for constant in graph.initializer)
    assert "MatMul" not in {node.op_type for node in graph.node}


def test_external_data_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "external.onnx"
    model = onnx.load(SmallNetwork().save(path))
    onnx.save(model, path, save_as_external_data=True, location="outside.bin", size_threshold=0)
    assert (tmp_path / "outside.bin").exists()
    backbone = load_backbone(BackboneOptions(backbone=str(path)), "f32", cache=tmp_path)
    assert np.allclose(run(backbone, PIXELS), SmallNetwork().map(PIXELS).mean(axis=(2, 3)), atol=1e-5)
    (tmp_path / "outside.bin").unlink()
    with pytest.raises(BackboneError, match=r"external.onnx cannot be read .No such file"):
        load_backbone(BackboneOptions(backbone=str(path)), "f32", cache=tmp_path)


@pytest.mark.parametrize(
    "location", ["../outside.bin", "/etc/passwd", "folder", "link.bin", "pipe.bin", "", "huge.bin"]
)
def test_external_data_outside_the_folder_is_not_read(tmp_path: Path, location: str) -> None:
    folder = tmp_path / "network"
    (folder / "folder").mkdir(parents=True)
    (tmp_path / "outside.bin").write_bytes(bytes(10_000))
    (folder / "link.bin").symlink_to(tmp_path / "outside.bin")
    os.mkfifo(folder / "pipe.bin")
    with (folder / "huge.bin").open("wb") as file:
        file.truncate(5_000_000_000)
    path = folder / "network.onnx"
    model = onnx.load(SmallNetwork().save(path))
    weight = model.graph.initializer[0]
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    weight.external_data.add(key="location", value=location)
    path.write_bytes(model.SerializeToString())
    with pytest.raises(BackboneError, match="damaged or not an ONNX file|cannot be read"):
        load_backbone(BackboneOptions(backbone=str(path)), "f32", cache=tmp_path)


@pytest.mark.parametrize("kind", ["pipe", "folder", "device", "huge"])
def test_a_path_that_is_not_a_file_raises_an_error_at_once(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "network.onnx"
    {"pipe": os.mkfifo, "folder": Path.mkdir, "device": lambda p: p.symlink_to("/dev/zero"), "huge": Path.touch}[kind](
        path
    )
    if kind == "huge":
        os.truncate(path, 5_000_000_000)
    with pytest.raises(BackboneError, match="not a file|the limit is"):
        load_backbone(BackboneOptions(backbone=str(path)), "f32", cache=tmp_path)


def test_a_network_that_no_bundle_can_hold_raises_an_error_when_loaded(tmp_path: Path) -> None:
    path = tmp_path / "random.onnx"
    model = onnx.load(SmallNetwork().save(path))
    model.graph.node.insert(1, helper.make_node("RandomUniformLike", ["planes"], ["noise"]))
    model.graph.node[2].input[0] = "noise"
    onnx.save(model, path)
    with pytest.raises(BackboneError, match=r"has the operator 'RandomUniformLike', which is not supported"):
        load_backbone(BackboneOptions(backbone=str(path)), "f32", cache=tmp_path)


def test_local_functions_are_inlined(tmp_path: Path) -> None:
    path = tmp_path / "functions.onnx"
    model = onnx.load(SmallNetwork().save(path))
    body = helper.make_function(
        "mine", "Rectify", ["x"], ["y"], [helper.make_node("Relu", ["x"], ["y"])], [helper.make_opsetid("", 17)]
    )
    model.functions.append(body)
    model.opset_import.append(helper.make_opsetid("mine", 1))
    relu = next(node for node in model.graph.node if node.op_type == "Relu")
    relu.op_type, relu.domain = "Rectify", "mine"
    onnx.save(model, path)
    backbone = load_backbone(BackboneOptions(backbone=str(path)), "f32", cache=tmp_path)
    assert np.allclose(run(backbone, PIXELS), SmallNetwork().map(PIXELS).mean(axis=(2, 3)), atol=1e-5)


def test_a_network_of_dynamic_size_needs_the_size_option(tmp_path: Path) -> None:
    network = SmallNetwork(sides=("height", None))
    assert load(network, tmp_path, size=12).preprocessing.size == 12
    with pytest.raises(UsageError, match=r"takes images of any size; choose one with `size`"):
        load(network, tmp_path)


def test_a_size_that_contradicts_the_file_raises_an_error(tmp_path: Path) -> None:
    assert load(SmallNetwork(), tmp_path, size=8).preprocessing.size == 8
    with pytest.raises(UsageError, match=r"takes images of 8 pixels, not `size` 9; leave `size` out"):
        load(SmallNetwork(), tmp_path, size=9)


@pytest.mark.parametrize(
    ("network", "options", "sentence"),
    [
        (SmallNetwork(pool="none"), {}, r"no global pooling.*`output`, use one such as .*map.*flat"),
        (
            SmallNetwork(),
            {"output": "rellu"},
            r"`output` rellu does not exist in .*did you mean 'relu'.*use one such as",
        ),
        (SmallNetwork(), {"std": (1.0, 0.0, 1.0)}, r"`std` must be above 0, got 1 0 1"),
        (SmallNetwork(), {"weights": Path("x.pth")}, r"`weights` is for the built-in networks"),
        (SmallNetwork(sides=("h", "w")), {"size": 4097}, r"`size` must lie between 1 and 4096"),
        (SmallNetwork(element=TensorProto.UINT8), {"mean": (1.0, 1.0, 1.0)}, r"takes uint8 pixels; leave `mean`"),
    ],
)
def test_a_wrong_option_raises_an_error(
    network: SmallNetwork, options: dict[str, Any], sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=sentence):
        load(network, tmp_path, **options)


@pytest.mark.parametrize(
    ("network", "sentence"),
    [
        (SmallNetwork(channels=1), r"has the shape \(1, 1, 8, 8\), expected images with 3 channels"),
        (SmallNetwork(channels=4, layout="NHWC"), r"has the shape \(1, 8, 8, 4\), expected"),
        (SmallNetwork(sides=(8, 6)), r"is 8 x 6 pixels; export it with a square input"),
        (SmallNetwork(element=TensorProto.INT64), r"input of .* has dtype int64; export it with"),
        (SmallNetwork(opset=6), r"opset 6; export it with an opset from 7 to"),
        (SmallNetwork(opset=999), r"opset 999; export it with an opset from 7 to"),
    ],
)
def test_a_network_that_takes_no_images_raises_an_error(network: SmallNetwork, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(BackboneError, match=sentence):
        load(network, tmp_path)


@pytest.mark.parametrize("content", [b"", b"not onnx", b"PK\x03\x04" + bytes(100), bytes(1000)])
def test_a_file_that_is_not_onnx_raises_an_error(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "wrong.onnx"
    path.write_bytes(content)
    with pytest.raises(BackboneError, match="export the network again"):
        load_backbone(BackboneOptions(backbone=str(path)), "f32", cache=tmp_path)


def test_a_missing_file_raises_an_error(tmp_path: Path) -> None:
    with pytest.raises(
        BackboneError, match=r"nowhere.onnx cannot be read .No such file or directory.; check `backbone`"
    ):
        load_backbone(BackboneOptions(backbone=str(tmp_path / "nowhere.onnx")), "f32", cache=tmp_path)


def test_a_truncated_file_raises_an_error(tmp_path: Path) -> None:
    path = Path(SmallNetwork().save(tmp_path / "short.onnx"))
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(BackboneError, match="export the network again"):
        load_backbone(BackboneOptions(backbone=str(path)), "f32", cache=tmp_path)


def test_a_fixed_batch_size_raises_an_error(tmp_path: Path) -> None:
    path = tmp_path / "fixed.onnx"
    model = onnx.load(SmallNetwork().save(path))
    model.graph.initializer.append(numpy_helper.from_array(np.array([1, -1]), "shape"))
    model.graph.node.append(helper.make_node("Reshape", ["map", "shape"], ["baked"]))
    onnx.save(model, path)
    with pytest.raises(BackboneError, match="has the fixed batch size 1; export it with a dynamic batch size"):
        load_backbone(BackboneOptions(backbone=str(path), output="baked"), "f32", cache=tmp_path)


def test_a_network_with_two_inputs_raises_an_error(tmp_path: Path) -> None:
    path = tmp_path / "two.onnx"
    model = onnx.load(SmallNetwork().save(path))
    model.graph.input.append(helper.make_tensor_value_info("text", TensorProto.INT64, [1, 77]))
    onnx.save(model, path)
    with pytest.raises(BackboneError, match=r"has 2 inputs \(input, text\); a backbone has one"):
        load_backbone(BackboneOptions(backbone=str(path)), "f32", cache=tmp_path)


def test_an_unknown_operator_raises_an_error(tmp_path: Path) -> None:
    path = tmp_path / "strange.onnx"
    model = onnx.load(SmallNetwork().save(path))
    model.opset_import.append(helper.make_opsetid("strange.domain", 1))
    strange = helper.make_node("Strange", ["planes"], ["stranger"], domain="strange.domain")
    model.graph.node.insert(1, strange)
    model.graph.node[2].input[0] = "stranger"
    model.graph.value_info.append(helper.make_tensor_value_info("map", TensorProto.FLOAT, [1, 5, 8, 8]))
    onnx.save(model, path)
    with pytest.raises((BackboneError, UsageError)):
        Engine(load_backbone(BackboneOptions(backbone=str(path)), "f32", cache=tmp_path), threads=1).requests  # noqa: B018


def test_other_weights_change_the_identity(tmp_path: Path) -> None:
    first = load(SmallNetwork(), tmp_path)
    path = tmp_path / "network.onnx"
    model = onnx.load(path)
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(np.zeros((5, 3, 1, 1), np.float32), "weight"))
    onnx.save(model, path)
    other = load_backbone(BackboneOptions(backbone=str(path)), "f32", cache=tmp_path)
    assert first.identity == load(SmallNetwork(), tmp_path).identity != other.identity


def test_int8_is_offered_only_for_built_in_networks() -> None:
    assert "int8" not in offered_dtypes("mine.onnx")
    assert "int8" in offered_dtypes("efficientnet-lite0")
