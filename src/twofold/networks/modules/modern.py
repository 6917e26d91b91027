"""A small residual network for training from scratch on few processors.

Residual blocks follow He et al. (arXiv:1512.03385), with average pooling in the shortcut (He et al., arXiv:1812.01187).
"""

from torch import Tensor, nn
from torch.nn.functional import relu

from twofold.networks.modules.network import BodyOutput

WIDTHS = (32, 64, 128, 256)
_STEM = 32


class ModernBody(nn.Module):
    """Normalised pixels (n, 3, h, w) -> the mean of the last feature map, (n, 256), and that map, (n, 256, h / 16, w / 16)."""

    def __init__(self) -> None:
        super().__init__()
        stem = [nn.Conv2d(3, _STEM, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(_STEM), nn.ReLU(inplace=True)]
        stages: list[nn.Module] = []
        for in_channels, width, stride in zip((_STEM, *WIDTHS), WIDTHS, (1, 2, 2, 2), strict=False):
            stages += [_ResidualBlock(in_channels, width, stride), _ResidualBlock(width, width, 1)]
        self.maps = nn.Sequential(*stem, *stages)
        self.pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())

    def forward(self, x: Tensor) -> BodyOutput:
        feature_map = self.maps(x)
        return self.pool(feature_map), feature_map


class _ResidualBlock(nn.Module):
    """Two convolutions with a residual shortcut."""

    def __init__(self, in_channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Sequential(
            nn.Conv2d(in_channels, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)
        )
        self.second = nn.Sequential(nn.Conv2d(width, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width))
        self.shortcut: nn.Module = nn.Identity()
        if in_channels != width:
            pool: list[nn.Module] = [nn.AvgPool2d(stride, ceil_mode=True)] if stride > 1 else []
            self.shortcut = nn.Sequential(*pool, nn.Conv2d(in_channels, width, 1, bias=False), nn.BatchNorm2d(width))

    def forward(self, x: Tensor) -> Tensor:
        return relu(self.second(self.first(x)) + self.shortcut(x))
