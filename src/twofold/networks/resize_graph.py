"""Preprocessing as ONNX: the operators from the pixels of an upright image of any size to its model inputs.

Resizing is two matrix products, one along each axis, with the weights of Pillow's filters (`precompute_coeffs` in its Resample.c)
and rounding to 8 bits after each, as there. In float64 the result is Pillow's to the bit; a runtime that computes it in float32
gives another number for one pixel in a thousand. The operator Resize with `antialias` has the same filters, but takes no area
with fractions of pixels, as `center` and windows have, and is not in every runtime. Only operators that mean the same in every
opset from 11 on are used.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Final

import numpy as np
from onnx import GraphProto, NodeProto, TensorProto, helper, numpy_helper

from twofold.data import GREY, WINDOW_OVERLAP, Crop, Preprocessing

MIN_OPSET: Final = 11
PREFIX: Final = "resizing."
_UNIT: Final = 2.0**22  # weights are multiples of its inverse, as in Pillow
_CUBIC: Final = -0.5  # of Pillow's bicubic filter, which reaches twice as far as the bilinear one


@dataclass(slots=True)
class ResizeGraph:
    """Operators and constants that compute `model_inputs`, uint8 (k, size, size, 3), from `pixels`, uint8 (height, width, 3).

    Each method returns the name of a tensor.
    """

    preprocessing: Preprocessing
    nodes: list[NodeProto] = field(default_factory=list)
    constants: dict[str, TensorProto] = field(default_factory=dict)  # by their value
    numbers: Iterator[int] = field(default_factory=count)  # in the names of tensors

    def build(self, pixels: str, model_inputs: str) -> None:
        """Adds all operators."""
        sizes = self.add("Cast", self.add("Shape", pixels), to=TensorProto.DOUBLE)
        height, width = (self.add("Gather", sizes, self.integers([axis]), axis=0) for axis in (0, 1))
        channels = self.add("Transpose", self.add("Cast", pixels, to=TensorProto.DOUBLE), perm=[2, 0, 1])
        grids = (*(crop for crop in self.preprocessing.crops if crop.grid == 1), *map(_grid, self.preprocessing.views))
        parts = [self._model_inputs(channels, height, width, crop) for crop in grids]
        joined = self.add("Concat", *parts, axis=0) if len(parts) > 1 else parts[0]
        self.nodes.append(helper.make_node("Cast", [joined], [model_inputs], name=model_inputs, to=TensorProto.UINT8))

    def add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        name = f"{PREFIX}{operator}{next(self.numbers)}"
        self.nodes.append(helper.make_node(operator, inputs, [name], name=name, **attributes))
        return name

    def number(self, value: float) -> str:
        return self._constant(np.float64(value))

    def integers(self, values: Sequence[int]) -> str:
        return self._constant(np.array(values, np.int64))

    def _constant(self, value: Any) -> str:
        key = f"{value.dtype}{value.tolist()}"
        if key not in self.constants:
            self.constants[key] = numpy_helper.from_array(np.asarray(value), f"{PREFIX}constant{len(self.constants)}")
        return self.constants[key].name

    def _model_inputs(self, channels: str, height: str, width: str, crop: Crop) -> str:
        """The model inputs of one crop mode, or of all windows of a grid, float (n, size, size, 3)."""
        size, grid = self.preprocessing.size, crop.grid
        inner_height, inner_width = (
            self._inner_size(*sides) if crop.crop_mode == "pad" else self.number(size)
            for sides in ((height, width), (width, height))
        )
        across, inside_across = self._weights(width, height, inner_width, crop)
        down, inside_down = self._weights(height, width, inner_height, crop)
        height_first = self._height_first(height, width, inner_height, inner_width)
        resized = self._resize(channels, down, self.add("Transpose", across, perm=[1, 0]), height_first)
        if crop.crop_mode == "pad":
            inside = self.add("And", self.add("Reshape", inside_down, self.integers([-1, 1])), inside_across)
            resized = self.add("Where", inside, resized, self.number(GREY))
        windows = self.add("Reshape", resized, self.integers([3, grid, size, grid, size]))
        in_order = self.add("Transpose", windows, perm=[1, 3, 2, 4, 0])  # row by row, with the channels at the end
        return self.add("Reshape", in_order, self.integers([grid**2, size, size, 3]))

    def _resize(self, channels: str, down: str, across: str, order: str) -> str:
        """The channels (3, height, width) resized by both weights; `order` is whether along the height first. It matters, because
        the first result is rounded and clipped to 8 bits."""
        first, second = self._branch(), self._branch()
        first._eight_bits(first.add("MatMul", first._eight_bits(first.add("MatMul", down, channels)), across))
        second._eight_bits(second.add("MatMul", down, second._eight_bits(second.add("MatMul", channels, across))))
        return self.add("If", order, then_branch=first._as_graph(), else_branch=second._as_graph())

    def _branch(self) -> "ResizeGraph":
        return ResizeGraph(self.preprocessing, constants=self.constants, numbers=self.numbers)

    def _as_graph(self) -> GraphProto:
        """The operators as the branch of an If, whose result is that of the last."""
        output = helper.make_tensor_value_info(self.nodes[-1].output[0], TensorProto.DOUBLE, None)
        return helper.make_graph(self.nodes, f"{PREFIX}branch{next(self.numbers)}", [], [output])

    def _height_first(self, height: str, width: str, inner_height: str, inner_width: str) -> str:
        """Whether Pillow resizes along the height first: where that removes more than twice as many rows as there are columns to
        remove. (Pillow 13; versions without this choice start with the width, which changes few pixels by more than 1/255.)"""
        rows, columns = self.add("Sub", height, inner_height), self.add("Sub", width, inner_width)
        limit = self.add("Max", self.add("Mul", columns, self.number(2)), self.number(0))
        return self.add("Less", limit, rows)

    def _eight_bits(self, values: str) -> str:
        """The values rounded half up, from 0 to 255."""
        rounded = self.add("Floor", self.add("Add", values, self.number(0.5)))
        return self.add("Min", self.add("Max", rounded, self.number(0)), self.number(255))

    def _weights(self, length: str, other: str, inner: str, crop: Crop) -> tuple[str, str]:
        """The weights of each pixel of an axis of the image in each pixel of the model inputs, (n * size, length), and whether
        that pixel lies inside the image, (n * size,). `other` is the length of the other axis, `inner` how many pixels of a model
        input show the image."""
        size = self.preprocessing.size
        positions = self._constant(np.tile(np.arange(size, dtype=np.float64) + 0.5, crop.grid))
        starts, ends = (self._single(edge) for edge in self._area(length, other, crop))
        inside = ""
        if crop.crop_mode == "pad":
            margin = self.add("Round", self.add("Div", self.add("Sub", self.number(size), inner), self.number(2)))
            positions = self.add("Sub", positions, margin)
            below = self.add("Less", positions, inner)
            inside = self.add("And", self.add("Less", self.number(0), positions), below)
        scale = self.add("Div", self._single(self.add("Sub", ends, starts)), inner)
        centres = self.add("Add", starts, self.add("Mul", positions, scale))
        return self._filter(length, centres, scale), inside

    def _filter(self, length: str, centres: str, scale: str) -> str:
        """The weights of pixels for output pixels with these centres, (n,) -> (n, length), as in Pillow. Rows have the sum 1."""
        zero, one = (self.number(value) for value in (0, 1))
        scalar = self.add("Reshape", length, self.integers([]))
        pixels = self.add("Add", self.add("Range", zero, scalar, one), self.number(0.5))
        column = self.integers([-1, 1])
        offsets = self.add("Sub", pixels, self.add("Reshape", centres, column))
        width = self.add("Reshape", self.add("Max", scale, one), column)
        distances = self.add("Div", self.add("Abs", offsets), width)
        cubic = self.preprocessing.filter == "bicubic"
        weights = self._cubic(distances) if cubic else self.add("Relu", self.add("Sub", one, distances))
        ones = self.add("Expand", one, self.add("Concat", self._int(length), self.integers([1]), axis=0))
        fractions = self.add("Div", weights, self.add("MatMul", weights, ones))
        unit = self.number(_UNIT)
        return self.add(
            "Div", self.add("Floor", self.add("Add", self.add("Mul", fractions, unit), self.number(0.5))), unit
        )

    def _int(self, value: str) -> str:
        return self.add("Cast", value, to=TensorProto.INT64)

    def _cubic(self, x: str) -> str:
        """Keys' cubic of distances: ((a + 2) x - (a + 3)) x² + 1 below 1, then a (((x - 5) x + 8) x - 4) below 2."""
        a, square = _CUBIC, self.add("Mul", x, x)
        near = self.add("Sub", self.add("Mul", x, self.number(a + 2)), self.number(a + 3))
        near = self.add("Add", self.add("Mul", near, square), self.number(1))
        far = self.add("Add", self.add("Mul", self.add("Sub", x, self.number(5)), x), self.number(8))
        far = self.add("Mul", self.add("Sub", self.add("Mul", far, x), self.number(4)), self.number(a))
        far = self.add("Where", self.add("Less", x, self.number(2)), far, self.number(0))
        return self.add("Where", self.add("Less", x, self.number(1)), near, far)

    def _area(self, length: str, other: str, crop: Crop) -> tuple[str, str]:
        """Where model inputs start and end on an axis of the image, as one number or for each of their pixels: as
        `data.preprocessing.input_axes`."""
        if crop.grid > 1:
            side = WINDOW_OVERLAP / crop.grid
            starts = np.repeat(np.arange(crop.grid) * ((1 - side) / (crop.grid - 1)), self.preprocessing.size)
            ends = np.minimum(starts + side, 1)
            return self.add("Mul", self._constant(starts), length), self.add("Mul", self._constant(ends), length)
        if crop.crop_mode == "center":
            side_length = self.add("Mul", self.add("Min", length, other), self.number(self.preprocessing.crop_pct))
            edges = (self.add(operator, length, side_length) for operator in ("Sub", "Add"))
            start, end = (self.add("Div", edge, self.number(2)) for edge in edges)
            return start, end
        return self.number(0), length

    def _single(self, value: str) -> str:
        """The value rounded to float32, in which Pillow computes the edges of an area and its size."""
        return self.add("Cast", self.add("Cast", value, to=TensorProto.FLOAT), to=TensorProto.DOUBLE)

    def _inner_size(self, length: str, other: str) -> str:
        """The pixels of a padded model input that an axis of the image takes."""
        size = self.number(self.preprocessing.size)
        rounded = self.add("Round", self.add("Mul", self.add("Div", length, other), size))
        return self.add("Min", self.add("Max", rounded, self.number(1)), size)


def _grid(grid: int) -> Crop:
    """A crop that stands for all windows of a grid."""
    return Crop("squash", grid)
