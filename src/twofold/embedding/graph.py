"""Tables and weights -> one ONNX graph, batch norm folded, in float or with quantised arithmetic written into it.

Input `image`: uint8 (batch, size, size, 3), RGB. Outputs `vector`: float32 (batch, d) and `features`: the map before pooling.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from twofold.embedding.architectures import Architecture, Stage
from twofold.embedding.weights import Weights
from twofold.options import Vector

OPSET = 17
Ranges = Mapping[str, tuple[float, float]]


def build_graph(
    table: Architecture, weights: Weights, *, size: int, vector: Vector, ranges: Ranges | None = None
) -> onnx.ModelProto:
    """The network as ONNX. With `ranges` (lowest and highest value of every tensor that is quantised) its convolutions are int8."""
    net = _Net(table, weights, ranges)
    x, side, block, parts = net.unit("stem", net.normalised(), size, kernel=3, stride=2), -(-size // 2), 0, []
    for stage in table.stages:
        for repeat in range(stage.repeats):
            stride = stage.stride if repeat == 0 else 1
            x = net.block(block, stage, x, side, stride, residual=repeat > 0)
            side, block = -(-side // stride), block + 1
        if vector == "stages":
            parts += net.moments(x, f"stage{block}")
    features = net.unit("last", x, side, kernel=1, quantised=False)
    parts.append(net.add("GlobalAveragePool", features, name="pooled"))
    net.add("Flatten", net.add("Concat", *parts, name="parts", axis=1), name="vector")
    net.add("Identity", features, name="features")
    return net.model(size)


@dataclass
class _Net:
    """The graph while it grows: each method adds nodes and hands back the name of the tensor they make."""

    table: Architecture
    weights: Weights
    ranges: Ranges | None
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: list[onnx.TensorProto] = field(default_factory=list)

    def add(self, kind: str, *inputs: str, name: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name

    def constant(self, name: str, values: NDArray[Any]) -> str:
        self.constants.append(numpy_helper.from_array(values, name))
        return name

    def normalised(self) -> str:
        """Pixels as the network was trained on them, (batch, 3, size, size)."""
        mean, std = np.float32(self.table.mean), np.float32(self.table.std)
        x = self.add("Cast", "image", name="pixels", to=TensorProto.FLOAT)
        x = self.add("Sub", x, self.constant("mean", mean), name="centred")
        x = self.add("Div", x, self.constant("std", std), name="scaled")
        x = self.add("Transpose", x, name="input", perm=[0, 3, 1, 2])
        return self.quantised(x, (float((-mean / std).min()), float(((255 - mean) / std).max())))

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
        low, high = self.constant(f"{name}.low", np.float32(0)), self.constant(f"{name}.high", np.float32(6))
        y = self.add("Clip", self.conv(f"{name}.conv", x, side, kernel=kernel, stride=stride), low, high, name=name)
        return self.quantised(y) if quantised else y

    def conv(self, name: str, x: str, side: int, *, kernel: int, stride: int = 1) -> str:
        weight, bias = self.folded(name.removesuffix(".conv"))
        groups = weight.shape[0] if weight.shape[1] == 1 and kernel > 1 else 1
        return self.add(
            "Conv",
            x,
            self.weight(f"{name}.weight", weight),
            self.constant(f"{name}.bias", bias),
            name=name,
            kernel_shape=[kernel, kernel],
            strides=[stride, stride],
            pads=_pads(self.table.padding, side, kernel, stride),
            group=groups,
        )

    def folded(self, unit: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Weight and bias of a convolution with its batch norm multiplied in."""
        conv, norm = _KEYS[self.table.naming](unit, self.table)
        gamma, beta = self.weights[f"{norm}.weight"], self.weights[f"{norm}.bias"]
        mean, variance = self.weights[f"{norm}.running_mean"], self.weights[f"{norm}.running_var"]
        scale = gamma / np.sqrt(variance + self.table.epsilon)
        return (self.weights[f"{conv}.weight"] * scale[:, None, None, None]).astype(np.float32), (
            beta - mean * scale
        ).astype(np.float32)

    def moments(self, x: str, name: str) -> list[str]:
        """Mean and standard deviation of every channel over the map, each (batch, channels, 1, 1)."""
        mean = self.add("ReduceMean", x, name=f"{name}.mean", axes=[2, 3])
        # Not E[x²] - E[x]²: in float32 that loses the small deviations.
        off = self.add("Sub", x, mean, name=f"{name}.off")
        variance = self.add(
            "ReduceMean", self.add("Mul", off, off, name=f"{name}.square"), name=f"{name}.variance", axes=[2, 3]
        )
        return [mean, self.add("Sqrt", variance, name=f"{name}.deviation")]

    def quantised(self, x: str, bounds: tuple[float, float] | None = None) -> str:
        """`x` rounded to 256 levels between its bounds; `x` itself in a float graph."""
        if self.ranges is None:
            return x
        low, high = bounds or self.ranges[x]
        scale = np.float32((max(high, 0.0) - min(low, 0.0)) / 255)
        step = self.constant(f"{x}.scale", scale)
        zero = self.constant(f"{x}.zero", np.uint8(np.clip(np.rint(-min(low, 0.0) / scale), 0, 255)))
        return self.add(
            "DequantizeLinear",
            self.add("QuantizeLinear", x, step, zero, name=f"{x}.quantised"),
            step,
            zero,
            name=f"{x}.rounded",
        )

    def weight(self, name: str, values: NDArray[np.float32]) -> str:
        """A weight, (out, in, k, k); in a quantised graph int8 with a scale for every output channel."""
        if self.ranges is None:
            return self.constant(name, values)
        scale = (np.abs(values).max(axis=(1, 2, 3)) / 127).astype(np.float32)
        scale[scale == 0] = 1.0
        stored = self.constant(f"{name}.int8", np.rint(values / scale[:, None, None, None]).astype(np.int8))
        zero = self.constant(f"{name}.zero", np.zeros(scale.shape, np.int8))
        return self.add("DequantizeLinear", stored, self.constant(f"{name}.scale", scale), zero, name=name, axis=0)

    def model(self, size: int) -> onnx.ModelProto:
        image = helper.make_tensor_value_info("image", TensorProto.UINT8, ["batch", size, size, 3])
        outputs = [
            helper.make_tensor_value_info("vector", TensorProto.FLOAT, ["batch", None]),
            helper.make_tensor_value_info("features", TensorProto.FLOAT, ["batch", self.table.last, None, None]),
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


def _efficientnet_keys(unit: str, _: Architecture) -> tuple[str, str]:
    if unit in ("stem", "last"):
        return ("_conv_stem", "_bn0") if unit == "stem" else ("_conv_head", "_bn1")
    block, part = unit.removeprefix("block").split(".")
    norm = {"expand": "_bn0", "depthwise": "_bn1", "project": "_bn2"}[part]
    return f"_blocks.{block}._{part}_conv", f"_blocks.{block}.{norm}"


def _torchvision_keys(unit: str, table: Architecture) -> tuple[str, str]:
    if unit in ("stem", "last"):
        layer = 0 if unit == "stem" else 1 + sum(stage.repeats for stage in table.stages)
        return f"features.{layer}.0", f"features.{layer}.1"
    block, part = unit.removeprefix("block").split(".")
    prefix = f"features.{int(block) + 1}.conv"
    if part == "expand":
        return f"{prefix}.0.0", f"{prefix}.0.1"
    shift = 0 if block == "0" else 1  # the first block does not widen
    if part == "depthwise":
        return f"{prefix}.{shift}.0", f"{prefix}.{shift}.1"
    return f"{prefix}.{shift + 1}", f"{prefix}.{shift + 2}"


_KEYS = {"efficientnet": _efficientnet_keys, "torchvision": _torchvision_keys}


def with_head(graph: bytes, weights: NDArray[np.float32], bias: float) -> bytes:
    """The backbone's ONNX with one more output: `logit`, float32 (batch,), of a head with these weights, (d,)."""
    model = onnx.load_model_from_string(graph)
    net = model.graph
    net.initializer.append(numpy_helper.from_array(weights[:, None], "head.weights"))
    net.initializer.append(numpy_helper.from_array(np.float32([bias]), "head.bias"))
    net.initializer.append(numpy_helper.from_array(np.int64([-1]), "head.shape"))
    net.node.append(helper.make_node("Gemm", ["vector", "head.weights", "head.bias"], ["head.column"], name="head"))
    net.node.append(helper.make_node("Reshape", ["head.column", "head.shape"], ["logit"], name="logit"))
    net.output.append(helper.make_tensor_value_info("logit", TensorProto.FLOAT, ["batch"]))
    return bytes(model.SerializeToString(deterministic=True))
