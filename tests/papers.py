"""A second implementation of the built-in networks, in PyTorch, from the papers and their reference code, without twofold.

EfficientNet (arXiv:1905.11946, table 1) and the scaling of its Lite variants (github.com/tensorflow/tpu, efficientnet/lite);
MobileNetV2 (arXiv:1801.04381, table 2). Layer names are those of the published weights.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

# expand, channels, repeats, stride, kernel
_B0 = [
    (1, 16, 1, 1, 3),
    (6, 24, 2, 2, 3),
    (6, 40, 2, 2, 5),
    (6, 80, 3, 2, 3),
    (6, 112, 3, 1, 5),
    (6, 192, 4, 2, 5),
    (6, 320, 1, 1, 3),
]
_SCALES = {  # width, depth
    "efficientnet-lite0": (1.0, 1.0),
    "efficientnet-lite1": (1.0, 1.1),
    "efficientnet-lite2": (1.1, 1.2),
}
_V2 = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]


def reference(name: str) -> "Lite | MobileNetV2":
    """The network of this name, with random weights."""
    torch.manual_seed(0)
    return (MobileNetV2() if name == "mobilenetv2" else Lite(*_SCALES[name])).eval()


class SameConv(nn.Conv2d):
    """TensorFlow's SAME padding: the output is ceil(size / stride), and an odd pixel is padded at the end."""

    def forward(self, x: Tensor) -> Tensor:
        pads: list[int] = []
        for size, kernel, stride in zip(reversed(x.shape[2:]), self.kernel_size, self.stride, strict=True):
            total = max((math.ceil(size / stride) - 1) * stride + kernel - size, 0)
            pads += [total // 2, total - total // 2]
        return super().forward(functional.pad(x, pads))


class LiteBlock(nn.Module):
    def __init__(self, in_channels: int, expand: int, out_channels: int, stride: int, kernel: int) -> None:
        super().__init__()
        expanded = in_channels * expand
        self.expands, self.is_residual = expand > 1, stride == 1 and in_channels == out_channels
        if self.expands:
            self._expand_conv = SameConv(in_channels, expanded, 1, bias=False)
            self._bn0 = nn.BatchNorm2d(expanded, eps=1e-3)
        self._depthwise_conv = SameConv(expanded, expanded, kernel, stride, groups=expanded, bias=False)
        self._bn1 = nn.BatchNorm2d(expanded, eps=1e-3)
        self._project_conv = SameConv(expanded, out_channels, 1, bias=False)
        self._bn2 = nn.BatchNorm2d(out_channels, eps=1e-3)

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu6(self._bn0(self._expand_conv(x))) if self.expands else x
        self.filtered = functional.relu6(self._bn1(self._depthwise_conv(y)))
        y = self._bn2(self._project_conv(self.filtered))
        return x + y if self.is_residual else y


class Lite(nn.Module):
    def __init__(self, width: float, depth: float) -> None:
        super().__init__()
        self._conv_stem = SameConv(3, 32, 3, 2, bias=False)
        self._bn0 = nn.BatchNorm2d(32, eps=1e-3)
        self._blocks = nn.ModuleList()
        self.ends, in_channels = [], 32
        for index, (expand, channels, repeats, stride, kernel) in enumerate(_B0):
            out_channels = _rounded(channels * width)
            edge = index in (0, len(_B0) - 1)  # Lite leaves the depth of the first and of the last stage alone
            for repeat in range(repeats if edge else math.ceil(repeats * depth)):
                self._blocks.append(LiteBlock(in_channels, expand, out_channels, stride if repeat == 0 else 1, kernel))
                in_channels = out_channels
            self.ends.append(len(self._blocks) - 1)
        self._conv_head = SameConv(in_channels, 1280, 1, bias=False)
        self._bn1 = nn.BatchNorm2d(1280, eps=1e-3)
        self._fc = nn.Linear(1280, 1000)

    def forward(self, pixels: Tensor) -> tuple[list[tuple[Tensor, list[Tensor]]], Tensor]:
        """The map at the end of every stage with the filtered maps of its middle blocks, and the last map.

        pixels (n, 3, size, size), 0 to 255.
        """
        x = functional.relu6(self._bn0(self._conv_stem((pixels - 127.0) / 128.0)))
        maps, filtered = [], list[Tensor]()
        for index, block in enumerate(self._blocks):
            x, before = block(x), x
            filtered += [block.filtered] if _is_middle(pixels, before, x) else []
            if index in self.ends:
                maps.append((x, filtered))
                filtered = []
        return maps, functional.relu6(self._bn1(self._conv_head(x)))


class V2Block(nn.Module):
    def __init__(self, in_channels: int, expand: int, out_channels: int, stride: int) -> None:
        super().__init__()
        expanded = in_channels * expand
        self.is_residual = stride == 1 and in_channels == out_channels
        expansion = [_conv_bn_relu6(in_channels, expanded, 1)] if expand > 1 else []
        depthwise = _conv_bn_relu6(expanded, expanded, 3, stride, groups=expanded)
        self.conv = nn.Sequential(
            *expansion, depthwise, nn.Conv2d(expanded, out_channels, 1, bias=False), nn.BatchNorm2d(out_channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        self.filtered = self.conv[:-2](x)
        y: Tensor = self.conv[-2:](self.filtered)
        return x + y if self.is_residual else y


class MobileNetV2(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [_conv_bn_relu6(3, 32, 3, 2)]
        self.ends, in_channels = [], 32
        for expand, out_channels, repeats, stride in _V2:
            for repeat in range(repeats):
                layers.append(V2Block(in_channels, expand, out_channels, stride if repeat == 0 else 1))
                in_channels = out_channels
            self.ends.append(len(layers) - 1)
        self.features = nn.Sequential(*layers, _conv_bn_relu6(in_channels, 1280, 1))
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(1280, 1000))

    def forward(self, pixels: Tensor) -> tuple[list[tuple[Tensor, list[Tensor]]], Tensor]:
        """The map at the end of every stage with the filtered maps of its middle blocks, and the last map.

        pixels (n, 3, size, size), 0 to 255.
        """
        mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
        x = (pixels / 255 - mean[:, None, None]) / std[:, None, None]
        maps, filtered = [], list[Tensor]()
        for index, layer in enumerate(self.features):
            x, before = layer(x), x
            filtered += [layer.filtered] if _is_middle(pixels, before, x) else []
            if index in self.ends:
                maps.append((x, filtered))
                filtered = []
        return maps, x


def features(maps: list[tuple[Tensor, list[Tensor]]], last: Tensor, content: str) -> Tensor:
    """The standard deviations of a stage's middle filters, mean and standard deviation of its channels, stage by stage; then the
    mean of the last map, (n, d)."""
    moments: list[Tensor] = []
    for x, filtered in maps:
        moments += [_std(y) for y in filtered] if content == "filters" else []
        moments += [x.mean((2, 3)), _std(x)] if content != "last" else []
    return torch.cat([*moments, last.mean((2, 3))], dim=1)


def _std(x: Tensor) -> Tensor:
    return x.std((2, 3), correction=0)


def _is_middle(pixels: Tensor, x: Tensor, y: Tensor) -> bool:
    """Whether a block from map x to map y reads or writes a map of a sixteenth of the image's side."""
    return math.ceil(pixels.shape[-1] / 16) in (x.shape[-1], y.shape[-1])


def _conv_bn_relu6(in_channels: int, out_channels: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    conv = nn.Conv2d(in_channels, out_channels, kernel, stride, (kernel - 1) // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(out_channels), nn.ReLU6())


def _rounded(channels: float) -> int:
    """To the nearest multiple of 8, but never down by more than a tenth."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded
