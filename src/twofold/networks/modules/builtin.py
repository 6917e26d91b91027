"""The built-in networks as PyTorch modules, for training, with the architectures and weights of the ONNX graphs."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

from twofold.core.options import FeatureSet
from twofold.networks.architectures import Architecture, Stage, layer_names, middle_blocks
from twofold.networks.modules.network import BodyOutput
from twofold.networks.torch_file import WeightArrays

_TINY = 1e-12  # the gradient of a square root is infinite at zero; a std of 1e-6 is far below what features resolve
_NORM = ("weight", "bias", "running_mean", "running_var")


def make_builtin_body(architecture: Architecture, weights: WeightArrays, features: FeatureSet) -> "Body":
    """The network with these weights, ready for training or inference."""
    body = Body(architecture, features)
    for name, unit in body.units():
        conv, norm = layer_names(name, architecture)
        unit.conv.weight.data = torch.from_numpy(weights[f"{conv}.weight"].copy())
        unit.norm.load_state_dict(
            {key: torch.from_numpy(weights[f"{norm}.{key}"].copy()) for key in _NORM}, strict=False
        )
    return body


def trained_weights(body: "Body") -> WeightArrays:
    """The weights under their published names, as `build_graph` reads them."""
    weights: WeightArrays = {}
    for name, unit in body.units():
        conv, norm = layer_names(name, body.architecture)
        tensors = {f"{conv}.weight": unit.conv.weight} | {f"{norm}.{key}": getattr(unit.norm, key) for key in _NORM}
        weights |= {key: tensor.detach().float().cpu().contiguous().numpy().copy() for key, tensor in tensors.items()}
    return weights


class Body(nn.Module):
    """Normalised pixels (n, 3, size, size) -> features (n, width) and the last feature map. Its children are in forward order."""

    def __init__(self, architecture: Architecture, features: FeatureSet) -> None:
        super().__init__()
        self.architecture, self.features = architecture, features
        channels = 32
        self.stem = _Unit(architecture, 3, channels, kernel=3, stride=2)
        self.stages = nn.ModuleList()
        for stage in architecture.stages:
            self.stages.append(_make_stage(architecture, stage, channels))
            channels = stage.channels
        self.last = _Unit(architecture, channels, architecture.last_channels, kernel=1)
        self.filtered_blocks = middle_blocks(architecture) if features == "filters" else range(0)
        moments = 2 * sum(stage.channels for stage in architecture.stages) if features != "last" else 0
        filters = sum(self._blocks()[block].depthwise.conv.out_channels for block in self.filtered_blocks)
        self.width = filters + moments + architecture.last_channels

    def forward(self, x: Tensor) -> BodyOutput:
        x, moments, number = self.stem(x), [], 0
        for stage in self.stages:
            for block in stage.children():
                x, filtered = block(x)
                if number in self.filtered_blocks:
                    moments.append(_moments(filtered)[1])
                number += 1
            if self.features != "last":
                moments += _moments(x)
        feature_map = self.last(x)
        return torch.cat([*moments, feature_map.float().mean((2, 3))], dim=1), feature_map

    def units(self) -> Iterator[tuple[str, "_Unit"]]:
        """Every convolution with its norm, under the unit names of `architectures.layer_names`."""
        yield "stem", self.stem
        for index, block in enumerate(self._blocks()):
            for name, unit in block.named_children():
                assert isinstance(unit, _Unit)
                yield f"block{index}.{name}", unit
        yield "last", self.last

    def _blocks(self) -> list["_InvertedResidual"]:
        return [block for stage in self.stages for block in stage.children() if isinstance(block, _InvertedResidual)]


class _Unit(nn.Module):
    """Convolution, batch norm and, where `active`, ReLU6."""

    def __init__(
        self,
        architecture: Architecture,
        in_channels: int,
        out_channels: int,
        *,
        kernel: int,
        stride: int = 1,
        groups: int = 1,
        active: bool = True,
    ) -> None:
        super().__init__()
        self.same, self.active = architecture.padding == "same", active
        self.conv = nn.Conv2d(in_channels, out_channels, kernel, stride, (kernel - 1) // 2, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(out_channels, architecture.epsilon)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self._convolve(x, None, None)) if self.norm.training else self._convolve_folded(x)
        return functional.relu6(y, inplace=True) if self.active else y

    def _convolve_folded(self, x: Tensor) -> Tensor:
        """Convolution with the norm folded in, where running statistics are fixed: saves a pass over the map."""
        norm = self.norm
        assert norm.running_mean is not None
        assert norm.running_var is not None
        scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
        return self._convolve(x, scale, norm.bias - norm.running_mean * scale)

    def _convolve(self, x: Tensor, scale: Tensor | None, bias: Tensor | None) -> Tensor:
        """Where `same`, padded as by TensorFlow: the least that gives ceil(side / stride), the odd pixel at the end."""
        conv, padding = self.conv, self.conv.padding[0]
        side, kernel, stride = x.shape[-1], conv.kernel_size[0], conv.stride[0]
        total = max((-(-side // stride) - 1) * stride + kernel - side, 0)
        if self.same and total != 2 * int(padding):
            start, end = total // 2, total - total // 2
            x, padding = functional.pad(x, (start, end, start, end)), 0
        weight = conv.weight if scale is None else conv.weight * scale[:, None, None, None]
        return functional.conv2d(x, weight, bias, stride, padding, groups=conv.groups)


class _InvertedResidual(nn.Module):
    """An inverted residual block: expand, filter each channel, project, add. Its output, and the filtered map."""

    def __init__(
        self, architecture: Architecture, stage: Stage, in_channels: int, *, stride: int, residual: bool
    ) -> None:
        super().__init__()
        width = in_channels * stage.expand
        self.expand = _Unit(architecture, in_channels, width, kernel=1) if stage.expand > 1 else None
        self.depthwise = _Unit(architecture, width, width, kernel=stage.kernel, stride=stride, groups=width)
        self.project = _Unit(architecture, width, stage.channels, kernel=1, active=False)
        self.residual = residual

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        expanded = x if self.expand is None else self.expand(x)
        filtered = self.depthwise(expanded)
        y = self.project(filtered)
        return x + y if self.residual else y, filtered


def _make_stage(architecture: Architecture, stage: Stage, in_channels: int) -> nn.ModuleList:
    first = _InvertedResidual(architecture, stage, in_channels, stride=stage.stride, residual=False)
    repeats = (
        _InvertedResidual(architecture, stage, stage.channels, stride=1, residual=True)
        for _ in range(stage.repeats - 1)
    )
    return nn.ModuleList([first, *repeats])


def _moments(x: Tensor) -> list[Tensor]:
    """Mean and std of every channel over the map, each (n, channels), in float32 also under mixed precision."""
    variance, mean = torch.var_mean(x.float(), dim=(2, 3), correction=0)
    return [mean, (variance + _TINY).sqrt()]
