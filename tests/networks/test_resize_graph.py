"""Preprocessing as ONNX: the model inputs of Pillow, to the bit, in ONNX Runtime."""

from typing import Any, get_args

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

from twofold.core.options import Filter
from twofold.data import PreprocessedImage, Preprocessing, preprocess
from twofold.networks.resize_graph import MIN_OPSET, ResizeGraph

SIZE = 24
# Enlarged and reduced, exact factors and ties, one pixel, long strips, and areas that Pillow resizes along the height first.
SIZES = [(1, 1), (24, 24), (48, 48), (16, 16), (25, 23), (3, 125), (125, 3), (90, 125), (125, 83), (48, 32), (1300, 6)]


def model_of(preprocessing: Preprocessing) -> onnx.ModelProto:
    graph = ResizeGraph(preprocessing)
    graph.build("image", "model_inputs")
    entry = helper.make_tensor_value_info("image", TensorProto.UINT8, ["height", "width", 3])
    leave = helper.make_tensor_value_info("model_inputs", TensorProto.UINT8, ["k", SIZE, SIZE, 3])
    parts = helper.make_graph(graph.nodes, "resizing", [entry], [leave], list(graph.constants.values()))
    return helper.make_model(parts, opset_imports=[helper.make_opsetid("", MIN_OPSET)], ir_version=8)


def model_inputs(image: NDArray[np.uint8], preprocessing: Preprocessing) -> NDArray[Any]:
    preprocessed = preprocess(image, preprocessing)
    assert isinstance(preprocessed, PreprocessedImage)
    return np.stack(preprocessed.model_inputs)


@pytest.mark.parametrize("resampling", get_args(Filter))
@pytest.mark.parametrize(
    ("crop_mode", "views"), [("squash", ()), ("center", ()), ("pad", ()), ("both", (2, 3)), ("squash", (8,))]
)
def test_the_model_inputs_are_those_of_pillow(crop_mode: Any, views: tuple[int, ...], resampling: Filter) -> None:
    preprocessing = Preprocessing(SIZE, crop_mode, resampling, 0.95, views=views)
    session = onnxruntime.InferenceSession(model_of(preprocessing).SerializeToString())
    random = np.random.default_rng(0)
    for height, width in SIZES:
        image = random.integers(0, 2, (height, width, 3), dtype=np.uint8) * 255  # of highest contrast: clipping counts
        (resized,) = session.run(None, {"image": image})
        assert np.array_equal(resized, model_inputs(image, preprocessing)), (height, width)


def test_the_operators_are_legal_in_the_oldest_opset_that_is_promised() -> None:
    onnx.checker.check_model(model_of(Preprocessing(SIZE, "both", "bicubic", views=(2,))), full_check=True)
