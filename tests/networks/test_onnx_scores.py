"""Scores are added to a network and removed again byte for byte, as the onnx package would write them, in every opset."""

from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from twofold.data import Preprocessing
from twofold.decision import Calibration, Familiarity
from twofold.networks import Scoring, read_familiarity, with_scores, without_scores

CURVE = (0.7, 0.2, 0.01, 0.98)
RANDOM = np.random.default_rng(0)
WEIGHTS, BIAS = RANDOM.normal(size=3).astype(np.float32), -0.3


def graph(*, mapped: bool = True, constants: int = 0, opset: int = 17) -> bytes:
    """The mean of each channel of a 4 x 4 image, with constants that no node reads."""
    nodes = [
        helper.make_node("Cast", ["image"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["pixels"], ["feature_map"], perm=[0, 3, 1, 2]),
        helper.make_node("GlobalAveragePool", ["feature_map"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["features"]),
    ]
    outputs = [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["batch", 3])]
    if mapped:
        outputs.append(helper.make_tensor_value_info("feature_map", TensorProto.FLOAT, ["batch", 3, 4, 4]))
    unused = [numpy_helper.from_array(np.ones(number + 1, np.float32), f"c{number}") for number in range(constants)]
    image = helper.make_tensor_value_info("image", TensorProto.UINT8, ["batch", 4, 4, 3])
    net = helper.make_graph(nodes, "means", [image], outputs, unused)
    return serialise(helper.make_model(net, opset_imports=[helper.make_opsetid("", opset)], ir_version=8))


def serialise(model: onnx.ModelProto) -> bytes:
    return bytes(model.SerializeToString(deterministic=True))


def scoring(width: int = 3, crop_mode: Any = "squash", views: tuple[int, ...] = (), parts: Any = ((0, 3),)) -> Scoring:
    preprocessing, random = Preprocessing(4, crop_mode, views=views), np.random.default_rng(width)
    weights = random.normal(size=width * preprocessing.moments).astype(np.float32)
    return Scoring(preprocessing, weights, BIAS, CURVE, parts, familiarity_arrays(sum(b - a for a, b in parts)))


def familiarity_arrays(width: int) -> dict[str, NDArray[Any]]:
    axes = np.linalg.qr(np.random.default_rng(width).normal(size=(width, 1)))[0].T
    return {
        "mean": np.full(width, 0.55, np.float32),
        "axes": axes.astype(np.float16),
        "knots": np.array([0.001, 0.01, 0.05, 0.3], np.float32),
        "levels": np.array([1.0, 0.7, 0.1, 0.01], np.float32),
    }


def run(model: bytes, names: list[str], pixels: NDArray[np.uint8]) -> list[Any]:
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return list(session.run(names, {"image": pixels}))


def add_logit_with_onnx(backbone: bytes, weights: NDArray[np.float32], bias: float) -> bytes:
    """The network with `logit` and `probability`."""
    model = onnx.load_model_from_string(backbone)
    net, (slope, intercept, low, high) = model.graph, CURVE
    constants = {
        "head.weights": weights[:, None],
        "head.bias": np.array([bias]),
        "head.shape": np.array([-1], np.int64),
        "calibration.slope": np.array(slope),
        "calibration.intercept": np.array(intercept),
        "calibration.span": np.array(high - low),
        "calibration.low": np.array(low),
    }
    for name, values in constants.items():
        net.initializer.append(
            numpy_helper.from_array(values if values.dtype == np.int64 else values.astype(np.float32), name)
        )
    for operator, inputs, output in (
        ("Gemm", ["features", "head.weights", "head.bias"], "head.column"),
        ("Reshape", ["head.column", "head.shape"], "logit"),
        ("Mul", ["logit", "calibration.slope"], "calibration.scaled"),
        ("Add", ["calibration.scaled", "calibration.intercept"], "calibration.shifted"),
        ("Sigmoid", ["calibration.shifted"], "calibration.fraction"),
        ("Mul", ["calibration.fraction", "calibration.span"], "calibration.above"),
        ("Add", ["calibration.above", "calibration.low"], "probability"),
    ):
        net.node.append(helper.make_node(operator, inputs, [output], name=output))
    for name in ("logit", "probability"):
        net.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch"]))
    return serialise(model)


@pytest.mark.parametrize("mapped", [True, False])
@pytest.mark.parametrize("constants", [0, 1, 40])
@pytest.mark.parametrize("width", [1, 3, 100, 20_000])
def test_the_bytes_equal_those_of_onnx_and_the_scores_can_be_removed(mapped: bool, constants: int, width: int) -> None:
    backbone, weights = graph(mapped=mapped, constants=constants), np.linspace(-1, 1, width, dtype=np.float32)
    plain = Scoring(Preprocessing(4), weights, BIAS, CURVE)
    model = with_scores(backbone, plain)
    assert model == add_logit_with_onnx(backbone, weights, BIAS)
    assert without_scores(model, plain) == backbone


@pytest.mark.parametrize("opset", [9, 13, 17, 18, 21])
@pytest.mark.parametrize(
    ("crop_mode", "views", "parts"),
    [
        ("squash", (), ((0, 3),)),
        ("both", (), ((1, 3),)),
        ("squash", (2,), ((0, 1), (1, 3))),
        ("both", (2, 3), ((0, 3),)),
    ],
)
def test_the_graph_gives_what_the_model_computes(opset: int, crop_mode: Any, views: Any, parts: Any) -> None:
    given = scoring(3, crop_mode, views, parts)
    model, preprocessing = with_scores(graph(opset=opset), given), given.preprocessing
    onnx.checker.check_model(onnx.load_model_from_string(model), full_check=True)
    count = len(preprocessing.crops)
    pixels = np.random.default_rng(1).integers(0, 256, (5 * count, 4, 4, 3), np.uint8)
    pixels[count] = 7  # an image of one colour
    rows, logits, probabilities, familiarity = run(model, ["features", "logit", "probability", "familiarity"], pixels)
    assert rows.shape == (5 * count, 3)
    features = np.stack([preprocessing.pool(image) for image in rows.reshape(5, -1)])
    expected = features.astype(np.float64) @ given.weights + BIAS
    assert np.allclose(logits, expected, rtol=1e-5, atol=1e-4)
    assert np.allclose(probabilities, Calibration(*CURVE).probabilities(logits), atol=1e-6)
    assert np.allclose(familiarity, Familiarity(parts, **given.familiarity).of(features), atol=1e-5)
    assert len(np.unique(familiarity)) > 2
    assert without_scores(model, given) == graph(opset=opset)


def test_an_image_of_zeros_has_a_familiarity() -> None:
    (familiarity,) = run(with_scores(graph(), scoring()), ["familiarity"], np.zeros((1, 4, 4, 3), np.uint8))
    assert familiarity[0] == Familiarity(((0, 3),), **familiarity_arrays(3)).of(np.zeros((1, 3), np.float32))[0]


def test_the_familiarity_is_read_from_the_constants() -> None:
    read = read_familiarity(with_scores(graph(constants=3), scoring()))
    assert set(read) == {"mean", "axes", "knots", "levels"}
    for name, values in familiarity_arrays(3).items():
        assert read[name].dtype == values.dtype
        assert np.array_equal(read[name], values)
    with pytest.raises(ValueError, match="lacks the familiarity"):
        read_familiarity(graph(constants=3))


OTHERS = {
    "fewer weights": {"weights": WEIGHTS[:2]},
    "other weights": {"weights": -WEIGHTS},
    "another bias": {"bias": 0.0},
    "more weights": {"weights": np.append(WEIGHTS, np.float32(0))},
    "another calibration": {"calibration": (0.7, 0.2, 0.01, 0.97)},
    "other model inputs": {"preprocessing": Preprocessing(4, "both")},
    "other features": {"parts": ((1, 3),)},
    "no familiarity": {"familiarity": {}},
    "another familiarity": {"familiarity": {**familiarity_arrays(3), "mean": np.zeros(3, np.float32)}},
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_scores_cannot_be_removed(name: str) -> None:
    given = replace(scoring(), weights=WEIGHTS)
    with pytest.raises(ValueError, match="no head, or other"):
        without_scores(with_scores(graph(), given), replace(given, **OTHERS[name]))  # type: ignore[arg-type]


def test_a_network_without_scores_raises_an_error() -> None:
    with pytest.raises(ValueError, match="no head, or other"):
        without_scores(graph(), scoring())


@pytest.mark.parametrize("length", range(0, 400, 7))
def test_a_truncated_file_raises_an_error_at_any_length(length: int) -> None:
    with pytest.raises(ValueError, match="ends too early|no graph|no head|no ONNX|not encoded"):
        without_scores(with_scores(graph(), scoring())[:length], scoring())
