"""The tensors that a network pools to features: each feature is a mean or a standard deviation of a channel over places.

They are recognised by the operators of the graph, so it does not matter where the network comes from.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import openvino

_RESHAPES: Final = {"Reshape", "Squeeze", "Unsqueeze", "Identity"}
_LAYOUTS: Final[dict[tuple[int, ...], bool]] = {
    (2, 3): False,
    (1, 2): True,
}  # axes of a pooling -> whether the channels are last


@dataclass(frozen=True, slots=True, eq=False)
class PooledTensor:
    """A tensor that is pooled to one range of the features: by its mean, or to its standard `deviations`.

    `places` is (n, channels, h, w), or (n, h, w, channels) where `channels_last`. `mean` is its mean over places.
    """

    places: "openvino.Output" = field(repr=False)
    mean: "openvino.Output" = field(repr=False)
    channels_last: bool
    deviations: "openvino.Output | None" = None

    @property
    def name(self) -> tuple[str, int]:
        """What identifies the tensor within its graph."""
        return _key(self.places)

    @property
    def side(self) -> tuple[int, int]:
        """The number of places, (h, w)."""
        shape = self.places.get_shape()
        height, width = shape[1:3] if self.channels_last else shape[2:]
        return int(height), int(width)

    @property
    def channels(self) -> int:
        shape = self.places.get_shape()
        return int(shape[3] if self.channels_last else shape[1])


def find_pooled_tensors(model: "openvino.Model") -> tuple[PooledTensor, ...] | None:
    """The pooled tensors in the order of the features of a network with known shapes; None where a feature is anything else."""
    features = next(output for output in model.outputs if "features" in output.get_names())
    pooled = []
    for part in _parts(features.get_node().input_value(0)):
        tensor = _mean(part) or _deviation(part)
        if tensor is None:
            return None
        pooled.append(tensor)
    return tuple(pooled)


def _parts(tensor: "openvino.Output") -> Iterator["openvino.Output"]:
    """The tensors that are joined to the features, in order."""
    tensor = _without_reshapes(tensor)
    node = tensor.get_node()
    if node.get_type_name() != "Concat" or node.get_attributes()["axis"] not in (1, 1 - len(tensor.get_shape())):
        yield tensor
        return
    for number in range(node.get_input_size()):
        yield from _parts(node.input_value(number))


def _without_reshapes(tensor: "openvino.Output") -> "openvino.Output":
    """The tensor before reshapes that keep the numbers of each image together."""
    while True:
        node = tensor.get_node()
        if node.get_type_name() not in _RESHAPES:
            return tensor
        before = node.input_value(0)
        if before.get_shape()[:1] != tensor.get_shape()[:1] or prod(before.get_shape()) != prod(tensor.get_shape()):
            return tensor
        tensor = before


def _mean(tensor: "openvino.Output") -> PooledTensor | None:
    """The pooled tensor of which this is the mean."""
    node = tensor.get_node()
    if node.get_type_name() != "ReduceMean":
        return None
    channels_last = _LAYOUTS.get(_pooled_axes(node))
    return None if channels_last is None else PooledTensor(node.input_value(0), tensor, channels_last)


def _deviation(tensor: "openvino.Output") -> PooledTensor | None:
    """The pooled tensor of which this is the standard deviation: Sqrt(ReduceMean((x - ReduceMean(x))²))."""
    if tensor.get_node().get_type_name() != "Sqrt":
        return None
    variance = _mean(tensor.get_node().input_value(0))
    if variance is None or (centred := _root(variance.places)) is None:
        return None
    node = centred.get_node()
    if node.get_type_name() != "Subtract":
        return None
    mean = _mean(node.input_value(1))
    if mean is None or mean.name != _key(node.input_value(0)) or mean.channels_last != variance.channels_last:
        return None
    return PooledTensor(mean.places, mean.mean, mean.channels_last, tensor)


def _root(tensor: "openvino.Output") -> "openvino.Output | None":
    """The tensor of which this is the square; None where it is no product of a tensor with itself."""
    node = tensor.get_node()
    if node.get_type_name() != "Multiply" or _key(node.input_value(0)) != _key(node.input_value(1)):
        return None
    return node.input_value(0)


def _pooled_axes(node: "openvino.Node") -> tuple[int, ...]:
    """The axes of a mean over a tensor of rank 4; empty where they are not known, or the rank is another."""
    shape = tuple(node.input_value(0).get_shape())
    if len(shape) != 4:
        return ()
    axes = node.input_value(1).get_node()
    if axes.get_type_name() == "Constant":
        return tuple(sorted(int(axis) % 4 for axis in axes.get_data().ravel()))
    # A global pooling computes its axes from the rank of the tensor.
    is_global = tuple(node.output(0).get_shape()) == (*shape[:2], 1, 1)
    return (2, 3) if is_global and axes.get_type_name() == "Range" else ()


def _key(tensor: "openvino.Output") -> tuple[str, int]:
    return tensor.get_node().get_name(), tensor.get_index()
