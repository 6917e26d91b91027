"""Plain operators compute the numbers of the quantisation operators, to the bit."""

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from twofold.networks import Backbone
from twofold.networks.plain_quantization import make_quantization_plain


@pytest.mark.parametrize("kind", [np.int8, np.uint8])
def test_activations_and_weights_of_each_channel_are_rounded_alike(kind: type[np.generic]) -> None:
    random = np.random.default_rng(0)
    ends = np.iinfo(kind)
    weights = random.integers(ends.min, ends.max + 1, (4, 3, 1, 1)).astype(kind)
    constants = {
        "scale": np.float32(0.5),  # halves are ties, which are rounded to even
        "zero": kind(3),
        "weights": weights,
        "scales": random.uniform(0.01, 0.1, 4).astype(np.float32),
        "zeros": random.integers(-3, 4, 4).astype(kind) if kind is np.int8 else np.zeros(4, kind),
    }
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["rounded"]),
        helper.make_node("DequantizeLinear", ["weights", "scales", "zeros"], ["floats"], axis=0),
    ]
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("rounded", "floats")]
    entry = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 40, 50])
    tensors = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    model = helper.make_model(
        helper.make_graph(nodes, "q", [entry], outputs, tensors),
        opset_imports=[helper.make_opsetid("", 13)],
        ir_version=8,
    )
    x = (np.arange(6000, dtype=np.float32) - 3000).reshape(1, 3, 40, 50) / 8  # beyond the ends of 8 bits, too
    expected = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": x})
    make_quantization_plain(model.graph)
    assert not {node.op_type for node in model.graph.node} & {"QuantizeLinear", "DequantizeLinear"}
    plain = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": x})
    assert all(map(np.array_equal, plain, expected))


def test_a_quantised_network_keeps_its_other_operators(lite0: dict[str, Backbone]) -> None:
    import onnx

    model = onnx.load_from_string(lite0["int8"].graph)
    convolutions = [node.name for node in model.graph.node if node.op_type == "Conv"]
    make_quantization_plain(model.graph)
    assert [node.name for node in model.graph.node if node.op_type == "Conv"] == convolutions
    assert not {node.op_type for node in model.graph.node} & {"QuantizeLinear", "DequantizeLinear"}
