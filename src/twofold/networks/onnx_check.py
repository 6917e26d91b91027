"""Checks that an ONNX file is a network that is safe to run: images in, features out, self-contained, of operators that end.

Applied to bundles of unknown origin, and to a user's network before it goes into a bundle. It reads the bytes without onnx.
"""

from collections import defaultdict
from math import prod
from typing import Final

import numpy as np

from twofold.core.errors import BackboneError
from twofold.networks.onnx_schema import (
    ATTRIBUTE,
    DIMENSION,
    ELEMENTWISE,
    GRAPH,
    MODEL,
    NODE,
    OPERATORS,
    OPSET,
    SHAPE,
    TENSOR,
    TENSOR_TYPE,
    TYPE,
    VALUE,
)
from twofold.networks.protobuf import FieldKinds, Reader

MAX_NODES: Final = 10_000
MAX_CHAIN: Final = 500
"""Elementwise operators in a chain. OpenVINO fuses a chain of 500 in half a second, one of 3,000 in more than a minute."""
_MAX_DIMENSIONS: Final = 16
_UINT8, _FLOAT = 2, 1
# Bytes per element by ONNX element type; a 4-bit type takes half a byte. Text and complex numbers are not supported.
_ITEM_SIZES: Final = {
    **dict.fromkeys((1, 6, 12), 4.0),
    **dict.fromkeys((2, 3, 9, 17, 18, 19, 20, 24), 1.0),
    **dict.fromkeys((4, 5, 10, 16), 2.0),
    **dict.fromkeys((7, 11, 13), 8.0),
    **dict.fromkeys((21, 22, 23), 0.5),
}
_RAW: Final = 9
_FIXED: Final = {4: 4, 10: 8}  # bytes per number in float_data and double_data
_VARINTS: Final = (5, 7, 11)  # int32_data, int64_data, uint64_data

Message = dict[int, list[int | memoryview]]
"""The values of a message by field number."""


def check_network(graph: bytes, side: int) -> int | None:
    """The number of features, d; None where the file does not state it.

    The graph must be a complete network from `image`, uint8 (n, side, side, 3), to `features`, float32 (n, d), and optionally
    `feature_map`. Raises ValueError, with the reason, for anything else.
    """
    return _Check(side).width(graph)


def check_user_network(graph: bytes, side: int, name: str) -> None:
    """Checks a user's network before any work is done, so that its bundle can be loaded. Raises BackboneError with its name."""
    try:
        check_network(graph, side)
    except ValueError as error:
        raise BackboneError(f"{name} cannot be used as a backbone: {error}; export it in another way.") from error


