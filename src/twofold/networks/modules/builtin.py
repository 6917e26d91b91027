"""The built-in networks as torch modules: the same tables and weights as the ONNX graphs, to be trained."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

from twofold.core.options import FeatureSet
from twofold.networks.architectures import Architecture, Stage, keys
from twofold.networks.modules.network import Seen
from twofold.networks.torch_file import Weights

_TINY = 1e-12  # the square root has no slope at zero; a deviation of a millionth is far below what a vector shows
_NORM = ("weight", "bias", "running_mean", "running_var")


def builtin_body(table: Architecture, weights: Weights, features: FeatureSet) -> "Body":
    """The network with these weights, ready to be trained or run."""
    body = Body(table, features)
    for name, unit in body.units():
        conv, norm = keys(name, table)
        unit.conv.weight.data = torch.from_numpy(weights[f"{conv}.weight"].copy())
        unit.norm.load_state_dict(
            {key: torch.from_numpy(weights[f"{norm}.{key}"].copy()) for key in _NORM}, strict=False
        )
    return body


def trained_weights(body: "Body") -> Weights:
    """The weights under the names that `build_graph` looks for."""
    weights: Weights = {}
    for name, unit in body.units():
        conv, norm = keys(name, body.table)
        tensors = {f"{conv}.weight": unit.conv.weight} | {f"{norm}.{key}": getattr(unit.norm, key) for key in _NORM}
        weights |= {key: tensor.detach().float().cpu().contiguous().numpy().copy() for key, tensor in tensors.items()}
    return weights


class Body(nn.Module):
    """Normalised pixels (n, 3, size, size) -> vector (n, width) and the last map; its children stand from input to output."""

    def __init__(self, table: Architecture, features: FeatureSet) -> None:
        super().__init__()
        self.table, self.features = table, features
        channels = 32
        self.stem = _Unit(table, 3, channels, kernel=3, stride=2)
        self.stages = nn.ModuleList()
        for stage in table.stages:
            self.stages.append(_stage(table, stage, channels))
            channels = stage.channels
        self.last = _Unit(table, channels, table.last, kernel=1)
        moments = 2 * sum(stage.channels for stage in table.stages) if features == "stages" else 0
        self.width = moments + table.last

    def forward(self, x: Tensor) -> Seen:
        x, parts = self.stem(x), []
        for stage in self.stages:
            x = stage(x)
            if self.features == "stages":
                parts += _moments(x)
        feature_map = self.last(x)
        return torch.cat([*parts, feature_map.float().mean((2, 3))], dim=1), feature_map

    def units(self) -> Iterator[tuple[str, "_Unit"]]:
        """Every convolution with its norm, by the names of `embedding.keys`."""
        yield "stem", self.stem
        blocks = [block for stage in self.stages for block in stage.children()]
        for index, block in enumerate(blocks):
            for part, unit in block.named_children():
                assert isinstance(unit, _Unit)
                yield f"block{index}.{part}", unit
        yield "last", self.last


class _Unit(nn.Module):
    """Convolution, batch norm and, where `active`, ReLU6."""

    def __init__(
        self,
        table: Architecture,
        before: int,
        after: int,
        *,
        kernel: int,
        stride: int = 1,
        groups: int = 1,
        active: bool = True,
    ) -> None:
        super().__init__()
        self.same, self.active = table.padding == "same", active
        self.conv = nn.Conv2d(before, after, kernel, stride, (kernel - 1) // 2, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(after, table.epsilon)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self._convolved(x, None, None)) if self.norm.training else self._folded(x)
        return functional.relu6(y, inplace=True) if self.active else y

    def _folded(self, x: Tensor) -> Tensor:
        """Convolution and norm in one, where the means stand still: the norm does not go over the map once more."""
        norm = self.norm
        assert norm.running_mean is not None
        assert norm.running_var is not None
        scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
        return self._convolved(x, scale, norm.bias - norm.running_mean * scale)

    def _convolved(self, x: Tensor, scale: Tensor | None, bias: Tensor | None) -> Tensor:
        """Under TensorFlow's padding where `same`: as little as gives ceil(side / stride), the odd pixel at the end."""
        conv, around = self.conv, self.conv.padding[0]
        side, kernel, stride = x.shape[-1], conv.kernel_size[0], conv.stride[0]
        total = max((-(-side // stride) - 1) * stride + kernel - side, 0)
        if self.same and total != 2 * int(around):
            start, end = total // 2, total - total // 2
            x, around = functional.pad(x, (start, end, start, end)), 0
        weight = conv.weight if scale is None else conv.weight * scale[:, None, None, None]
        return functional.conv2d(x, weight, bias, stride, around, groups=conv.groups)


class _Block(nn.Module):
    """An inverted residual: widen, filter each channel, narrow, add."""

    def __init__(self, table: Architecture, stage: Stage, before: int, *, stride: int, residual: bool) -> None:
        super().__init__()
        wide = before * stage.expand
        if stage.expand > 1:
            self.expand = _Unit(table, before, wide, kernel=1)
        self.depthwise = _Unit(table, wide, wide, kernel=stage.kernel, stride=stride, groups=wide)
        self.project = _Unit(table, wide, stage.channels, kernel=1, active=False)
        self.residual = residual

    def forward(self, x: Tensor) -> Tensor:
        y = x
        for unit in self.children():
            y = unit(y)
        return x + y if self.residual else y


def _stage(table: Architecture, stage: Stage, before: int) -> nn.Sequential:
    first = _Block(table, stage, before, stride=stage.stride, residual=False)
    others = (_Block(table, stage, stage.channels, stride=1, residual=True) for _ in range(stage.repeats - 1))
    return nn.Sequential(first, *others)


def _moments(x: Tensor) -> list[Tensor]:
    """Mean and standard deviation of every channel over the map, each (n, channels); in float32 under mixed precision, too."""
    variance, mean = torch.var_mean(x.float(), dim=(2, 3), correction=0)
    return [mean, (variance + _TINY).sqrt()]
