"""A network with the head put on as one more output, and the same with it taken off again, byte for byte.

A bundle's `model.onnx` is the first; what a vector depends on, and what remembers it, is the second. Both work on the bytes
alone: reading a bundle need not import onnx.
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
    """The network as ONNX with one more output: `logit`, float32 (batch,), of a head with these weights, (d,)."""
    outer, data, inner = _opened(graph)
    parts: list[memoryview | bytes] = []
    at = 0
    for number, added in _head(weights, bias).items():
        place = max((field.end for field in inner if field.number <= number), default=0)
        parts += [data[at:place], added]
        at = place
    return _closed(graph, outer, [*parts, data[at:]])


def without_head(model: bytes, weights: NDArray[np.float32], bias: float) -> bytes:
    """What `with_head` was given. ValueError where the bytes are not what it gives for a head with these numbers."""
    outer, data, inner = _opened(model)
    if model[outer.start : outer.end - len(data)] != write_start(_GRAPH, len(data)):
        raise ValueError("its fields are written in another way than ONNX is")
    parts: list[memoryview | bytes] = []
    at = 0
    for number, added in _head(weights, bias).items():
        end = max((field.end for field in inner if field.number == number), default=0)
        start = end - len(added)
        if not any(field.start == start for field in inner) or data[start:end] != added:
            raise ValueError("it has no head, or another than bundle.json")
        parts.append(data[at:start])
        at = end
    return _closed(model, outer, [*parts, data[at:]])


def _opened(model: bytes) -> tuple[Field, memoryview, list[Field]]:
    """The graph, its bytes, and their fields, which stand in the order that ONNX is written in."""
    reader = Reader()
    outer = reader.fields(memoryview(model), MODEL)
    _check_order(outer)
    found = next((field for field in outer if field.number == _GRAPH), None)
    if found is None or not isinstance(found.value, memoryview):
        raise ValueError("it has no graph")
    inner = reader.fields(found.value, GRAPH)
    _check_order(inner)
    return found, found.value, inner


def _check_order(fields: list[Field]) -> None:
    if any(first.number > second.number for first, second in pairwise(fields)):
        raise ValueError("its fields stand in another order than ONNX is written in")


def _closed(model: bytes, outer: Field, parts: list[memoryview | bytes]) -> bytes:
    """The model with a graph of these parts."""
    whole, size = memoryview(model), sum(len(part) for part in parts)
    return b"".join((whole[: outer.start], write_start(_GRAPH, size), *parts, whole[outer.end :]))


def _head(weights: NDArray[np.float32], bias: float) -> dict[int, bytes]:
    """The fields that a head adds to a graph, by their numbers."""
    nodes = [
        _node("Gemm", ("features", "head.weights", "head.bias"), "head.column", "head"),
        _node("Reshape", ("head.column", "head.shape"), "logit", "logit"),
    ]
    constants = [
        _tensor("head.weights", weights[:, None], _FLOAT),
        _tensor("head.bias", np.array([bias], np.float32), _FLOAT),
        _tensor("head.shape", np.array([-1], np.int64), _INT64),
    ]
    added = {_NODE: nodes, _INITIALIZER: constants, _OUTPUT: [_logit()]}
    return {number: b"".join(write_field(number, each) for each in messages) for number, messages in added.items()}


def _node(kind: str, inputs: tuple[str, ...], output: str, name: str) -> bytes:
    """NodeProto."""
    return b"".join(
        (
            *(write_field(1, given) for given in inputs),
            write_field(2, output),
            write_field(3, name),
            write_field(4, kind),
        )
    )


def _tensor(name: str, values: NDArray[np.float32] | NDArray[np.int64], kind: int) -> bytes:
    """TensorProto."""
    raw = values.astype(values.dtype.newbyteorder("<")).tobytes()
    sides = (write_field(1, side) for side in values.shape)
    return b"".join((*sides, write_field(2, kind), write_field(8, name), write_field(9, raw)))


def _logit() -> bytes:
    """ValueInfoProto of float32 (batch,)."""
    shape = write_field(1, write_field(2, "batch"))
    kind = write_field(1, write_field(1, _FLOAT) + write_field(2, shape))
    return write_field(1, "logit") + write_field(2, kind)
