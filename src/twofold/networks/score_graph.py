"""The scores of an image as ONNX: the operators from the features of its model inputs to logit, probability and familiarity.

Only operators that mean the same in every opset from 7 on are used, because a user's network brings its own. The encoding is that
of the onnx package; loading a bundle does not import it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from twofold.data import Preprocessing
from twofold.networks.protobuf import write_field

NODE, INITIALIZER, OUTPUT = 1, 5, 12
"""Numbers of the fields of a graph."""

FAMILIARITY: Final = {"mean": np.float32, "axes": np.float16, "knots": np.float32, "levels": np.float32}
"""The arrays of a familiarity, with their dtypes; each is the constant `familiarity.NAME`."""

PREFIX: Final = "familiarity."
_ELEMENT_TYPES: Final = {np.dtype(np.float32): 1, np.dtype(np.int64): 7, np.dtype(np.float16): 10}
_FLOAT: Final = 1
_INT_ATTRIBUTE: Final = 2
TINY: Final = 1e-12  # both as in decision.familiarity
NEAR: Final = 0.01


@dataclass(frozen=True, slots=True, eq=False)
class Scoring:
    """What the scores of an image are computed from, beside the features of its model inputs.

    `weights` (d,) and `bias` are those of the head; `calibration` is (slope, intercept, low, high). `familiarity` has the arrays
    of `FAMILIARITY`, which take the ranges `parts` of the features; it is empty for a model without one.
    """

    preprocessing: Preprocessing
    weights: NDArray[np.float32] = field(repr=False)
    bias: float
    calibration: tuple[float, float, float, float]
    parts: tuple[tuple[int, int], ...] = ()
    familiarity: Mapping[str, NDArray[Any]] = field(default_factory=dict, repr=False)

    def encode(self) -> dict[int, bytes]:
        """The fields that the scores add to a graph, by field number."""
        graph = _ScoreGraph()
        count = len(self.preprocessing.crops)
        features = "features" if count == 1 else _pool(graph, self.preprocessing, self.weights.size)
        _add_logit(graph, features, self)
        _add_probability(graph, self.calibration)
        if self.familiarity:
            _add_familiarity(graph, features, self.parts, self.familiarity)
        for name in ("logit", "probability", *(["familiarity"] if self.familiarity else [])):
            graph.outputs.append(_encode_output(name, "batch" if count == 1 else "images"))
        messages = {NODE: graph.nodes, INITIALIZER: graph.constants, OUTPUT: graph.outputs}
        return {
            number: b"".join(write_field(number, message) for message in field) for number, field in messages.items()
        }


@dataclass(slots=True)
class _ScoreGraph:
    """Encoded operators, constants and outputs. Each method returns the name of a tensor."""

    nodes: list[bytes] = field(default_factory=list)
    constants: list[bytes] = field(default_factory=list)
    outputs: list[bytes] = field(default_factory=list)

    def add(self, operator: str, *inputs: str, name: str, **attributes: int) -> str:
        fields = [*(write_field(1, tensor) for tensor in inputs), write_field(2, name), write_field(3, name)]
        fields += [write_field(4, operator)]
        fields += [write_field(5, _encode_attribute(key, value)) for key, value in attributes.items()]
        self.nodes.append(b"".join(fields))
        return name

    def constant(self, name: str, values: Any, dtype: Any = np.float32) -> str:
        array = np.asarray(values, dtype)
        raw = array.astype(array.dtype.newbyteorder("<")).tobytes()
        dimensions = (write_field(1, size) for size in array.shape)
        element_type = write_field(2, _ELEMENT_TYPES[array.dtype])
        self.constants.append(b"".join((*dimensions, element_type, write_field(8, name), write_field(9, raw))))
        return name

    def squares(self, rows: str, width: int, name: str) -> str:
        """The sum of the squares of each row, (n, w) -> (n, 1)."""
        products = self.add("Mul", rows, rows, name=f"{name}.products")
        return self.add("MatMul", products, self.constant(f"{name}.ones", np.ones((width, 1))), name=name)


def _pool(graph: _ScoreGraph, preprocessing: Preprocessing, width: int) -> str:
    """The features of each image, (images, d), from those of its k model inputs one after the other, as `Preprocessing.pool`."""
    grids = np.array([crop.grid for crop in preprocessing.crops])
    shape = graph.constant("crops.shape", [-1, len(grids), width // preprocessing.moments], np.int64)
    rows = graph.add("Reshape", "features", shape, name="crops")
    moments = [_mean(graph, rows, grids == 1, "whole")]
    for grid in preprocessing.views:
        name = f"windows{grid}"
        offsets = graph.add("Sub", rows, _mean(graph, rows, grids == grid, name), name=f"{name}.offsets")
        squares = graph.add("Mul", offsets, offsets, name=f"{name}.squares")
        variance = graph.add("MatMul", f"{name}.weights", squares, name=f"{name}.variance")
        moments.append(graph.add("Sqrt", variance, name=f"{name}.std"))
    parts = graph.add("Concat", *moments, name="image.parts", axis=2) if len(moments) > 1 else moments[0]
    return graph.add("Reshape", parts, graph.constant("image.shape", [-1, width], np.int64), name="image.features")


def _mean(graph: _ScoreGraph, rows: str, chosen: NDArray[np.bool_], name: str) -> str:
    """The mean over the chosen model inputs of each image, (images, k, d) -> (images, 1, d)."""
    weights = graph.constant(f"{name}.weights", (chosen / chosen.sum())[None, :])
    return graph.add("MatMul", weights, rows, name=f"{name}.mean")


def _add_logit(graph: _ScoreGraph, features: str, scoring: Scoring) -> None:
    weights = graph.constant("head.weights", scoring.weights[:, None])
    column = graph.add("Gemm", features, weights, graph.constant("head.bias", [scoring.bias]), name="head.column")
    graph.add("Reshape", column, graph.constant("head.shape", [-1], np.int64), name="logit")


def _add_probability(graph: _ScoreGraph, calibration: tuple[float, float, float, float]) -> None:
    slope, intercept, low, high = calibration
    scaled = graph.add("Mul", "logit", graph.constant("calibration.slope", slope), name="calibration.scaled")
    shifted = graph.add("Add", scaled, graph.constant("calibration.intercept", intercept), name="calibration.shifted")
    fraction = graph.add("Sigmoid", shifted, name="calibration.fraction")
    span = graph.add("Mul", fraction, graph.constant("calibration.span", high - low), name="calibration.above")
    graph.add("Add", span, graph.constant("calibration.low", low), name="probability")


def _add_familiarity(
    graph: _ScoreGraph, features: str, parts: tuple[tuple[int, int], ...], arrays: Mapping[str, NDArray[Any]]
) -> None:
    mean, axes, knots, levels = (
        graph.constant(PREFIX + name, arrays[name], dtype) for name, dtype in FAMILIARITY.items()
    )
    width = arrays["mean"].size
    offsets = graph.add("Sub", _unit_vectors(graph, features, parts), mean, name=f"{PREFIX}offsets")
    axes = graph.add("Cast", axes, name=f"{PREFIX}axes.float", to=_FLOAT)
    columns = graph.add("Transpose", axes, name=f"{PREFIX}axes.columns")
    inside = graph.add(
        "MatMul", graph.add("MatMul", offsets, columns, name=f"{PREFIX}along"), axes, name=f"{PREFIX}inside"
    )
    outside = graph.add("Sub", offsets, inside, name=f"{PREFIX}outside")
    distance = graph.add(
        "Add",
        graph.squares(offsets, width, f"{PREFIX}whole"),
        graph.constant(f"{PREFIX}near", NEAR),
        name=f"{PREFIX}far",
    )
    divisor = graph.add("Sqrt", distance, name=f"{PREFIX}divisor")
    rest = graph.add("Div", graph.squares(outside, width, f"{PREFIX}left"), divisor, name=f"{PREFIX}rest")
    _interpolate(graph, rest, knots, levels, arrays["knots"].size)


def _unit_vectors(graph: _ScoreGraph, features: str, parts: tuple[tuple[int, int], ...]) -> str:
    """The parts of the features, each with the length 1, and scaled to the length 1 together."""
    units = []
    for number, (start, end) in enumerate(parts):
        name = f"{PREFIX}part{number}"
        columns = graph.constant(f"{name}.columns", np.arange(start, end), np.int64)
        part = graph.add("Gather", features, columns, name=name, axis=1)
        tiny = graph.constant(f"{name}.tiny", TINY)
        length = graph.add("Sqrt", graph.squares(part, end - start, f"{name}.squares"), name=f"{name}.length")
        length = graph.add("Add", length, tiny, name=f"{name}.divisor")
        units.append(graph.add("Div", part, length, name=f"{name}.unit"))
    if len(units) == 1:
        return units[0]
    joined = graph.add("Concat", *units, name=f"{PREFIX}parts", axis=1)
    return graph.add("Mul", joined, graph.constant(f"{PREFIX}scale", 1 / np.sqrt(len(parts))), name=f"{PREFIX}unit")


def _interpolate(graph: _ScoreGraph, values: str, knots: str, levels: str, count: int) -> None:
    """Linear interpolation of values (n, 1) from the highest knot down, where the levels are lowest and need most digits."""
    lower = graph.constant(f"{PREFIX}lower", np.arange(count - 1), np.int64)
    upper = graph.constant(f"{PREFIX}upper", np.arange(1, count), np.int64)
    last = graph.constant(f"{PREFIX}last", [count - 1], np.int64)
    ends = graph.add("Gather", knots, upper, name=f"{PREFIX}ends", axis=0)
    widths = graph.add(
        "Sub", ends, graph.add("Gather", knots, lower, name=f"{PREFIX}starts", axis=0), name=f"{PREFIX}widths"
    )
    steps = graph.add(
        "Sub",
        graph.add("Gather", levels, lower, name=f"{PREFIX}before", axis=0),
        graph.add("Gather", levels, upper, name=f"{PREFIX}after", axis=0),
        name=f"{PREFIX}steps",
    )
    below = graph.add("Relu", graph.add("Sub", ends, values, name=f"{PREFIX}distance"), name=f"{PREFIX}below")
    above = graph.add("Relu", graph.add("Sub", widths, below, name=f"{PREFIX}beyond"), name=f"{PREFIX}above")
    fractions = graph.add(
        "Div", graph.add("Sub", widths, above, name=f"{PREFIX}reach"), widths, name=f"{PREFIX}fractions"
    )
    shape = graph.constant(f"{PREFIX}column", [-1, 1], np.int64)
    gained = graph.add(
        "MatMul", fractions, graph.add("Reshape", steps, shape, name=f"{PREFIX}gains"), name=f"{PREFIX}gained"
    )
    lowest = graph.add("Gather", levels, last, name=f"{PREFIX}lowest", axis=0)
    total = graph.add("Add", gained, lowest, name=f"{PREFIX}total")
    graph.add("Reshape", total, graph.constant(f"{PREFIX}shape", [-1], np.int64), name="familiarity")


def _encode_attribute(name: str, value: int) -> bytes:
    """An encoded AttributeProto of an integer."""
    return write_field(1, name) + write_field(3, value) + write_field(20, _INT_ATTRIBUTE)


def _encode_output(name: str, dimension: str) -> bytes:
    """An encoded ValueInfoProto, float32 (dimension,)."""
    shape = write_field(1, write_field(2, dimension))
    value_type = write_field(1, write_field(1, _FLOAT) + write_field(2, shape))
    return write_field(1, name) + write_field(2, value_type)
