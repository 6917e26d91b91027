"""Tables and weights -> one ONNX graph, batch norm folded, in float or with quantised arithmetic written into it.

Input `image`: uint8 (batch, size, size, 3), RGB. Outputs `features`: float32 (batch, d) and `feature_map`: the map before pooling.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from twofold.core.options import FeatureSet
from twofold.networks.architectures import Architecture, Stage, keys
from twofold.networks.quantization import output_shift, relu6_mean, round_weights
from twofold.networks.torch_file import Weights

OPSET = 17
Ranges = Mapping[str, tuple[float, float]]
_ROUNDED = ".rounded"


def build_graph(
    table: Architecture, weights: Weights, *, size: int, features: FeatureSet, ranges: Ranges | None = None
) -> onnx.ModelProto:
    """The network as ONNX. With `ranges` (lowest and highest value of every tensor it rounds) its convolutions are int8."""
    net = _Net(table, weights, ranges)
    # What is rounded this early is lost to dark and even pictures; the stem and the filter behind it cost 3% of the time.
    x = net.unit("stem", net.normalised(), size, kernel=3, stride=2, quantised=False)
    side, block, parts = -(-size // 2), 0, []
    for stage in table.stages:
        for repeat in range(stage.repeats):
            stride = stage.stride if repeat == 0 else 1
            x = net.block(block, stage, x, side, stride, residual=repeat > 0)
            side, block = -(-side // stride), block + 1
        if features == "stages":
            parts += net.moments(x, f"stage{block}")
    feature_map = net.unit("last", x, side, kernel=1, quantised=False)
    parts.append(net.add("GlobalAveragePool", feature_map, name="pooled"))
    net.add("Flatten", net.add("Concat", *parts, name="parts", axis=1), name="features")
    net.add("Identity", feature_map, name="feature_map")
    return net.model(size)


@dataclass
class _Net:
    """The graph while it grows: each method adds nodes and hands back the name of the tensor they make."""

    table: Architecture
    weights: Weights
    ranges: Ranges | None
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: list[onnx.TensorProto] = field(default_factory=list)
    means: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    """What each channel of a tensor is on average, (channels,), where batch norm tells."""

    def add(self, kind: str, *inputs: str, name: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name

    def constant(self, name: str, values: NDArray[Any]) -> str:
        self.constants.append(numpy_helper.from_array(values, name))
        return name

    def normalised(self) -> str:
        """Pixels as the network was trained on them, (batch, 3, size, size)."""
        mean, std = np.array(self.table.mean, np.float32), np.array(self.table.std, np.float32)
        x = self.add("Cast", "image", name="pixels", to=TensorProto.FLOAT)
        x = self.add("Sub", x, self.constant("mean", mean), name="centred")
        x = self.add("Div", x, self.constant("std", std), name="scaled")
        return self.add("Transpose", x, name="input", perm=[0, 3, 1, 2])

    def block(self, index: int, stage: Stage, x: str, side: int, stride: int, *, residual: bool) -> str:
        """An inverted residual: widen, filter each channel, narrow, add."""
        name, y = f"block{index}", x
        if stage.expand > 1:
            y = self.unit(f"{name}.expand", y, side, kernel=1)
        y = self.unit(f"{name}.depthwise", y, side, kernel=stage.kernel, stride=stride)
        y = self.conv(f"{name}.project", y, side, kernel=1)
        return self.quantised(self.add("Add", y, x, name=name) if residual else y)

    def unit(self, name: str, x: str, side: int, *, kernel: int, stride: int = 1, quantised: bool = True) -> str:
        """Convolution and ReLU6."""
        low, high = (self.constant(f"{name}.{end}", np.array(at, np.float32)) for end, at in (("low", 0), ("high", 6)))
        y = self.add("Clip", self.conv(f"{name}.conv", x, side, kernel=kernel, stride=stride), low, high, name=name)
        if quantised and self.ranges is not None:
            y = self.quantised(y)
            self.means[y] = relu6_mean(*self.normal(name))
        return y

    def conv(self, name: str, x: str, side: int, *, kernel: int, stride: int = 1) -> str:
        weight, bias = self.folded(name.removesuffix(".conv"))
        groups = weight.shape[0] if weight.shape[1] == 1 and kernel > 1 else 1
        return self.add(
            "Conv",
            x,
            *self.parameters(name, weight, bias, x),
            name=name,
            kernel_shape=[kernel, kernel],
            strides=[stride, stride],
            pads=_pads(self.table.padding, side, kernel, stride),
            group=groups,
        )

    def folded(self, unit: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Weight and bias of a convolution with its batch norm multiplied in."""
        conv, norm = keys(unit, self.table)
        shift, gain = self.normal(unit)
        mean, variance = self.weights[f"{norm}.running_mean"], self.weights[f"{norm}.running_var"]
        scale = gain / np.sqrt(variance + self.table.epsilon)
        weight = self.weights[f"{conv}.weight"] * scale[:, None, None, None]
        return weight.astype(np.float32), (shift - mean * scale).astype(np.float32)

    def normal(self, unit: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Mean and deviation that batch norm gives each channel of a convolution, (channels,)."""
        _, norm = keys(unit, self.table)
        return self.weights[f"{norm}.bias"], self.weights[f"{norm}.weight"]

    def moments(self, x: str, name: str) -> list[str]:
        """Mean and standard deviation of every channel over the map, each (batch, channels, 1, 1)."""
        mean = self.add("ReduceMean", x, name=f"{name}.mean", axes=[2, 3])
        # Not E[x²] - E[x]²: in float32 that loses the small deviations.
        off = self.add("Sub", x, mean, name=f"{name}.off")
        variance = self.add(
            "ReduceMean", self.add("Mul", off, off, name=f"{name}.square"), name=f"{name}.variance", axes=[2, 3]
        )
        return [mean, self.add("Sqrt", variance, name=f"{name}.deviation")]

    def quantised(self, x: str) -> str:
        """`x` rounded to 256 levels of its range; `x` itself in a float graph."""
        if self.ranges is None:
            return x
        low, high = self.ranges[x]
        low, high = min(low, 0.0), max(high, 0.0)  # zero, which pads the maps, must be a level of its own
        scale = np.array((high - low) / 255, np.float32)
        step = self.constant(f"{x}.scale", scale)
        zero = self.constant(f"{x}.zero", np.array(np.clip(np.rint(-low / scale), 0, 255), np.uint8))
        return self.add(
            "DequantizeLinear",
            self.add("QuantizeLinear", x, step, zero, name=f"{x}.quantised"),
            step,
            zero,
            name=x + _ROUNDED,
        )

    def parameters(self, name: str, weight: NDArray[np.float32], bias: NDArray[np.float32], x: str) -> tuple[str, str]:
        """Weight and bias of a convolution of `x`: float, or where `x` is quantised int8 with a scale for every output channel.

        Where the mean of `x` is known, the bias takes back by how much that rounding shifts the output.
        """
        if not x.endswith(_ROUNDED):
            return self.constant(f"{name}.weight", weight), self.constant(f"{name}.bias", bias)
        stored, scale = round_weights(weight)
        if x in self.means:
            error = stored * scale[:, None, None, None] - weight
            bias = (bias - output_shift(error, self.means[x])).astype(np.float32)
        constants = (
            self.constant(f"{name}.weight.int8", stored),
            self.constant(f"{name}.weight.scale", scale),
            self.constant(f"{name}.weight.zero", np.zeros(scale.shape, np.int8)),
        )
        return self.add("DequantizeLinear", *constants, name=f"{name}.weight", axis=0), self.constant(
            f"{name}.bias", bias
        )

    def model(self, size: int) -> onnx.ModelProto:
        image = helper.make_tensor_value_info("image", TensorProto.UINT8, ["batch", size, size, 3])
        outputs = [
            helper.make_tensor_value_info("features", TensorProto.FLOAT, ["batch", None]),
            helper.make_tensor_value_info("feature_map", TensorProto.FLOAT, ["batch", self.table.last, None, None]),
        ]
        graph = helper.make_graph(self.nodes, self.table.name, [image], outputs, self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="twofold")
        model.ir_version = 9  # older runtimes read it; nothing here needs more
        return onnx.shape_inference.infer_shapes(model, strict_mode=True)


def _pads(padding: str, side: int, kernel: int, stride: int) -> list[int]:
    """Top, left, bottom, right. 'same' is TensorFlow's: as little as gives ceil(side / stride), the odd pixel at the end."""
    if padding == "symmetric":
        return [(kernel - 1) // 2] * 4
    total = max((-(-side // stride) - 1) * stride + kernel - side, 0)
    return [total // 2, total // 2, total - total // 2, total - total // 2]
