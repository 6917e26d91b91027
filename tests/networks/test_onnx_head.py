"""A head is added and removed byte for byte, as the onnx package would write it."""

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from twofold.networks import with_head, without_head

WEIGHTS, BIAS = np.random.default_rng(0).normal(size=3).astype(np.float32), -0.3


def graph(*, mapped: bool = True, constants: int = 0) -> bytes:
    """The mean of each channel of a 4 x 4 image, with constants that no node reads."""
    nodes = [
        helper.make_node("Cast", ["image"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["pixels"], ["feature_map"], perm=[0, 3, 1, 2]),
        helper.make_node("ReduceMean", ["feature_map"], ["features"], axes=[2, 3], keepdims=0),
    ]
    outputs = [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["batch", 3])]
    if mapped:
        outputs.append(helper.make_tensor_value_info("feature_map", TensorProto.FLOAT, ["batch", 3, 4, 4]))
    unused = [numpy_helper.from_array(np.ones(number + 1, np.float32), f"c{number}") for number in range(constants)]
    image = helper.make_tensor_value_info("image", TensorProto.UINT8, ["batch", 4, 4, 3])
    net = helper.make_graph(nodes, "means", [image], outputs, unused)
    return serialise(helper.make_model(net, opset_imports=[helper.make_opsetid("", 17)], ir_version=9))


def serialise(model: onnx.ModelProto) -> bytes:
    return bytes(model.SerializeToString(deterministic=True))


def add_head_with_onnx(backbone: bytes, weights: NDArray[np.float32], bias: float) -> bytes:
    model = onnx.load_model_from_string(backbone)
    net = model.graph
    net.initializer.append(numpy_helper.from_array(weights[:, None], "head.weights"))
    net.initializer.append(numpy_helper.from_array(np.array([bias], np.float32), "head.bias"))
    net.initializer.append(numpy_helper.from_array(np.array([-1], np.int64), "head.shape"))
    net.node.append(helper.make_node("Gemm", ["features", "head.weights", "head.bias"], ["head.column"], name="head"))
    net.node.append(helper.make_node("Reshape", ["head.column", "head.shape"], ["logit"], name="logit"))
    net.output.append(helper.make_tensor_value_info("logit", TensorProto.FLOAT, ["batch"]))
    return serialise(model)


@pytest.mark.parametrize("mapped", [True, False])
@pytest.mark.parametrize("constants", [0, 1, 40])
@pytest.mark.parametrize("width", [1, 3, 100, 20_000])
def test_the_bytes_equal_those_of_onnx_and_the_head_can_be_removed(mapped: bool, constants: int, width: int) -> None:
    backbone, weights = graph(mapped=mapped, constants=constants), np.linspace(-1, 1, width, dtype=np.float32)
    model = with_head(backbone, weights, BIAS)
    assert model == add_head_with_onnx(backbone, weights, BIAS)
    assert without_head(model, weights, BIAS) == backbone


def test_a_network_with_its_head_is_valid_onnx_and_gives_the_logit() -> None:
    model = with_head(graph(), WEIGHTS, BIAS)
    onnx.checker.check_model(onnx.load_model_from_string(model), full_check=True)
    pixels = np.random.default_rng(1).integers(0, 256, (5, 4, 4, 3), np.uint8)
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    (logits,) = session.run(["logit"], {"image": pixels})
    assert np.allclose(logits, pixels.mean(axis=(1, 2)) @ WEIGHTS + BIAS, rtol=1e-5)


@pytest.mark.parametrize(
    ("weights", "bias"),
    [(WEIGHTS[:2], BIAS), (-WEIGHTS, BIAS), (WEIGHTS, 0.0), (np.append(WEIGHTS, np.float32(0)), BIAS)],
)
def test_another_head_cannot_be_removed(weights: NDArray[np.float32], bias: float) -> None:
    with pytest.raises(ValueError, match="no head, or another"):
        without_head(with_head(graph(), WEIGHTS, BIAS), weights, bias)


def test_a_network_without_a_head_raises_an_error() -> None:
    with pytest.raises(ValueError, match="no head, or another"):
        without_head(graph(), WEIGHTS, BIAS)


@pytest.mark.parametrize("length", range(0, 400, 7))
def test_a_truncated_file_raises_an_error_at_any_length(length: int) -> None:
    with pytest.raises(ValueError, match="ends too early|no graph|no head|no ONNX|not encoded"):
        without_head(with_head(graph(), WEIGHTS, BIAS)[:length], WEIGHTS, BIAS)
