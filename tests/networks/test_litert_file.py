"""Each operator gives in LiteRT what it gives in ONNX Runtime; what is not known is named."""

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

from twofold.core.errors import BackboneError
from twofold.networks.litert_file import open_litert, write_litert
from twofold.networks.tensorflow_operators import OPERATORS

needs_litert = pytest.mark.skipif(
    not (find_spec("tensorflow") and find_spec("ai_edge_litert")), reason="needs '.[litert]': TensorFlow and LiteRT"
)
OPSET = 20
RANDOM = np.random.default_rng(0)


def weights(*shape: int) -> NDArray[np.float32]:
    return RANDOM.normal(size=shape).astype(np.float32)


def case(
    operator: str, *constants: Any, before: bool = True, **attributes: Any
) -> tuple[str, list[Any], dict[str, Any]]:
    """An operator on the input of the model, which comes before its constants, or behind them."""
    inputs = ["x", *constants] if before else [*constants, "x"]
    return operator, inputs, attributes


INTEGERS, FLOAT = (lambda *values: np.array(values, np.int64)), np.float32
CASES = [
    *(case(name) for name in ("Erf", "Exp", "GlobalAveragePool", "GlobalMaxPool", "HardSwish", "Identity", "Neg")),
    *(case(name) for name in ("Relu", "Sigmoid", "Sqrt", "Tanh", "HardSigmoid", "LeakyRelu", "Gelu", "Dropout")),
    *(case(name, weights(4, 1, 1)) for name in ("Add", "Div", "Max", "Min", "Mul", "Sub")),
    *(case(name, axis=2) for name in ("Flatten", "Softmax")),
    case("Div", weights(1, 4, 9, 8), before=False),
    case("HardSigmoid", alpha=0.25, beta=0.4),
    case("LeakyRelu", alpha=0.2),
    case("Gelu", approximate="tanh"),
    case("Pad", INTEGERS(0, 1, 0, 2, 0, 0, 3, 1), FLOAT(0.5)),
    case("Pow", FLOAT(2)),
    case("Clip", FLOAT(0), FLOAT(6)),
    case("Clip", FLOAT(-0.5), FLOAT(0.5)),
    case("Clip", "", FLOAT(0.5)),
    case("Clip", FLOAT(0.1)),
    case("Conv", weights(6, 4, 3, 3), weights(6), strides=[2, 2], pads=[0, 0, 1, 1]),
    case("Conv", weights(4, 1, 3, 3), pads=[1, 1, 1, 1], group=4),
    case("Conv", weights(8, 1, 5, 5), weights(8), strides=[2, 2], pads=[2, 2, 2, 2], group=4),
    case("Conv", weights(6, 2, 3, 3), weights(6), pads=[1, 1, 1, 1], group=2),
    case("Conv", weights(6, 4, 3, 3), dilations=[2, 2]),
    case("MaxPool", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
    case("AveragePool", kernel_shape=[2, 2], strides=[2, 2], dilations=[1, 1]),
    case("AveragePool", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
    case("AveragePool", kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1),
    *(case(name, kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1) for name in ("MaxPool", "AveragePool")),
    *(case(name, kernel_shape=[3, 3], strides=[3, 3], ceil_mode=1) for name in ("MaxPool", "AveragePool")),
    case("MaxPool", kernel_shape=[3, 2], strides=[2, 3], pads=[1, 1, 1, 1], ceil_mode=1),
    case(
        "BatchNormalization",
        weights(4),
        weights(4),
        weights(4),
        np.abs(weights(4)) + FLOAT(0.1),
        epsilon=1e-3,
        training_mode=0,
    ),
    case("LayerNormalization", weights(8), weights(8), epsilon=1e-6),
    case("MatMul", weights(8, 5)),
    case("Gather", INTEGERS(3, -2), axis=1),
    case("Reshape", INTEGERS(0, 2, -1)),
    case("Transpose", perm=[0, 3, 1, 2]),
    case("Concat", weights(1, 2, 9, 8), axis=1),
    case("Slice", INTEGERS(1, -3), INTEGERS(2**62, -1), INTEGERS(2, 3)),
    case("Slice", INTEGERS(0), INTEGERS(9), INTEGERS(2), INTEGERS(2)),
    case("Expand", INTEGERS(3, 4, 1, 8)),
    case("Unsqueeze", INTEGERS(0, -1)),
    case("ReduceMean", INTEGERS(2, 3)),
    case("ReduceSum", INTEGERS(-1), keepdims=0),
    case("ReduceMax", INTEGERS(1)),
    case("ReduceMean"),
    case("Where", np.arange(8) % 2 == 0, FLOAT(7), before=False),
]


def chains() -> list[tuple[str, list[NodeProto]]]:
    """Operators that need others before or after them, each with the name of its output."""
    make = helper.make_node
    return [
        ("squeezed", [make("GlobalAveragePool", ["x"], ["p"]), make("Squeeze", ["p", "axes"], ["squeezed"])]),
        (
            "dense",
            [make("Flatten", ["p"], ["f"]), make("Gemm", ["f", "w", "b"], ["dense"], transB=1, alpha=0.5, beta=2.0)],
        ),
        ("less", [make("Less", ["x", "zero"], ["below"]), make("Cast", ["below"], ["less"], to=TensorProto.FLOAT)]),
        (
            "shaped",  # as torch reshapes for any batch: from the shape of a tensor
            [
                make("Shape", ["x"], ["s"], start=0, end=1),
                make("Constant", [], ["rest"], value=numpy_helper.from_array(INTEGERS(-1))),
                make("Concat", ["s", "rest"], ["target"], axis=0),
                make("Reshape", ["x", "target"], ["shaped"]),
            ],
        ),
        (
            "numbered",  # as torch chooses the last window of each image
            [
                make("Squeeze", ["s"], ["n"]),
                make("Range", ["none", "n", "one"], ["numbers"]),
                make("Gather", ["x", "numbers"], ["numbered"], axis=0),
            ],
        ),
    ]


def every_operator() -> onnx.ModelProto:
    """A model with an output for each case."""
    nodes, names = [], []
    constants = {"axes": INTEGERS(2, 3), "w": weights(5, 4), "b": weights(5), "zero": FLOAT(0)}
    constants |= {"none": np.int64(0), "one": np.int64(1)}
    for number, (operator, inputs, attributes) in enumerate(CASES):
        name = f"{operator}{number}"
        keys = [key if isinstance(key, str) else f"{name}.{place}" for place, key in enumerate(inputs)]
        constants |= {key: value for key, value in zip(keys, inputs, strict=True) if not isinstance(value, str)}
        nodes.append(helper.make_node(operator, keys, [name], **attributes))
        names.append(name)
    for name, chain in chains():
        nodes += chain
        names.append(name)
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names]
    return model_of(nodes, outputs, constants)


def model_of(nodes: list[NodeProto], outputs: list[Any], constants: dict[str, Any]) -> onnx.ModelProto:
    entry = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4, 9, 8])
    tensors = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "operators", [entry], outputs, tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=9)


