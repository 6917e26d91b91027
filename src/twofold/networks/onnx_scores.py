"""Adding the scores of an image to a network as more outputs, and removing them again, byte for byte.

The `model.onnx` of a bundle has the scores. Features, and the key of cached features, depend on the network without them.
"""

from itertools import pairwise
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twofold.networks.onnx_schema import GRAPH, MODEL, TENSOR
from twofold.networks.protobuf import Field, Reader, write_start
from twofold.networks.score_graph import FAMILIARITY, INITIALIZER, PREFIX, Scoring

_GRAPH = 7
_DIMS, _NAME, _RAW = 1, 8, 9


def with_scores(graph: bytes, scoring: Scoring) -> bytes:
    """The network as ONNX with the outputs `logit`, `probability` and, where the model has one, `familiarity`.

    They are float32, one for each image: with k model inputs per image the batch has those of an image one after the other.
    """
    outer, data, inner = _read_graph(graph)
    chunks: list[memoryview | bytes] = []
    at = 0
    for number, fields in scoring.encode().items():
        end = max((field.end for field in inner if field.number <= number), default=0)
        chunks += [data[at:end], fields]
        at = end
    return _replace_graph(graph, outer, [*chunks, data[at:]])


def without_scores(model: bytes, scoring: Scoring) -> bytes:
    """The inverse of `with_scores`. Raises ValueError where `with_scores` with this scoring does not give these bytes."""
    outer, data, inner = _read_graph(model)
    if model[outer.start : outer.end - len(data)] != write_start(_GRAPH, len(data)):
        raise ValueError("its fields are not encoded as ONNX encodes them")
    chunks: list[memoryview | bytes] = []
    at = 0
    for number, fields in scoring.encode().items():
        end = max((field.end for field in inner if field.number == number), default=0)
        start = end - len(fields)
        if not any(field.start == start for field in inner) or data[start:end] != fields:
            raise ValueError("it has no head, or other scores than bundle.json says")
        chunks.append(data[at:start])
        at = end
    return _replace_graph(model, outer, [*chunks, data[at:]])


def read_familiarity(model: bytes) -> dict[str, NDArray[Any]]:
    """The arrays of the model's familiarity by name, as they are in its constants: their values are not checked.

    Raises ValueError where one is missing, or its data do not fit its shape.
    """
    _, _, inner = _read_graph(model)
    reader, arrays = Reader(), dict[str, NDArray[Any]]()
    wanted = {f"{PREFIX}{name}".encode(): name for name in FAMILIARITY}
    for entry in inner:
        if entry.number == INITIALIZER and isinstance(entry.value, memoryview):
            fields = reader.fields(entry.value, TENSOR)
            names = [
                bytes(field.value) for field in fields if field.number == _NAME and isinstance(field.value, memoryview)
            ]
            if names and names[0] in wanted:
                arrays[wanted[names[0]]] = _array(fields, FAMILIARITY[wanted[names[0]]])
    if set(arrays) != set(FAMILIARITY):
        raise ValueError("it lacks the familiarity that bundle.json names")
    return arrays


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


def _array(fields: list[Field], dtype: Any) -> NDArray[Any]:
    shape = [field.value for field in fields if field.number == _DIMS]
    raw = next((field.value for field in fields if field.number == _RAW), None)
    sizes = [size for size in shape if isinstance(size, int)]
    item_size = np.dtype(dtype).itemsize
    if not isinstance(raw, memoryview) or len(sizes) != len(shape) or prod(sizes) * item_size != len(raw):
        raise ValueError("its familiarity has more or fewer numbers than its shape says")
    return np.frombuffer(raw, np.dtype(dtype).newbyteorder("<")).reshape(sizes).astype(dtype)
