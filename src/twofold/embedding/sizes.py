"""How much room a network takes while it runs, told before it is compiled."""

from math import prod
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import openvino

# Numbers, of one tensor and of all together, for each number of the input: networks for images take some 20 and 1,000.
_ONE: Final = 256
_ALL: Final = 16_384
_LEAST: Final = 2**26  # of one tensor; 64 times as much of all together


def check_sizes(model: "openvino.Model") -> None:
    """ValueError where a tensor is of no size that can be told, or takes more room than that of any network for images."""
    pixels = prod(model.input().get_shape())
    one, every = max(_ONE * pixels, _LEAST), max(_ALL * pixels, 64 * _LEAST)
    total = 0
    for node in model.get_ops():
        for number in range(node.get_output_size() if node.get_type_name() != "Constant" else 0):
            shape = node.get_output_partial_shape(number)
            if shape.is_dynamic:
                raise ValueError(f"the size of {node.get_friendly_name()!r} cannot be told before it runs")
            size = _size(shape)
            total += size
            if size > one or total > every:
                raise ValueError(f"{node.get_friendly_name()!r} takes more room than a network for images does")


def _size(shape: "openvino.PartialShape") -> int:
    """How many numbers; read from text, because a side takes OpenVINO's Python ten microseconds, and its own product may wrap."""
    sides = shape.to_string().strip("[]")
    return prod(map(int, sides.split(","))) if sides else 1
