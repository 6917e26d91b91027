"""The classic cats-or-dogs network: four convolutions, three dense layers, and their batch norms."""

from torch import Tensor, nn

from twofold.networks.modules.network import Seen

WIDTH = 512
_EPSILON = 1e-3
_L1, _L2 = 1e-5, 1e-4  # the last convolution's penalty; the published program does not tell its own


class ClassicBody(nn.Module):
    """Pixels (n, 3, size, size) from 0 to 1 -> the last dense layer, (n, 512), and the map before the dense layers.

    The epsilon of batch norm is Keras's, which the program was written with. Its means are not: Keras's keep 99% of themselves at
    each step, so that validation stays at chance for hundreds of steps, and on few pictures early stopping ends it there.
    """

    def __init__(self, size: int, dropout: tuple[float, float] = (0.1, 0.2)) -> None:
        super().__init__()
        side = size
        for _ in range(4):
            side = (side - 2) // 2
        self.penalised = nn.Conv2d(64, 64, 3)
        self.maps = nn.Sequential(
            *(nn.Conv2d(3, 128, 3), _norm2d(128), *_halved()),
            *(nn.Conv2d(128, 64, 3), *_halved()),
            *(nn.Conv2d(64, 64, 3), *_halved()),
            *(self.penalised, *_halved(), _norm2d(64)),
        )
        self.dense = nn.Sequential(
            nn.Flatten(),
            *_dense(64 * side * side, 0.0),
            *_dense(512, dropout[0]),
            *_dense(512, dropout[1]),
        )
        self.apply(_as_keras_starts)

    def forward(self, x: Tensor) -> Seen:
        feature_map = self.maps(x)
        return self.dense(feature_map), feature_map

    def penalty(self) -> Tensor:
        """What is added to the loss for large weights of the last convolution."""
        weight = self.penalised.weight
        return _L1 * weight.abs().sum() + _L2 * weight.square().sum()


def _norm2d(width: int) -> nn.Module:
    return nn.BatchNorm2d(width, eps=_EPSILON)


def _halved() -> tuple[nn.Module, nn.Module]:
    """ReLU and pooling, which the program has in this order; either way the same comes out, so in a tenth less time."""
    return nn.MaxPool2d(2), nn.ReLU(inplace=True)


def _dense(width: int, dropout: float) -> list[nn.Module]:
    drop: list[nn.Module] = [nn.Dropout(dropout)] if dropout else []
    return [nn.Linear(width, WIDTH), nn.ReLU(inplace=True), *drop, nn.BatchNorm1d(WIDTH, eps=_EPSILON)]


def _as_keras_starts(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        assert module.bias is not None
        nn.init.zeros_(module.bias)
