"""What onnx2coreml does not convert is named."""

from importlib.util import find_spec
from pathlib import Path

import pytest
from onnx import TensorProto, helper

from twofold.core.errors import BackboneError
from twofold.networks.coreml_file import write_coreml


@pytest.mark.slow
@pytest.mark.skipif(not (find_spec("coremltools") and find_spec("onnx2coreml")), reason="needs '.[coreml]'")
def test_operators_that_are_not_known_are_named(tmp_path: Path) -> None:
    nodes = [helper.make_node("Selu", ["x"], ["y"]), helper.make_node("Celu", ["y"], ["z"])]
    entry = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4])
    leave = helper.make_tensor_value_info("z", TensorProto.FLOAT, [1, 4])
    graph = helper.make_graph(nodes, "unknown", [entry], [leave])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    with pytest.raises(BackboneError, match="operators that onnx2coreml does not convert: Celu, Selu."):
        write_coreml(model.SerializeToString(), tmp_path / "model.mlpackage")
    assert not list(tmp_path.iterdir())
