"""The built-in networks as ONNX graphs, with batch norm folded in, in float or with int8 quantisation.

Input `image`: uint8 (n, size, size, 3), RGB. Outputs `features`: float32 (n, d), and `feature_map`: float32 (n, c, h, w), the map
before the pooling.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from twofold.core.options import FeatureSet
from twofold.networks.architectures import Architecture, Stage, layer_names, middle_blocks
from twofold.networks.quantization import output_shift, relu6_mean, round_weights
from twofold.networks.torch_file import WeightArrays

OPSET = 17
ActivationRanges = Mapping[str, tuple[float, float]]
"""Lowest and highest value of each tensor that an int8 graph quantises, by tensor name."""
_DEQUANTISED = ".rounded"


def build_graph(
    architecture: Architecture,
    weights: WeightArrays,
    *,
    size: int,
    features: FeatureSet,
    ranges: ActivationRanges | None = None,
) -> onnx.ModelProto:
    """The network as an ONNX model. With `ranges` its convolutions are int8, except for the stem and the last one."""
    net = _Net(architecture, weights, ranges)
    # Quantising here loses the detail of dark and uniform images; the stem and the filter after it take 3% of the time.
    x = net.unit("stem", net.normalise(), size, kernel=3, stride=2, quantised=False)
    side, block, pooled = -(-size // 2), 0, []
    for stage in architecture.stages:
        for repeat in range(stage.repeats):
            stride = stage.stride if repeat == 0 else 1
            x, filtered = net.block(block, stage, x, side, stride, residual=repeat > 0)
            if features == "filters" and block in middle_blocks(architecture):
                pooled.append(net.moments(filtered, f"filters{block}")[1])
            side, block = -(-side // stride), block + 1
        if features != "last":
            pooled += net.moments(x, f"stage{block}")
    feature_map = net.unit("last", x, side, kernel=1, quantised=False)
    pooled.append(net.add("GlobalAveragePool", feature_map, name="pooled"))
    net.add("Flatten", net.add("Concat", *pooled, name="parts", axis=1), name="features")
    net.add("Identity", feature_map, name="feature_map")
    return net.model(size)


@dataclass
class _Net:
    """A graph under construction: each method adds nodes and returns the name of their output tensor."""

    architecture: Architecture
    weights: WeightArrays
    ranges: ActivationRanges | None
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: list[onnx.TensorProto] = field(default_factory=list)
    means: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    """The mean of each channel of a tensor, (channels,), where the batch norm determines it."""

    def add(self, kind: str, *inputs: str, name: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name

    def constant(self, name: str, values: NDArray[Any]) -> str:
        self.constants.append(numpy_helper.from_array(values, name))
        return name

    def normalise(self) -> str:
        """The normalised pixels, (n, 3, size, size)."""
        mean, std = np.array(self.architecture.mean, np.float32), np.array(self.architecture.std, np.float32)
        x = self.add("Cast", "image", name="pixels", to=TensorProto.FLOAT)
        x = self.add("Sub", x, self.constant("mean", mean), name="centred")
        x = self.add("Div", x, self.constant("std", std), name="scaled")
        return self.add("Transpose", x, name="input", perm=[0, 3, 1, 2])

    def block(self, index: int, stage: Stage, x: str, side: int, stride: int, *, residual: bool) -> tuple[str, str]:
        """An inverted residual block: expand, filter each channel, project, add. Its output, and the filtered map."""
        name, y = f"block{index}", x
        if stage.expand > 1:
            y = self.unit(f"{name}.expand", y, side, kernel=1)
        filtered = self.unit(f"{name}.depthwise", y, side, kernel=stage.kernel, stride=stride)
        y = self.conv(f"{name}.project", filtered, side, kernel=1)
        return self.quantise(self.add("Add", y, x, name=name) if residual else y), filtered

    def unit(self, name: str, x: str, side: int, *, kernel: int, stride: int = 1, quantised: bool = True) -> str:
        """Convolution and ReLU6."""
        low, high = (self.constant(f"{name}.{end}", np.array(at, np.float32)) for end, at in (("low", 0), ("high", 6)))
        y = self.add("Clip", self.conv(f"{name}.conv", x, side, kernel=kernel, stride=stride), low, high, name=name)
        if quantised and self.ranges is not None:
            y = self.quantise(y)
            self.means[y] = relu6_mean(*self.norm_moments(name))
        return y

    def conv(self, name: str, x: str, side: int, *, kernel: int, stride: int = 1) -> str:
        weight, bias = self.fold(name.removesuffix(".conv"))
        groups = weight.shape[0] if weight.shape[1] == 1 and kernel > 1 else 1
        return self.add(
            "Conv",
            x,
            *self.parameters(name, weight, bias, x),
            name=name,
            kernel_shape=[kernel, kernel],
            strides=[stride, stride],
            pads=_pads(self.architecture.padding, side, kernel, stride),
            group=groups,
        )

    def fold(self, unit: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Weight and bias of a convolution with its batch norm folded in."""
        conv, norm = layer_names(unit, self.architecture)
        shift, gain = self.norm_moments(unit)
        mean, variance = self.weights[f"{norm}.running_mean"], self.weights[f"{norm}.running_var"]
        scale = gain / np.sqrt(variance + self.architecture.epsilon)
        weight = self.weights[f"{conv}.weight"] * scale[:, None, None, None]
        return weight.astype(np.float32), (shift - mean * scale).astype(np.float32)

    def norm_moments(self, unit: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Mean and standard deviation of each channel after batch norm, (channels,)."""
        _, norm = layer_names(unit, self.architecture)
        return self.weights[f"{norm}.bias"], self.weights[f"{norm}.weight"]

    def moments(self, x: str, name: str) -> list[str]:
        """Mean and standard deviation of every channel over the map, each (n, channels, 1, 1)."""
        mean = self.add("ReduceMean", x, name=f"{name}.mean", axes=[2, 3])
        # Not E[x²] - E[x]²: in float32 that loses small standard deviations.
        centred = self.add("Sub", x, mean, name=f"{name}.off")
        variance = self.add(
            "ReduceMean", self.add("Mul", centred, centred, name=f"{name}.square"), name=f"{name}.variance", axes=[2, 3]
        )
        return [mean, self.add("Sqrt", variance, name=f"{name}.deviation")]

    def quantise(self, x: str) -> str:
        """`x` quantised to 256 levels of its range and dequantised; `x` itself in a float graph."""
        if self.ranges is None:
            return x
        low, high = self.ranges[x]
        low, high = min(low, 0.0), max(high, 0.0)  # zero pads the maps, so one level must be exactly zero
        scale = np.array((high - low) / 255, np.float32)
        step = self.constant(f"{x}.scale", scale)
        zero = self.constant(f"{x}.zero", np.array(np.clip(np.rint(-low / scale), 0, 255), np.uint8))
        return self.add(
            "DequantizeLinear",
            self.add("QuantizeLinear", x, step, zero, name=f"{x}.quantised"),
            step,
            zero,
            name=x + _DEQUANTISED,
        )

    def parameters(self, name: str, weight: NDArray[np.float32], bias: NDArray[np.float32], x: str) -> tuple[str, str]:
        """Weight and bias of a convolution of `x`: float, or int8 with one scale per output channel where `x` is quantised.

        Where the mean of `x` is known, the bias compensates for the shift that the quantisation of the weights causes.
        """
        if not x.endswith(_DEQUANTISED):
            return self.constant(f"{name}.weight", weight), self.constant(f"{name}.bias", bias)
        quantised, scale = round_weights(weight)
        if x in self.means:
            error = quantised * scale[:, None, None, None] - weight
            bias = (bias - output_shift(error, self.means[x])).astype(np.float32)
        constants = (
            self.constant(f"{name}.weight.int8", quantised),
            self.constant(f"{name}.weight.scale", scale),
            self.constant(f"{name}.weight.zero", np.zeros(scale.shape, np.int8)),
        )
        return self.add("DequantizeLinear", *constants, name=f"{name}.weight", axis=0), self.constant(
            f"{name}.bias", bias
        )

    def model(self, size: int) -> onnx.ModelProto:
        channels = self.architecture.last_channels
        image = helper.make_tensor_value_info("image", TensorProto.UINT8, ["batch", size, size, 3])
        outputs = [
            helper.make_tensor_value_info("features", TensorProto.FLOAT, ["batch", None]),
            helper.make_tensor_value_info("feature_map", TensorProto.FLOAT, ["batch", channels, None, None]),
        ]
        graph = helper.make_graph(self.nodes, self.architecture.name, [image], outputs, self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="twofold")
        model.ir_version = 9  # older runtimes read it; nothing here needs more
        return onnx.shape_inference.infer_shapes(model, strict_mode=True)


def _pads(padding: str, side: int, kernel: int, stride: int) -> list[int]:
    """Top, left, bottom, right. 'same' is TensorFlow's: the least that gives ceil(side / stride), the odd pixel at the end."""
    if padding == "symmetric":
        return [(kernel - 1) // 2] * 4
    total = max((-(-side // stride) - 1) * stride + kernel - side, 0)
    return [total // 2, total // 2, total - total // 2, total - total // 2]
