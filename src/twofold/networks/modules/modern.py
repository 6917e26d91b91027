"""A small residual network for learning from scratch on few processors.

Residual blocks are those of He et al. (arXiv:1512.03385), with the average pooling in the short cut of arXiv:1812.01187.
"""

from torch import Tensor, nn
from torch.nn.functional import relu

from twofold.networks.modules.network import Seen

WIDTHS = (32, 64, 128, 256)
_STEM = 32


class ModernBody(nn.Module):
    """Normalised pixels (n, 3, h, w) -> the mean of the last map, (n, 256), and the map, (n, 256, h / 16, w / 16)."""

    def __init__(self) -> None:
        super().__init__()
        stem = [nn.Conv2d(3, _STEM, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(_STEM), nn.ReLU(inplace=True)]
        stages: list[nn.Module] = []
        for before, width, stride in zip((_STEM, *WIDTHS), WIDTHS, (1, 2, 2, 2), strict=False):
            stages += [_Block(before, width, stride), _Block(width, width, 1)]
        self.maps = nn.Sequential(*stem, *stages)
        self.pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())

    def forward(self, x: Tensor) -> Seen:
        feature_map = self.maps(x)
        return self.pool(feature_map), feature_map


class _Block(nn.Module):
    """Two convolutions and a short cut round them."""

    def __init__(self, before: int, width: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Sequential(
            nn.Conv2d(before, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)
        )
        self.second = nn.Sequential(nn.Conv2d(width, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width))
        self.around: nn.Module = nn.Identity()
        if before != width:
            pool: list[nn.Module] = [nn.AvgPool2d(stride, ceil_mode=True)] if stride > 1 else []
            self.around = nn.Sequential(*pool, nn.Conv2d(before, width, 1, bias=False), nn.BatchNorm2d(width))

    def forward(self, x: Tensor) -> Tensor:
        return relu(self.second(self.first(x)) + self.around(x))
