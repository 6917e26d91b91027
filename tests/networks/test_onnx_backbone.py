"""Any ONNX network becomes a backbone, or one sentence says why not."""

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
class Made:
    """A small network of the test's own: 1 x 1 convolution to 5 channels, ReLU, pooling, linear to 2."""

    layout: Literal["NCHW", "NHWC"] = "NCHW"
    pool: Pool = "global"
    batch: int | str = 1
    sides: tuple[int | str | None, int | str | None] = (8, 8)
    channels: int = 3
    element: int = TensorProto.FLOAT
    opset: int = 17
    within: bool = False
    input: str = "input"

    @property
    def weight(self) -> NDArray[np.float64]:
        return np.random.default_rng(1).normal(size=(5, self.channels)) / 2

    def map(self, pixels: NDArray[np.uint8], mean: NDArray[Any] = MEAN, std: NDArray[Any] = STD) -> NDArray[np.float64]:
        """What it computes before its pooling, (n, 5, height, width)."""
        y = np.maximum(((pixels - mean) / std) @ self.weight.T, 0)
        if self.within:
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
            *self.first(),
            helper.make_node("Conv", ["planes", "weight"], ["features"]),  # a name that ours has, too
            helper.make_node("Relu", ["features"], ["relu"]),
            *self.squeezed(),
            *self.pooled(),
            helper.make_node("Flatten", ["pooled"], ["flat"]),
            helper.make_node("MatMul", ["flat", "linear"], ["scores"]),
        ]
        sides = [self.channels, *self.sides] if self.layout == "NCHW" else [*self.sides, self.channels]
        graph = helper.make_graph(
            nodes,
            "made",
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

    def first(self) -> list[onnx.NodeProto]:
        kind, extra = ("Transpose", {"perm": [0, 3, 1, 2]}) if self.layout == "NHWC" else ("Identity", {})
        if self.element != TensorProto.UINT8:
            return [helper.make_node(kind, [self.input], ["planes"], **extra)]
        cast = helper.make_node("Cast", [self.input], ["numbers"], to=TensorProto.FLOAT)
        return [cast, helper.make_node(kind, ["numbers"], ["planes"], **extra)]

    def squeezed(self) -> list[onnx.NodeProto]:
        if not self.within:
            return [helper.make_node("Identity", ["relu"], ["map"])]
        pool = helper.make_node("GlobalAveragePool", ["relu"], ["squeeze"])
        return [pool, helper.make_node("Mul", ["relu", "squeeze"], ["map"])]

    def pooled(self) -> list[onnx.NodeProto]:
        source, turned = "map", []
        if self.layout == "NHWC":
            source, turned = "turned", [helper.make_node("Transpose", ["map"], ["turned"], perm=[0, 2, 3, 1])]
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
        return [*turned, pool]


def load(made: Made, folder: Path, **options: Any) -> Backbone:
    return load_backbone(BackboneOptions(backbone=made.save(folder / "made.onnx"), **options), "f32", cache=folder)


@pytest.mark.parametrize(
    "made",
    [
        Made(),
        Made(batch="n"),
        Made(pool="mean"),
        Made(pool="mean-input", opset=18),
        Made(layout="NHWC", pool="mean"),
        Made(layout="NHWC", pool="mean-input", opset=18),
        Made(layout="NHWC", pool="global"),
        Made(batch=4, opset=7),
        Made(element=TensorProto.DOUBLE),
        Made(element=TensorProto.FLOAT16),
        Made(within=True),
        Made(input="image"),
        Made(input="feature_map"),
    ],
    ids=repr,
)
def test_the_vector_is_the_mean_of_what_goes_into_the_pooling(made: Made, tmp_path: Path) -> None:
    backbone = load(made, tmp_path)
    assert (backbone.name, backbone.features, backbone.preprocessing.size) == ("made.onnx", "last", 8)
    tolerance = 1e-2 if made.element == TensorProto.FLOAT16 else 1e-5
    assert np.allclose(run(backbone, PIXELS), made.map(PIXELS).mean(axis=(2, 3)), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(
    "made", [Made(), Made(layout="NHWC", pool="mean"), Made(layout="NHWC", element=TensorProto.UINT8)], ids=repr
)
def test_the_same_file_runs_in_onnx_runtime_with_the_map_channels_first(made: Made, tmp_path: Path) -> None:
    import onnxruntime

    backbone = load(made, tmp_path)
    onnx.checker.check_model(onnx.load_model_from_string(backbone.graph), full_check=True)
    session = onnxruntime.InferenceSession(backbone.graph, providers=["CPUExecutionProvider"])
    features, feature_map = session.run(["features", "feature_map"], {"image": PIXELS})
    plain = made.element == TensorProto.UINT8
    expected = made.map(PIXELS, *(np.array([0.0, 1.0]) if plain else (MEAN, STD)))
    assert np.allclose(feature_map, expected, rtol=1e-4, atol=1e-4)
    assert np.allclose(features, expected.mean(axis=(2, 3)), rtol=1e-4, atol=1e-4)


def test_mean_and_std_can_be_given(tmp_path: Path) -> None:
    mean, std = (10.0, 20.0, 30.0), (100.0, 200.0, 300.0)
    found = run(load(Made(), tmp_path, mean=mean, std=std), PIXELS)
    assert np.allclose(found, Made().map(PIXELS, np.array(mean), np.array(std)).mean(axis=(2, 3)), atol=1e-5)


def test_what_was_assumed_of_the_pixels_is_noted_and_only_then(tmp_path: Path) -> None:
    (note,) = load(Made(), tmp_path).notes
    assert note.code == "assumed-preprocessing"
    assert "123.675 116.28 103.53" in note.text
    assert load(Made(), tmp_path, mean=(0.0, 0.0, 0.0), std=(255.0, 255.0, 255.0)).notes == ()
    assert load(Made(element=TensorProto.UINT8), tmp_path).notes == ()


def test_another_tensor_can_be_named(tmp_path: Path) -> None:
    weight = Made().weight
    before_relu = (((PIXELS - MEAN) / STD) @ weight.T).mean(axis=(1, 2))
    assert np.allclose(run(load(Made(), tmp_path, output="features"), PIXELS), before_relu, atol=1e-5)


def test_a_tensor_of_two_dimensions_is_the_vector_itself(tmp_path: Path) -> None:
    backbone = load(Made(pool="none"), tmp_path, output="flat")
    assert np.allclose(run(backbone, PIXELS), Made().map(PIXELS).max(axis=(2, 3)), atol=1e-5)
    assert [output.name for output in onnx.load_model_from_string(backbone.graph).graph.output] == ["features"]


def test_a_map_with_its_channels_last_is_turned(tmp_path: Path) -> None:
    made = Made(layout="NHWC", pool="mean")
    found = run(load(made, tmp_path, output="turned"), PIXELS)
    assert np.allclose(found, made.map(PIXELS).mean(axis=(2, 3)), atol=1e-5)


def test_what_the_vector_does_not_need_is_left_out(tmp_path: Path) -> None:
    graph = onnx.load_model_from_string(load(Made(), tmp_path).graph).graph
    assert not any("linear" in constant.name for constant in graph.initializer)
    assert "MatMul" not in {node.op_type for node in graph.node}


def test_data_kept_outside_the_file_is_taken_in(tmp_path: Path) -> None:
    path = tmp_path / "outside.onnx"
    model = onnx.load(Made().save(path))
    onnx.save(model, path, save_as_external_data=True, location="outside.bin", size_threshold=0)
    assert (tmp_path / "outside.bin").exists()
    backbone = load_backbone(BackboneOptions(backbone=str(path)), "f32", cache=tmp_path)
    assert np.allclose(run(backbone, PIXELS), Made().map(PIXELS).mean(axis=(2, 3)), atol=1e-5)
    (tmp_path / "outside.bin").unlink()
    with pytest.raises(BackboneError, match="outside"):
        load_backbone(BackboneOptions(backbone=str(path)), "f32", cache=tmp_path)


@pytest.mark.parametrize(
    "location", ["../outside.bin", "/etc/passwd", "folder", "link.bin", "pipe.bin", "", "huge.bin"]
)
def test_data_that_are_no_file_of_the_same_folder_are_not_read(tmp_path: Path, location: str) -> None:
    folder = tmp_path / "own"
    (folder / "folder").mkdir(parents=True)
    (tmp_path / "outside.bin").write_bytes(bytes(10_000))
    (folder / "link.bin").symlink_to(tmp_path / "outside.bin")
    os.mkfifo(folder / "pipe.bin")
    with (folder / "huge.bin").open("wb") as file:
        file.truncate(5_000_000_000)
    path = folder / "made.onnx"
    model = onnx.load(Made().save(path))
    weight = model.graph.initializer[0]
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    weight.external_data.add(key="location", value=location)
    path.write_bytes(model.SerializeToString())
    with pytest.raises(BackboneError, match="damaged or no ONNX file|cannot be read"):
        load_backbone(BackboneOptions(backbone=str(path)), "f32", cache=tmp_path)


@pytest.mark.parametrize("kind", ["pipe", "folder", "device", "huge"])
def test_what_is_no_file_is_told_rather_than_waited_for(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "made.onnx"
    {"pipe": os.mkfifo, "folder": Path.mkdir, "device": lambda p: p.symlink_to("/dev/zero"), "huge": Path.touch}[kind](
        path
    )
    if kind == "huge":
        os.truncate(path, 5_000_000_000)
    with pytest.raises(BackboneError, match="not a file|the limit is"):
        load_backbone(BackboneOptions(backbone=str(path)), "f32", cache=tmp_path)


def test_a_network_that_no_bundle_could_hold_is_told_before_work(tmp_path: Path) -> None:
    path = tmp_path / "random.onnx"
    model = onnx.load(Made().save(path))
    model.graph.node.insert(1, helper.make_node("RandomUniformLike", ["planes"], ["noise"]))
    model.graph.node[2].input[0] = "noise"
    onnx.save(model, path)
    with pytest.raises(BackboneError, match=r"has the operator 'RandomUniformLike', which is not run here"):
        load_backbone(BackboneOptions(backbone=str(path)), "f32", cache=tmp_path)


def test_functions_of_the_file_are_written_out(tmp_path: Path) -> None:
    path = tmp_path / "functions.onnx"
    model = onnx.load(Made().save(path))
    body = helper.make_function(
        "mine", "Rectify", ["x"], ["y"], [helper.make_node("Relu", ["x"], ["y"])], [helper.make_opsetid("", 17)]
    )
    model.functions.append(body)
    model.opset_import.append(helper.make_opsetid("mine", 1))
    relu = next(node for node in model.graph.node if node.op_type == "Relu")
    relu.op_type, relu.domain = "Rectify", "mine"
    onnx.save(model, path)
    backbone = load_backbone(BackboneOptions(backbone=str(path)), "f32", cache=tmp_path)
    assert np.allclose(run(backbone, PIXELS), Made().map(PIXELS).mean(axis=(2, 3)), atol=1e-5)


def test_the_size_may_be_left_to_the_user(tmp_path: Path) -> None:
    made = Made(sides=("height", None))
    assert load(made, tmp_path, size=12).preprocessing.size == 12
    with pytest.raises(UsageError, match=r"takes squares of any size; say which with `size`"):
        load(made, tmp_path)


def test_a_size_that_contradicts_the_file_is_refused(tmp_path: Path) -> None:
    assert load(Made(), tmp_path, size=8).preprocessing.size == 8
    with pytest.raises(UsageError, match=r"takes squares of 8 pixels, not `size` 9; leave `size` out"):
        load(Made(), tmp_path, size=9)


@pytest.mark.parametrize(
    ("made", "options", "sentence"),
    [
        (Made(pool="none"), {}, r"no global pooling.*`output`, use one such as .*map.*flat"),
        (Made(), {"output": "rellu"}, r"`output` rellu does not exist in .*did you mean 'relu'.*use one such as"),
        (Made(), {"std": (1.0, 0.0, 1.0)}, r"`std` must be above 0, got 1 0 1"),
        (Made(), {"weights": Path("x.pth")}, r"`weights` is for the built-in networks"),
        (Made(sides=("h", "w")), {"size": 4097}, r"`size` must lie between 1 and 4096"),
        (Made(element=TensorProto.UINT8), {"mean": (1.0, 1.0, 1.0)}, r"takes pixels as they are; leave `mean`"),
    ],
)
def test_wrong_options_are_told(made: Made, options: dict[str, Any], sentence: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=sentence):
        load(made, tmp_path, **options)


@pytest.mark.parametrize(
    ("made", "sentence"),
    [
        (Made(channels=1), r"has the shape \(1, 1, 8, 8\), expected pictures of 3 channels"),
        (Made(channels=4, layout="NHWC"), r"has the shape \(1, 8, 8, 4\), expected"),
        (Made(sides=(8, 6)), r"is 8 x 6; twofold gives squares"),
        (Made(element=TensorProto.INT64), r"input of .* takes int64, no pictures"),
        (Made(opset=6), r"opset 6; export it in one from 7 to"),
        (Made(opset=999), r"opset 999; export it in one from 7 to"),
    ],
)
def test_networks_that_take_no_pictures_are_told(made: Made, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(BackboneError, match=sentence):
        load(made, tmp_path)


@pytest.mark.parametrize("content", [b"", b"not onnx", b"PK\x03\x04" + bytes(100), bytes(1000)])
def test_a_file_that_is_no_onnx_is_told(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "wrong.onnx"
    path.write_bytes(content)
    with pytest.raises(BackboneError, match="export the network again"):
        load_backbone(BackboneOptions(backbone=str(path)), "f32", cache=tmp_path)


def test_a_file_that_is_missing_is_told(tmp_path: Path) -> None:
    with pytest.raises(
        BackboneError, match=r"nowhere.onnx cannot be read .No such file or directory.; check `backbone`"
    ):
        load_backbone(BackboneOptions(backbone=str(tmp_path / "nowhere.onnx")), "f32", cache=tmp_path)


def test_a_truncated_file_is_told(tmp_path: Path) -> None:
    path = Path(Made().save(tmp_path / "short.onnx"))
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(BackboneError, match="export the network again"):
        load_backbone(BackboneOptions(backbone=str(path)), "f32", cache=tmp_path)


def test_a_batch_that_is_fixed_within_is_told(tmp_path: Path) -> None:
    path = tmp_path / "fixed.onnx"
    model = onnx.load(Made().save(path))
    model.graph.initializer.append(numpy_helper.from_array(np.array([1, -1]), "shape"))
    model.graph.node.append(helper.make_node("Reshape", ["map", "shape"], ["baked"]))
    onnx.save(model, path)
    with pytest.raises(BackboneError, match="works on 1 picture at a time; export it with a batch of any size"):
        load_backbone(BackboneOptions(backbone=str(path), output="baked"), "f32", cache=tmp_path)


def test_a_network_of_two_inputs_is_told(tmp_path: Path) -> None:
    path = tmp_path / "two.onnx"
    model = onnx.load(Made().save(path))
    model.graph.input.append(helper.make_tensor_value_info("text", TensorProto.INT64, [1, 77]))
    onnx.save(model, path)
    with pytest.raises(BackboneError, match=r"has 2 inputs \(input, text\); a backbone takes one"):
        load_backbone(BackboneOptions(backbone=str(path)), "f32", cache=tmp_path)


def test_an_operator_that_openvino_does_not_know_is_told(tmp_path: Path) -> None:
    path = tmp_path / "strange.onnx"
    model = onnx.load(Made().save(path))
    model.opset_import.append(helper.make_opsetid("strange.domain", 1))
    strange = helper.make_node("Strange", ["planes"], ["stranger"], domain="strange.domain")
    model.graph.node.insert(1, strange)
    model.graph.node[2].input[0] = "stranger"
    model.graph.value_info.append(helper.make_tensor_value_info("map", TensorProto.FLOAT, [1, 5, 8, 8]))
    onnx.save(model, path)
    with pytest.raises((BackboneError, UsageError)):
        Engine(load_backbone(BackboneOptions(backbone=str(path)), "f32", cache=tmp_path), threads=1).requests  # noqa: B018


def test_a_change_of_the_weights_changes_the_identity(tmp_path: Path) -> None:
    first = load(Made(), tmp_path)
    path = tmp_path / "made.onnx"
    model = onnx.load(path)
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(np.zeros((5, 3, 1, 1), np.float32), "weight"))
    onnx.save(model, path)
    other = load_backbone(BackboneOptions(backbone=str(path)), "f32", cache=tmp_path)
    assert first.identity == load(Made(), tmp_path).identity != other.identity


def test_int8_is_offered_for_built_in_networks_alone() -> None:
    assert "int8" not in offered_dtypes("mine.onnx")
    assert "int8" in offered_dtypes("efficientnet-lite0")
