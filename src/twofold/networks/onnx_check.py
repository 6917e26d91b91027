"""Is this ONNX a network that may be run: pixels in, a vector out, whole in itself, of operators that come to an end?

Asked of the networks of strangers, and of one's own before they go into a bundle. Reads the bytes alone, without onnx.
"""

from collections import defaultdict
from math import prod
from typing import Final

import numpy as np

from twofold.core.errors import BackboneError
from twofold.networks.onnx_operators import ELEMENTWISE, OPERATORS
from twofold.networks.onnx_schema import (
    ATTRIBUTE,
    DIMENSION,
    GRAPH,
    MODEL,
    NODE,
    OPSET,
    SHAPE,
    TENSOR,
    TENSOR_TYPE,
    TYPE,
    VALUE,
)
from twofold.networks.protobuf import Kinds, Reader

MAX_NODES: Final = 10_000
MAX_ROW: Final = 500
"""Elementwise operators one after another: OpenVINO melts them together, 500 in half a second and 3,000 in more than a minute."""
_MAX_SIDES: Final = 16
_UINT8, _FLOAT = 2, 1
# Bytes of an element by its type in ONNX; types of 4 bits take half of one. Text and complex numbers are not here.
_BYTES: Final = {
    **dict.fromkeys((1, 6, 12), 4.0),
    **dict.fromkeys((2, 3, 9, 17, 18, 19, 20, 24), 1.0),
    **dict.fromkeys((4, 5, 10, 16), 2.0),
    **dict.fromkeys((7, 11, 13), 8.0),
    **dict.fromkeys((21, 22, 23), 0.5),
}
_RAW: Final = 9
_FIXED: Final = {4: 4, 10: 8}  # bytes of a number in float_data and double_data
_VARINTS: Final = (5, 7, 11)  # int32_data, int64_data, uint64_data

Message = dict[int, list[int | memoryview]]
"""The values of a message by the numbers of their fields."""


def check_network(graph: bytes, side: int) -> int | None:
    """The width of the vector, where the file tells it.

    ValueError, with the reason, where it is anything but a whole network from `image`, uint8 (batch, side, side, 3), to `features`,
    float32 (batch, d), and, where it has one, `feature_map`.
    """
    return _Check(side).width(graph)


def check_own(graph: bytes, side: int, name: str) -> None:
    """The same for a network of the user's, before work goes into a bundle that nobody could open. BackboneError names it."""
    try:
        check_network(graph, side)
    except ValueError as error:
        raise BackboneError(f"{name} cannot be used as a backbone: {error}; export it in another way.") from error


