"""Quantisation in plain float operators: the numbers of QuantizeLinear and DequantizeLinear, which no runtime turns into int8.

ONNX Runtime computes int8 networks with roundings of its own, and on x86 processors without VNNI and AMX wrongly unless an option
is set (docs/decisions/008). With plain operators every runtime computes the network as twofold does in float32.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import GraphProto, NodeProto, helper, numpy_helper

_OPERATORS = ("QuantizeLinear", "DequantizeLinear")


def make_quantization_plain(graph: GraphProto) -> None:
    """Replaces the quantisation operators of a graph whose scales and zero points are constants; others stay as they are."""
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    nodes: list[NodeProto] = []
    for node in graph.node:
        known = node.op_type in _OPERATORS and all(name in constants for name in node.input[1:])
        nodes += _plain(graph, node, constants) if known else [node]
    del graph.node[:]
    graph.node.extend(nodes)


def _plain(graph: GraphProto, node: NodeProto, constants: dict[str, NDArray[Any]]) -> list[NodeProto]:
    """The operators that compute the output of one quantisation operator, as float32."""
    source, target = node.input[0], node.output[0]
    scale = constants[node.input[1]]
    zero = constants[node.input[2]] if len(node.input) > 2 else np.zeros_like(scale, np.uint8)
    axis = next((attribute.i for attribute in node.attribute if attribute.name == "axis"), 1)
    rank = constants[source].ndim if source in constants else 4
    shape = [-1 if dimension == axis % rank else 1 for dimension in range(rank)] if scale.ndim else []

    def constant(name: str, values: Any) -> str:
        graph.initializer.append(numpy_helper.from_array(np.asarray(values, np.float32), f"{target}.{name}"))
        return f"{target}.{name}"

    names = [constant("scale.float", scale.reshape(shape)), constant("zero.float", zero.reshape(shape))]
    steps: list[tuple[str, list[str], dict[str, Any]]]
    if node.op_type == "DequantizeLinear":
        steps = [("Cast", [source], {"to": 1}), ("Sub", ["", names[1]], {}), ("Mul", ["", names[0]], {})]
    else:
        ends = np.iinfo(zero.dtype)
        steps = [("Div", [source, names[0]], {}), ("Round", [""], {}), ("Add", ["", names[1]], {})]
        steps += [("Max", ["", constant("low", ends.min)], {}), ("Min", ["", constant("high", ends.max)], {})]
    return _chain(steps, target)


def _chain(steps: list[tuple[str, list[str], dict[str, Any]]], target: str) -> list[NodeProto]:
    """Operators one after the other: an empty input is the output of the one before, and the last computes `target`."""
    nodes: list[NodeProto] = []
    for number, (operator, inputs, attributes) in enumerate(steps):
        output = target if number == len(steps) - 1 else f"{target}.step{number}"
        names = [name or nodes[-1].output[0] for name in inputs]
        nodes.append(helper.make_node(operator, names, [output], name=output, **attributes))
    return nodes
