"""Every option, once: its name, default and help. Flags, help pages and the saved record derive from these records."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from numbers import Integral, Real
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from twofold.core.errors import UsageError
from twofold.core.hints import nearest

CropMode = Literal["squash", "center", "pad"]
Filter = Literal["bilinear", "bicubic"]
DtypeOption = Literal["auto", "f32", "bf16", "int8"]
FeatureSet = Literal["stages", "last"]
Optimize = Literal["accuracy", "balanced", "f1"]
Mode = Literal["frozen", "finetune", "scratch"]
RecipeName = Literal["classic", "modern"]
Balance = Literal["none", "loss", "sampler"]

_NAMES = {
    NoneType: "None",
    bool: "True or False",
    float: "a finite number",
    int: "a whole number",
    str: "text",
    Path: "a path",
}
_MOST = 80  # letters of a value that are shown


def _option(default: Any, text: str, *flags: str) -> Any:
    return field(default=default, metadata={"help": text, "flags": flags})


@dataclass(frozen=True, slots=True)
class DataOptions:
    """Which pictures are read, and how a label is read off them."""

    classes: tuple[str, str] | None = _option(None, "The two classes to use, where DATA has more: A B.")
    label_pattern: str | None = _option(
        None, "For a flat folder: a regular expression on the file name whose first group is the class, as '(cat|dog)'."
    )

    def __post_init__(self) -> None:
        _check_types(self)
        if self.classes is not None and len(set(self.classes)) != 2:
            raise UsageError(f"--classes takes two different names, got {' '.join(self.classes)}.")


@dataclass(frozen=True, slots=True)
class BackboneOptions:
    """Which frozen network turns pixels into a vector, and how."""

    backbone: str = _option(
        "efficientnet-lite0",
        "A built-in network, FILE.onnx, hf:ID of a network on Hugging Face, a folder that holds one, or MODULE:FUNCTION.",
    )
    weights: Path | None = _option(None, "A local copy of the network's weights.")
    size: int | None = _option(
        None, "Side of the square the network sees, in pixels; the network's own by default.", "--size", "--image-size"
    )
    features: FeatureSet = _option("stages", "What the vector holds: every stage, or the last pooling alone.")
    dtype: DtypeOption = _option(
        "auto", "Arithmetic of the network; auto takes the fastest that this processor runs well."
    )
    output: str | None = _option(None, "For FILE.onnx: the tensor to take; the input of its global pooling by default.")
    crop_mode: CropMode | None = _option(
        None,
        "How a picture becomes a square: crop (the default) takes the middle, 7/8 of the short side; stretch and pad take all.",
    )
    filter: Filter | None = _option(None, "How pixels are interpolated; the network's own by default.")
    mean: tuple[float, float, float] | None = _option(
        None, "For networks from elsewhere: subtracted from R G B, on a scale of 0 to 255."
    )
    std: tuple[float, float, float] | None = _option(
        None, "For networks from elsewhere: what R G B are then divided by."
    )

    def __post_init__(self) -> None:
        _check_types(self)
        _check_least("--size", self.size, 1)


@dataclass(frozen=True, slots=True)
class LearningOptions:
    """Whether the network itself learns, and how; all but `mode` is for finetune and scratch."""

    mode: Mode = _option(
        "frozen",
        "What learns: the head on a frozen network, the network too (finetune), or a network of its own (scratch).",
    )
    recipe: RecipeName | None = _option(
        None, "For scratch: classic (the default), the well-known CNN, or modern, a small residual network."
    )
    epochs: int | None = _option(None, "Times that every picture is seen: at most, where the recipe stops early.")
    batch_size: int | None = _option(None, "Pictures a step; the recipe's own by default.")
    learning_rate: float | None = _option(None, "How far a step goes; the recipe's own by default.")
    weight_decay: float | None = _option(None, "How strongly weights are held small; the recipe's own by default.")
    dropout: float | None = _option(
        None, "Share of the vector that is left out at random; the recipe's own by default."
    )
    augment: float = _option(1.0, "How strongly pictures are varied: 0 not at all, 1 as the recipe says.")
    fixed_orientation: bool = _option(
        True, "Pictures have an up; without, they are also learned upside down and turned by quarters."
    )
    validation: float = _option(
        0.2, "Share of the pictures that is held out to stop, calibrate and choose the threshold by."
    )
    cv: int | None = _option(
        None, "Learn this many networks more, so that every picture is scored by one that did not see it."
    )
    balance: Balance = _option(
        "none",
        "Let both classes weigh the same, in the loss or by how often they are drawn; probabilities are put right.",
    )
    tune: int | None = _option(
        None,
        "Try this many settings of the recipe first, and learn with the best; options that you change stay as you set them.",
    )
    devices: int | None = _option(None, "Processes or GPUs that learn together; one process, or all GPUs, by default.")
    num_nodes: int = _option(1, "Machines that learn together.")
    pixels_gb: float = _option(
        10.0, "Room for decoded pictures, in your cache folder; what does not fit is decoded each time."
    )

    def __post_init__(self) -> None:
        _check_types(self)
        _check_least("--epochs", self.epochs, 1)
        _check_least("--batch-size", self.batch_size, 2)
        _check_least("--cv", self.cv, 2)
        _check_least("--tune", self.tune, 1)
        _check_least("--devices", self.devices, 1)
        _check_least("--num-nodes", self.num_nodes, 1)
        _check_least("--augment", self.augment, 0)
        _check_least("--weight-decay", self.weight_decay, 0)
        _check_least("--pixels-gb", self.pixels_gb, 0)
        if self.learning_rate is not None and not self.learning_rate > 0:
            raise UsageError(f"--learning-rate must be above 0, got {self.learning_rate:g}.")
        if self.dropout is not None and not 0 <= self.dropout < 1:
            raise UsageError(f"--dropout must lie between 0 and 1, got {self.dropout:g}.")
        if not 0.02 <= self.validation <= 0.5:
            raise UsageError(f"--validation must lie between 0.02 and 0.5, got {self.validation:g}.")
        if self.recipe is not None and self.mode != "scratch":
            raise UsageError("--recipe is for --mode scratch.")
        if self.mode == "frozen":
            given = _given(self, [field.name for field in fields(self)])
            if given:
                raise UsageError(f"{given[0]} is for --mode scratch or finetune; a frozen network does not learn.")


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
        _check_types(self)
        if self.threshold is not None and not 0 <= self.threshold <= 1:
            raise UsageError(f"--threshold must lie between 0 and 1, got {self.threshold}.")
        if not 2 <= self.folds <= 50:
            raise UsageError(f"--folds must lie between 2 and 50, got {self.folds}.")
        if not 0 <= self.seed < 2**32:
            raise UsageError(f"--seed must lie between 0 and {2**32 - 1}, got {self.seed}.")


@dataclass(frozen=True, slots=True)
class RuntimeOptions:
    """How the machine is used; none of this changes an answer, but for pictures too large to be read."""

    cache: bool = _option(True, "Keep vectors between runs, in your cache folder.")
    threads: int | None = _option(None, "Processors to use; all that this process may use by default.")
    max_megapixels: float = _option(50.0, "Refuse pictures whose header says that they are larger than this.")

    def __post_init__(self) -> None:
        _check_types(self)
        if self.threads is not None and self.threads < 1:
            raise UsageError(f"--threads must be at least 1, got {self.threads}.")
        if self.max_megapixels <= 0:
            raise UsageError(f"--max-megapixels must be above 0, got {self.max_megapixels}.")

    @property
    def max_pixels(self) -> int:
        return int(self.max_megapixels * 1e6)


@dataclass(frozen=True, slots=True)
class TrainingOptions:
    """All options of a training."""

    data: DataOptions = field(default_factory=DataOptions)
    backbone: BackboneOptions = field(default_factory=BackboneOptions)
    learning: LearningOptions = field(default_factory=LearningOptions)
    decision: DecisionOptions = field(default_factory=DecisionOptions)

    def __post_init__(self) -> None:
        _check_types(self)
        if self.learning.mode == "scratch":
            given = _given(self.backbone, ("backbone", "weights", "features", "output", "mean", "std"))
            if given:
                raise UsageError(
                    f"{given[0]} is for networks that were trained before; --mode scratch begins with none."
                )


def flag(name: str) -> str:
    """What a field is called on the command line."""
    return "--" + name.replace("_", "-")


def _given(record: Any, names: Iterable[str]) -> list[str]:
    """The flags of these fields that are not at their defaults."""
    defaults = {field.name: field.default for field in fields(record)}
    return [flag(name) for name in names if getattr(record, name) != defaults[name]]


def _check_least(name: str, value: float | None, least: float) -> None:
    if value is not None and not value >= least:
        raise UsageError(f"{name} must be at least {least:g}, got {value:g}.")


def _check_types(record: Any) -> None:
    """UsageError that names every field whose value is not of its type; numpy's numbers become Python's, which JSON takes."""
    faults = []
    for name, hint in get_type_hints(type(record)).items():
        given = getattr(record, name)
        try:
            object.__setattr__(record, name, _as(given.tolist() if hasattr(given, "tolist") else given, hint))
        except (TypeError, OverflowError):
            faults.append(f"{flag(name)} must be {_legal(hint)}, got {_shown(given)}{_meant(given, hint)}.")
    if faults:
        raise UsageError(" ".join(faults))


def _kinds(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)


def _as(value: Any, hint: Any) -> Any:
    """The value as what its type says, a list as a tuple; TypeError where it is none. True is no number, and none is endless."""
    for kind in _kinds(hint):
        parts = get_args(kind)
        number = kind in (int, float) and not isinstance(value, bool)
        if get_origin(kind) is Literal and isinstance(value, str) and value in parts:
            return value
        if get_origin(kind) is tuple and isinstance(value, list | tuple) and len(value) == len(parts):
            return tuple(map(_as, value, parts))
        if number and isinstance(value, Integral if kind is int else Real) and math.isfinite(value):
            return kind(value)
        if isinstance(kind, type) and kind not in (int, float) and isinstance(value, kind):
            return value
    raise TypeError


def _legal(hint: Any) -> str:
    words = [word for kind in _kinds(hint) for word in _words(kind)]
    return " or ".join(part for part in (", ".join(words[:-1]), words[-1]) if part)


def _words(kind: Any) -> list[str]:
    if get_origin(kind) is Literal:
        return [repr(choice) for choice in get_args(kind)]
    if get_origin(kind) is tuple:
        return [f"{len(get_args(kind))} values (each {_legal(get_args(kind)[0])})"]
    return [_NAMES.get(kind, kind.__name__)]


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _MOST else f"{text[:_MOST]}... ({type(value).__name__})"


def _meant(value: Any, hint: Any) -> str:
    choices = [choice for kind in _kinds(hint) if get_origin(kind) is Literal for choice in get_args(kind)]
    return nearest(value, choices) if isinstance(value, str) else ""