def one_operator(operator: str, *inputs: str, **attributes: Any) -> bytes:
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
    node = helper.make_node(operator, ["x", *inputs], ["y"], **attributes)
    return bytes(model_of([node], outputs, {"w": weights(4, 4, 1, 1)}).SerializeToString())


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[NDArray[Any], NDArray[Any]]]:
    """The outputs of every case, of ONNX Runtime and of LiteRT."""
    model, file = every_operator(), tmp_path_factory.mktemp("litert") / "model.tflite"
    write_litert(model.SerializeToString(), file)
    run, runtime = open_litert(file)
    assert runtime.startswith("ai-edge-litert ")
    x = weights(1, 4, 9, 8) * FLOAT(2)  # the root of a negative number is nan in both
    session = onnxruntime.InferenceSession(model.SerializeToString())
    names = [output.name for output in session.get_outputs()]
    converted = run(x)
    return {name: (value, converted[name]) for name, value in zip(names, session.run(names, {"x": x}), strict=True)}


def test_every_operator_has_a_case() -> None:
    assert {node.op_type for node in every_operator().graph.node} == set(OPERATORS)


@needs_litert
@pytest.mark.slow
@pytest.mark.parametrize("name", [output.name for output in every_operator().graph.output])
def test_an_operator_computes_in_litert_what_it_computes_in_onnx_runtime(
    both: dict[str, tuple[NDArray[Any], NDArray[Any]]], name: str
) -> None:
    expected, converted = both[name]
    assert converted.shape == expected.shape
    np.testing.assert_allclose(converted, expected, rtol=1e-4, atol=1e-5)


def test_an_operator_that_is_not_known_is_named_before_anything_is_installed(tmp_path: Path) -> None:
    with pytest.raises(BackboneError, match="does not convert to LiteRT: Mish. Export to ONNX instead."):
        write_litert(one_operator("Mish"), tmp_path / "model.tflite")


def test_without_its_packages_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("tensorflow", "ai_edge_litert"):
        monkeypatch.setitem(sys.modules, package, None)  # as if it were not installed
    with pytest.raises(
        BackboneError, match=r"LiteRT needs tensorflow and ai_edge_litert; install it with: .*\[litert\]"
    ):
        write_litert(one_operator("Relu"), tmp_path / "model.tflite")


@needs_litert
@pytest.mark.slow
@pytest.mark.parametrize(
    ("operator", "inputs", "attributes", "reason"),
    [
        ("Conv", ["w"], {"auto_pad": "SAME_UPPER"}, "Conv of the network cannot be converted: auto_pad is SAME_UPPER"),
        ("MaxPool", [], {"kernel_shape": [2, 2], "dilations": [2, 2]}, "MaxPool .*: it has dilations"),
    ],
)
def test_an_attribute_that_is_not_known_is_refused_with_its_operator(
    tmp_path: Path, operator: str, inputs: list[str], attributes: dict[str, Any], reason: str
) -> None:
    with pytest.raises(BackboneError, match=reason):
        write_litert(one_operator(operator, *inputs, **attributes), tmp_path / "model.tflite")
    assert not list(tmp_path.iterdir())


@needs_litert
def test_a_file_that_is_damaged_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.tflite").write_bytes(b"TFL3" * 9)
    with pytest.raises(BackboneError, match="LiteRT cannot open the exported model"):
        open_litert(tmp_path / "model.tflite")