class _Check:
    """One check: its reader counts what it has read."""

    def __init__(self, side: int) -> None:
        self.side = side
        self.reader = Reader()

    def width(self, graph: bytes) -> int | None:
        model = self.message(memoryview(graph), MODEL)
        if not any(not _text(self.message(_bytes(each), OPSET), 1) for each in model[8]):
            raise ValueError("it names no version of ONNX's operators")
        net = self.message(_one(model, 7), GRAPH)
        self.check_input(net)
        constants = [self.tensor(_bytes(each)) for each in net[5]]
        made = self.check_nodes(net, constants)
        return self.check_outputs(net, made)

    def message(self, data: memoryview, kinds: Kinds) -> Message:
        values: Message = defaultdict(list)
        for field in self.reader.fields(data, kinds):
            values[field.number].append(field.value)
        return values

    def value(self, data: memoryview) -> tuple[bytes, int, list[int | None]]:
        """Name, type and shape of an input or output; None for a side that is open."""
        value = self.message(data, VALUE)
        kind = self.message(_one(self.message(_one(value, 2), TYPE), 1), TENSOR_TYPE)
        shape = self.message(_one(kind, 2), SHAPE)
        sides = [self.message(_bytes(each), DIMENSION) for each in shape[1]]
        return _text(value, 1), _number(kind, 1), [_number(side, 1) if side[1] else None for side in sides]

    def check_input(self, net: Message) -> None:
        expected = (b"image", _UINT8, [None, self.side, self.side, 3])
        if len(net[11]) != 1 or self.value(_bytes(net[11][0])) != expected:
            raise ValueError(f"its input is not 'image', uint8 (batch, {self.side}, {self.side}, 3)")

    def tensor(self, data: memoryview) -> bytes:
        """Its name. ValueError where it holds more or fewer numbers than its shape says, or none that are read here."""
        tensor = self.message(data, TENSOR)
        if any(tensor[14]):
            raise ValueError("it has data outside the file, which is not read here")
        sides, width = self.integers(tensor[1]), _BYTES.get(_number(tensor, 2))
        if width is None or len(sides) > _MAX_SIDES or not all(0 <= side < 2**31 for side in sides):
            raise ValueError("it has a tensor of a kind that is not read here")
        if not _fits(tensor, prod(sides), width):
            raise ValueError("it has a tensor with more or fewer numbers than its shape says")
        return _text(tensor, 8)

    def integers(self, values: list[int | memoryview]) -> list[int]:
        """Repeated numbers, written one by one or together."""
        if any(not isinstance(value, int) for value in values):
            raise ValueError("it has a tensor of a kind that is not read here")
        return [value for value in values if isinstance(value, int)]

    def check_nodes(self, net: Message, constants: list[bytes]) -> set[bytes]:
        """All that is known at the end. ValueError where a node reads what is not known yet, as in a circle."""
        if len(net[1]) > MAX_NODES:
            raise ValueError(f"it has {len(net[1]):,} operators, {MAX_NODES:,} is the limit")
        known = {b"image", *constants}
        if len(known) <= len(constants) or b"" in known:
            raise ValueError("two of its tensors have the same name, or one has none")
        rows: dict[bytes, int] = {}
        for each in net[1]:
            self.check_node(self.message(_bytes(each), NODE), known, rows)
        return known

    def check_node(self, node: Message, known: set[bytes], rows: dict[bytes, int]) -> None:
        kind, domain = _text(node, 4).decode(), _text(node, 7)
        if kind not in OPERATORS or domain not in (b"", b"ai.onnx"):
            raise ValueError(f"it has the operator {kind[:40]!r}, which is not run here")
        read = [bytes(_bytes(name)) for name in node[1]]
        made = [name for name in (bytes(_bytes(name)) for name in node[2]) if name]
        if not all(name in known for name in read if name):
            raise ValueError(f"its operator {kind} reads what is not computed before it")
        if known & set(made) or len(set(made)) < len(made):
            raise ValueError(f"its operator {kind} computes what is there already")
        known.update(made)
        if kind in ELEMENTWISE:
            row = 1 + max((rows.get(name, 0) for name in read), default=0)
            rows.update(dict.fromkeys(made, row))
            if row > MAX_ROW:
                raise ValueError(f"it has more than {MAX_ROW} elementwise operators in a row")
        for each in node[5]:
            self.check_attribute(self.message(_bytes(each), ATTRIBUTE))

    def check_attribute(self, attribute: Message) -> None:
        for tensor in (*attribute[5], *attribute[10]):
            self.tensor(_bytes(tensor))

    def check_outputs(self, net: Message, made: set[bytes]) -> int | None:
        found = {name: (kind, shape) for name, kind, shape in (self.value(_bytes(each)) for each in net[12])}
        if b"features" not in found or set(found) - {b"features", b"feature_map"} or len(found) != len(net[12]):
            raise ValueError("its outputs are not 'features' and, at most, 'feature_map'")
        if not set(found) <= made:
            raise ValueError("one of its outputs is computed by nothing")
        kind, shape = found[b"features"]
        if kind != _FLOAT or len(shape) != 2:
            raise ValueError("its output 'features' is not float32 (batch, d)")
        return shape[1]


def _fits(tensor: Message, count: int, width: float) -> bool:
    """Whether its data are `count` numbers, of `width` bytes each where they are raw."""
    filled = [number for number in (_RAW, *_FIXED, *_VARINTS) if tensor[number]]
    if len(filled) > 1:
        return False
    if not filled or filled == [_RAW]:
        return sum(len(_bytes(raw)) for raw in tensor[_RAW]) == -(-count * width // 1)
    (number,) = filled
    held = sum(_held(value, _FIXED.get(number)) for value in tensor[number])
    return held == count or (width < 1 and held == -(-count // 2))


def _held(value: int | memoryview, width: int | None) -> float:
    """How many numbers a field of a tensor's data holds: one, or many that are written together."""
    if isinstance(value, int):
        return 1
    if width is not None:
        return len(value) / width
    return int(np.count_nonzero(np.frombuffer(value, np.uint8) < 128))  # each ends with a byte below 128


def _one(values: Message, number: int) -> memoryview:
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
