"""Adding a head to a network as one more output, and removing it again, byte for byte.

The `model.onnx` of a bundle has the head. Features, and the key of cached features, depend on the network without it. Both
functions work on the bytes, so that loading a bundle does not import onnx.
"""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from twofold.networks.onnx_schema import GRAPH, MODEL
from twofold.networks.protobuf import Field, Reader, write_field, write_start

_FLOAT, _INT64 = 1, 7
_NODE, _INITIALIZER, _OUTPUT = 1, 5, 12
_GRAPH = 7


def with_head(graph: bytes, weights: NDArray[np.float32], bias: float) -> bytes:
    """The network as ONNX with one more output: `logit`, float32 (n,), of a head with these weights, (d,), and bias."""
    outer, data, inner = _read_graph(graph)
    chunks: list[memoryview | bytes] = []
    at = 0
    for number, head_fields in _encode_head(weights, bias).items():
        end = max((field.end for field in inner if field.number <= number), default=0)
        chunks += [data[at:end], head_fields]
        at = end
    return _replace_graph(graph, outer, [*chunks, data[at:]])


def without_head(model: bytes, weights: NDArray[np.float32], bias: float) -> bytes:
    """The inverse of `with_head`. Raises ValueError where `with_head` with these weights and bias does not give these bytes."""
    outer, data, inner = _read_graph(model)
    if model[outer.start : outer.end - len(data)] != write_start(_GRAPH, len(data)):
        raise ValueError("its fields are not encoded as ONNX encodes them")
    chunks: list[memoryview | bytes] = []
    at = 0
    for number, head_fields in _encode_head(weights, bias).items():
        end = max((field.end for field in inner if field.number == number), default=0)
        start = end - len(head_fields)
        if not any(field.start == start for field in inner) or data[start:end] != head_fields:
            raise ValueError("it has no head, or another head than bundle.json")
        chunks.append(data[at:start])
        at = end
    return _replace_graph(model, outer, [*chunks, data[at:]])


def _read_graph(model: bytes) -> tuple[Field, memoryview, list[Field]]:
    """The graph field of a model, its bytes, and their fields. ValueError where fields are not in the order of their numbers."""
    reader = Reader()
    outer = reader.fields(memoryview(model), MODEL)
    _check_order(outer)
    graph = next((field for field in outer if field.number == _GRAPH), None)
    if graph is None or not isinstance(graph.value, memoryview):
        raise ValueError("it has no graph")
    inner = reader.fields(graph.value, GRAPH)
    _check_order(inner)
    return graph, graph.value, inner


def _check_order(fields: list[Field]) -> None:
    if any(first.number > second.number for first, second in pairwise(fields)):
        raise ValueError("its fields are not in the order in which ONNX writes them")


def _replace_graph(model: bytes, outer: Field, chunks: list[memoryview | bytes]) -> bytes:
    """The model with the graph replaced by these chunks of bytes."""
    view, size = memoryview(model), sum(len(chunk) for chunk in chunks)
    return b"".join((view[: outer.start], write_start(_GRAPH, size), *chunks, view[outer.end :]))


def _encode_head(weights: NDArray[np.float32], bias: float) -> dict[int, bytes]:
    """The encoded fields that a head adds to a graph, by field number."""
    nodes = [
        _encode_node("Gemm", ("features", "head.weights", "head.bias"), "head.column", "head"),
        _encode_node("Reshape", ("head.column", "head.shape"), "logit", "logit"),
    ]
    constants = [
        _encode_tensor("head.weights", weights[:, None], _FLOAT),
        _encode_tensor("head.bias", np.array([bias], np.float32), _FLOAT),
        _encode_tensor("head.shape", np.array([-1], np.int64), _INT64),
    ]
    messages = {_NODE: nodes, _INITIALIZER: constants, _OUTPUT: [_encode_logit()]}
    return {number: b"".join(write_field(number, message) for message in field) for number, field in messages.items()}


def _encode_node(operator: str, inputs: tuple[str, ...], output: str, name: str) -> bytes:
    """An encoded NodeProto."""
    return b"".join(
        (
            *(write_field(1, tensor) for tensor in inputs),
            write_field(2, output),
            write_field(3, name),
            write_field(4, operator),
        )
    )


def _encode_tensor(name: str, values: NDArray[np.float32] | NDArray[np.int64], element_type: int) -> bytes:
    """An encoded TensorProto."""
    raw = values.astype(values.dtype.newbyteorder("<")).tobytes()
    dimensions = (write_field(1, size) for size in values.shape)
    return b"".join((*dimensions, write_field(2, element_type), write_field(8, name), write_field(9, raw)))


def _encode_logit() -> bytes:
    """An encoded ValueInfoProto of `logit`, float32 (batch,)."""
    shape = write_field(1, write_field(2, "batch"))
    value_type = write_field(1, write_field(1, _FLOAT) + write_field(2, shape))
    return write_field(1, "logit") + write_field(2, value_type)
