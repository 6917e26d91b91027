"""Every option, once: its name, default and help. Flags, help pages and the saved record derive from these records."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from twofold.errors import UsageError

Framing = Literal["stretch", "crop", "pad"]
Filter = Literal["bilinear", "bicubic"]
Precision = Literal["auto", "f32", "bf16", "int8"]
Vector = Literal["stages", "last"]
Optimize = Literal["accuracy", "balanced", "f1"]


def _option(default: Any, text: str) -> Any:
    return field(default=default, metadata={"help": text})


@dataclass(frozen=True, slots=True)
class DataOptions:
    """Which pictures are read, and how a label is read off them."""

    classes: tuple[str, str] | None = _option(None, "The two classes to use, where DATA has more: A B.")
    label_pattern: str | None = _option(
        None, "For a flat folder: a regular expression on the file name whose first group is the class, as '(cat|dog)'."
    )

    def __post_init__(self) -> None:
        if self.classes is not None and len(set(self.classes)) != 2:
            raise UsageError(f"--classes takes two different names, got {' '.join(self.classes)}.")


@dataclass(frozen=True, slots=True)
class BackboneOptions:
    """Which frozen network turns pixels into a vector, and how."""

    backbone: str = _option("efficientnet-lite0", "A built-in network, or FILE.onnx.")
    weights: Path | None = _option(None, "A local copy of the network's weights.")
    size: int | None = _option(None, "Side of the square the network sees, in pixels; the network's own by default.")
    vector: Vector = _option("stages", "What the vector holds: every stage, or the last pooling alone.")
    precision: Precision = _option(
        "auto", "Arithmetic of the network; auto takes the fastest that this processor runs well."
    )
    output: str | None = _option(None, "For FILE.onnx: the tensor to take; the input of its global pooling by default.")
    framing: Framing | None = _option(
        None,
        "How a picture becomes a square: crop (the default) takes the middle, 7/8 of the short side; stretch and pad take all.",
    )
    filter: Filter | None = _option(None, "How pixels are interpolated; the network's own by default.")
    mean: tuple[float, float, float] | None = _option(
        None, "For FILE.onnx: subtracted from R G B, on a scale of 0 to 255."
    )
    std: tuple[float, float, float] | None = _option(None, "For FILE.onnx: what R G B are then divided by.")


@dataclass(frozen=True, slots=True)
class DecisionOptions:
    """How scores become answers."""

    positive: str | None = _option(
        None, "The class that counts as positive; the second in alphabetical order by default."
    )
    threshold: float | None = _option(None, "The probability from which on the answer is the positive class.")
    optimize: Optimize = _option("accuracy", "What the threshold is chosen for, on out-of-fold scores.")
    folds: int = _option(5, "Parts of the cross-validation.")
    seed: int = _option(0, "Seed of everything that is drawn at random.")

    def __post_init__(self) -> None:
        if self.threshold is not None and not 0 <= self.threshold <= 1:
            raise UsageError(f"--threshold must lie between 0 and 1, got {self.threshold}.")
        if not 2 <= self.folds <= 50:
            raise UsageError(f"--folds must lie between 2 and 50, got {self.folds}.")


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """How the machine is used; none of this changes an answer, but for pictures too large to be read."""

    cache: bool = _option(True, "Keep vectors between runs, in your cache folder.")
    threads: int | None = _option(None, "Processors to use; all that this process may use by default.")
    max_megapixels: float = _option(50.0, "Refuse pictures whose header says that they are larger than this.")

    def __post_init__(self) -> None:
        if self.threads is not None and self.threads < 1:
            raise UsageError(f"--threads must be at least 1, got {self.threads}.")
        if self.max_megapixels <= 0:
            raise UsageError(f"--max-megapixels must be above 0, got {self.max_megapixels}.")

    @property
    def max_pixels(self) -> int:
        return int(self.max_megapixels * 1e6)