class _Check:
    """The check of one file. Its reader counts the fields read so far."""

    def __init__(self, side: int) -> None:
        self.side = side
        self.reader = Reader()

    def width(self, model_bytes: bytes) -> int | None:
        model = self.message(memoryview(model_bytes), MODEL)
        if not any(not _text(self.message(_bytes(entry), OPSET), 1) for entry in model[8]):
            raise ValueError("it states no opset of ONNX")
        graph_fields = self.message(_single(model, 7), GRAPH)
        self.check_input(graph_fields)
        constants = [self.check_constant(_bytes(tensor)) for tensor in graph_fields[5]]
        tensors = self.check_nodes(graph_fields, constants)
        return self.check_outputs(graph_fields, tensors)

    def message(self, data: memoryview, kinds: FieldKinds) -> Message:
        values: Message = defaultdict(list)
        for field in self.reader.fields(data, kinds):
            values[field.number].append(field.value)
        return values

    def value(self, data: memoryview) -> tuple[bytes, int, list[int | None]]:
        """Name, element type and shape of an input or output; an open dimension is None."""
        value = self.message(data, VALUE)
        tensor_type = self.message(_single(self.message(_single(value, 2), TYPE), 1), TENSOR_TYPE)
        shape = self.message(_single(tensor_type, 2), SHAPE)
        dimensions = [self.message(_bytes(dimension), DIMENSION) for dimension in shape[1]]
        sizes = [_number(dimension, 1) if dimension[1] else None for dimension in dimensions]
        return _text(value, 1), _number(tensor_type, 1), sizes

    def check_input(self, graph: Message) -> None:
        expected = (b"image", _UINT8, [None, self.side, self.side, 3])
        if len(graph[11]) != 1 or self.value(_bytes(graph[11][0])) != expected:
            raise ValueError(f"its input is not 'image', uint8 (batch, {self.side}, {self.side}, 3)")

    def check_constant(self, data: memoryview) -> bytes:
        """The name of a constant. Raises ValueError where its data do not fit its shape, or its type is not supported."""
        tensor = self.message(data, TENSOR)
        if any(tensor[14]):
            raise ValueError("it has data outside the file, which is not supported")
        shape, item_size = self.integers(tensor[1]), _ITEM_SIZES.get(_number(tensor, 2))
        if item_size is None or len(shape) > _MAX_DIMENSIONS or not all(0 <= size < 2**31 for size in shape):
            raise ValueError("it has a tensor of a type that is not supported")
        if not _has_size(tensor, prod(shape), item_size):
            raise ValueError("it has a tensor with more or fewer numbers than its shape says")
        return _text(tensor, 8)

    def integers(self, values: list[int | memoryview]) -> list[int]:
        """A repeated integer field, which may be packed or not."""
        if any(not isinstance(value, int) for value in values):
            raise ValueError("it has a tensor of a type that is not supported")
        return [value for value in values if isinstance(value, int)]

    def check_nodes(self, graph: Message, constants: list[bytes]) -> set[bytes]:
        """The names of all tensors. ValueError where a node reads a tensor that no earlier node computes, as in a cycle."""
        if len(graph[1]) > MAX_NODES:
            raise ValueError(f"it has {len(graph[1]):,} operators, the limit is {MAX_NODES:,}")
        tensors = {b"image", *constants}
        if len(tensors) <= len(constants) or b"" in tensors:
            raise ValueError("two of its tensors have the same name, or one has none")
        chains: dict[bytes, int] = {}
        for node in graph[1]:
            self.check_node(self.message(_bytes(node), NODE), tensors, chains)
        return tensors

    def check_node(self, node: Message, tensors: set[bytes], chains: dict[bytes, int]) -> None:
        """Checks one node and adds its outputs to `tensors`; `chains` holds the length of the chain that ends in each tensor."""
        operator, domain = _text(node, 4).decode(), _text(node, 7)
        if operator not in OPERATORS or domain not in (b"", b"ai.onnx"):
            raise ValueError(f"it has the operator {operator[:40]!r}, which is not supported")
        inputs = [bytes(_bytes(name)) for name in node[1]]
        outputs = [name for name in (bytes(_bytes(name)) for name in node[2]) if name]
        if not all(name in tensors for name in inputs if name):
            raise ValueError(f"its operator {operator} reads a tensor that is not computed before it")
        if tensors & set(outputs) or len(set(outputs)) < len(outputs):
            raise ValueError(f"its operator {operator} computes a tensor that exists already")
        tensors.update(outputs)
        if operator in ELEMENTWISE:
            chain = 1 + max((chains.get(name, 0) for name in inputs), default=0)
            chains.update(dict.fromkeys(outputs, chain))
            if chain > MAX_CHAIN:
                raise ValueError(f"it has more than {MAX_CHAIN} elementwise operators in a row")
        for attribute in node[5]:
            self.check_attribute(self.message(_bytes(attribute), ATTRIBUTE))

    def check_attribute(self, attribute: Message) -> None:
        for tensor in (*attribute[5], *attribute[10]):
            self.check_constant(_bytes(tensor))

    def check_outputs(self, graph: Message, tensors: set[bytes]) -> int | None:
        values = [self.value(_bytes(output)) for output in graph[12]]
        outputs = {name: (element_type, shape) for name, element_type, shape in values}
        if b"features" not in outputs or set(outputs) - {b"features", b"feature_map"} or len(outputs) != len(values):
            raise ValueError("its outputs are not 'features' and, at most, 'feature_map'")
        if not set(outputs) <= tensors:
            raise ValueError("no operator computes one of its outputs")
        element_type, shape = outputs[b"features"]
        if element_type != _FLOAT or len(shape) != 2:
            raise ValueError("its output 'features' is not float32 (batch, d)")
        return shape[1]


def _has_size(tensor: Message, count: int, item_size: float) -> bool:
    """Whether a tensor holds `count` numbers. Raw data take `item_size` bytes per number."""
    data_fields = [number for number in (_RAW, *_FIXED, *_VARINTS) if tensor[number]]
    if len(data_fields) > 1:
        return False
    if not data_fields or data_fields == [_RAW]:
        return sum(len(_bytes(raw)) for raw in tensor[_RAW]) == -(-count * item_size // 1)
    (number,) = data_fields
    length = sum(_count_numbers(value, _FIXED.get(number)) for value in tensor[number])
    return length == count or (item_size < 1 and length == -(-count // 2))


def _count_numbers(value: int | memoryview, item_size: int | None) -> float:
    """The count of numbers in a data field: one, or many where they are packed."""
    if isinstance(value, int):
        return 1
    if item_size is not None:
        return len(value) / item_size
    return int(np.count_nonzero(np.frombuffer(value, np.uint8) < 128))  # the last byte of each is below 128


def _single(values: Message, number: int) -> memoryview:
    if not values[number]:
        raise ValueError("it is no ONNX file, or damaged")
    return _bytes(values[number][0])


def _bytes(value: int | memoryview) -> memoryview:
    if isinstance(value, int):
        raise ValueError("it is no ONNX file, or damaged")
    return value


def _number(values: Message, number: int) -> int:
    value = values[number][0] if values[number] else 0
    if not isinstance(value, int):
        raise ValueError("it is no ONNX file, or damaged")
    return value


def _text(values: Message, number: int) -> bytes:
    return bytes(_bytes(values[number][0])) if values[number] else b""
