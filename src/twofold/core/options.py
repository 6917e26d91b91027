"""All options: name, type, default and help. Flags, help pages and the saved record are made from these records."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from numbers import Integral, Real
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, ClassVar, Literal, Union, get_args, get_origin, get_type_hints

from twofold.core.errors import UsageError
from twofold.core.hints import nearest

CropMode = Literal["squash", "center", "pad", "both"]
CropModeOption = Literal["auto", "squash", "center", "pad", "both"]
Views = Literal["auto", "1", "2x2", "3x3", "4x4", "6x6", "8x8"]
Effort = Literal["fast", "default", "best"]
Filter = Literal["bilinear", "bicubic"]
DtypeOption = Literal["auto", "f32", "bf16", "int8"]
FeatureSet = Literal["filters", "stages", "last"]
Optimize = Literal["accuracy", "balanced", "f1"]
Mode = Literal["frozen", "finetune", "scratch"]
RecipeName = Literal["classic", "modern"]
Balance = Literal["none", "loss", "sampler"]
EngineName = Literal["local", "ray"]
ExportTarget = Literal["onnx", "openvino", "litert", "coreml", "bundle"]

_TYPE_NAMES = {
    NoneType: "None",
    bool: "True or False",
    float: "a finite number",
    int: "an integer",
    str: "text",
    Path: "a path",
}
_MAX_LENGTH = 80  # characters of a value in a message


def _option(default: Any, text: str) -> Any:
    return field(default=default, metadata={"help": text})


@dataclass(frozen=True, slots=True)
class DataOptions:
    """The options of the data: which images are read, and where their labels come from."""

    PANEL: ClassVar[str] = "Data"

    classes: tuple[str, str] | None = _option(None, "The two classes to use, if DATA has more: A B.")
    label_pattern: str | None = _option(
        None, "For a flat folder: regular expression on the file name; its first group is the class, as '(cat|dog)'."
    )
    decisions: Path | None = _option(
        None, "Review decisions to apply to the labels: the file that review writes. No image is changed or moved."
    )

    def __post_init__(self) -> None:
        _check_types(self)
        if self.classes is not None and len(set(self.classes)) != 2:
            raise UsageError(f"`classes` must be two different names, got {' '.join(self.classes)}.")


@dataclass(frozen=True, slots=True)
class BackboneOptions:
    """The options of the network that computes the features."""

    PANEL: ClassVar[str] = "Network"

    backbone: str = _option(
        "efficientnet-lite0",
        "Built-in or installed network, FILE.onnx, hf:ID on Hugging Face, a folder with a network, MODULE:FUNCTION, or two of "
        "them, A+B.",
    )
    weights: Path | None = _option(None, "Local file with the network's weights.")
    size: int | None = _option(None, "Side of the model input in pixels; default: the network's.")
    features: FeatureSet = _option(
        "filters",
        "last: of the last pooling; stages: also means and standard deviations of all stages; filters: also standard "
        "deviations of the filters inside the middle blocks.",
    )
    dtype: DtypeOption = _option(
        "auto", "Data type of the network; auto: the fastest that is accurate on this processor."
    )
    output: str | None = _option(None, "For FILE.onnx: output tensor; default: the input of its global pooling.")
    effort: Effort = _option(
        "default",
        "Time to spend on each image, which sets the defaults of crop mode and views. fast: one model input; best: windows "
        "of images of any size, where they are better on training images.",
    )
    crop_mode: CropModeOption | None = _option(
        None,
        "center: the central square; squash: the whole image without its aspect ratio; both: the mean of their features; "
        "pad: the whole image on grey; auto: chosen on training images. Default: auto, with effort fast squash.",
    )
    views: Views | None = _option(
        None,
        "Overlapping windows of the image beside it, for small things in large images; 1: none; auto: chosen on training images, "
        "where images are large or the effort is best. Default: auto, with effort fast 1.",
    )
    filter: Filter | None = _option(None, "Interpolation; default: the network's.")
    mean: tuple[float, float, float] | None = _option(
        None, "For external networks: mean of R G B, on a scale of 0 to 255."
    )
    std: tuple[float, float, float] | None = _option(
        None, "For external networks: standard deviation of R G B, on a scale of 0 to 255."
    )

    @property
    def fixed_crop_mode(self) -> CropMode | None:
        """The crop mode that was given, or that `effort` fixes; None for `auto`."""
        mode = self.crop_mode or ("squash" if self.effort == "fast" else "auto")
        return None if mode == "auto" else mode

    @property
    def fixed_views(self) -> tuple[int, ...] | None:
        """The grids of windows that were given, n for n x n, or that `effort` fixes; None for `auto`."""
        views = self.views or ("1" if self.effort == "fast" else "auto")
        if views == "auto":
            return None
        return () if views == "1" else (int(views[0]),)

    def __post_init__(self) -> None:
        _check_types(self)
        _check_minimum("size", self.size, 1)


@dataclass(frozen=True, slots=True)
class LearningOptions:
    """The options of the training of a network. All but `mode` need mode finetune or scratch."""

    PANEL: ClassVar[str] = "Fine-tuning and training from scratch"

    mode: Mode = _option(
        "frozen", "frozen: fit a head; finetune: train a pretrained network; scratch: train a new network."
    )
    recipe: RecipeName | None = _option(None, "For scratch: classic (default), or modern, a small residual network.")
    epochs: int | None = _option(None, "Number of epochs; a maximum where the recipe stops early.")
    batch_size: int | None = _option(None, "Batch size; default: the recipe's.")
    learning_rate: float | None = _option(None, "Learning rate; default: the recipe's.")
    weight_decay: float | None = _option(None, "Weight decay; default: the recipe's.")
    dropout: float | None = _option(None, "Dropout before the head; default: the recipe's.")
    augment: float = _option(1.0, "Strength of augmentation: 0 none, 1 as in the recipe.")
    fixed_orientation: bool = _option(
        True, "Images have a fixed orientation; if not, they are also flipped and rotated by quarter turns."
    )
    validation_fraction: float = _option(
        0.2, "Fraction of images held out for early stopping, calibration and the rule."
    )
    cv: int | None = _option(None, "Train a network for each of this many folds, for out-of-fold scores of all images.")
    balance: Balance = _option("none", "Give both classes equal weight, in the loss or by sampling.")
    tune: int | None = _option(None, "Number of hyper-parameter trials before the training; given options stay fixed.")
    devices: int | None = _option(None, "Processes or GPUs per node; default: one process, or all GPUs.")
    num_nodes: int = _option(1, "Number of nodes.")
    pixels_gb: float = _option(
        10.0, "Size limit of the cache of decoded images in GB; images beyond it are decoded each epoch."
    )

    def __post_init__(self) -> None:
        _check_types(self)
        _check_minimum("epochs", self.epochs, 1)
        _check_minimum("batch_size", self.batch_size, 2)
        _check_minimum("cv", self.cv, 2)
        _check_minimum("tune", self.tune, 1)
        _check_minimum("devices", self.devices, 1)
        _check_minimum("num_nodes", self.num_nodes, 1)
        _check_minimum("augment", self.augment, 0)
        _check_minimum("weight_decay", self.weight_decay, 0)
        _check_minimum("pixels_gb", self.pixels_gb, 0)
        if self.learning_rate is not None and not self.learning_rate > 0:
            raise UsageError(f"`learning_rate` must be above 0, got {self.learning_rate:g}.")
        if self.dropout is not None and not 0 <= self.dropout < 1:
            raise UsageError(f"`dropout` must be in [0, 1), got {self.dropout:g}.")
        if not 0.02 <= self.validation_fraction <= 0.5:
            raise UsageError(f"`validation_fraction` must be in [0.02, 0.5], got {self.validation_fraction:g}.")
        if self.recipe is not None and self.mode != "scratch":
            raise UsageError("`recipe` needs `mode='scratch'`.")
        if self.mode == "frozen":
            changed = list_changed(self, [field.name for field in fields(self)])
            if changed:
                raise UsageError(
                    f"`{changed[0]}` needs `mode='finetune'` or `mode='scratch'`: a frozen network is not trained."
                )


@dataclass(frozen=True, slots=True)
class CrossValidationOptions:
    """The options of the cross-validation, and the seed of all random numbers."""

    PANEL: ClassVar[str] = "Data"

    folds: int = _option(5, "Number of folds of the cross-validation.")
    seed: int = _option(0, "Seed of all random numbers.")

    def __post_init__(self) -> None:
        _check_types(self)
        if not 2 <= self.folds <= 50:
            raise UsageError(f"`folds` must be in [2, 50], got {self.folds}.")
        if not 0 <= self.seed < 2**32:
            raise UsageError(f"`seed` must be in [0, {2**32 - 1}], got {self.seed}.")


@dataclass(frozen=True, slots=True)
class DecisionOptions:
    """The options of the rule that turns probabilities into decisions."""

    PANEL: ClassVar[str] = "Decision"

    threshold: float | None = _option(None, "Predict the positive class at or above this probability.")
    optimize: Optimize | None = _option(
        None, "Metric that the threshold maximises on the scores. With no other policy: accuracy."
    )
    cost_fp: float | None = _option(
        None, "Cost of a false positive. The rule minimises the expected cost; give both costs."
    )
    cost_fn: float | None = _option(None, "Cost of a false negative.")
    cost_unsure: float | None = _option(None, "Cost of an image without a decision, which a person decides.")
    promise: tuple[str, ...] = _option(
        (), "Rate that the rule keeps, as 'recall>=0.98' or 'fpr<=0.02'. May be repeated."
    )
    confidence: float = _option(0.95, "Confidence at which all promises hold together.")
    abstain: bool = _option(False, "Leave images unsure where no single threshold keeps the promises.")
    simultaneous: bool = _option(
        False, "Keep promises for every threshold at once, so that any number of them may be made on the same scores."
    )
    prevalence: float | Literal["auto"] | None = _option(
        None,
        "Fraction of positives where the model is used; default: that of the data. With decide, auto estimates it from the "
        "unlabelled images of its data.",
    )
    gate: bool = _option(True, "Give no label to images that are unlike the training images.")

    @property
    def has_policy(self) -> bool:
        """Whether a policy is given, so that the rule is not chosen by default."""
        return bool(self._policies)

    @property
    def fixed_prevalence(self) -> float | None:
        """The prevalence that was given as a number."""
        return None if self.prevalence == "auto" else self.prevalence

    @property
    def _policies(self) -> list[str]:
        given = {
            "threshold": self.threshold is not None,
            "optimize": self.optimize is not None,
            "cost_fp": self.cost_fp is not None,
            "promise": bool(self.promise),
        }
        return [name for name, is_given in given.items() if is_given]

    def __post_init__(self) -> None:
        _check_types(self)
        if self.threshold is not None and not 0 <= self.threshold <= 1:
            raise UsageError(f"`threshold` must be in [0, 1], got {self.threshold}.")
        if not 0.5 <= self.confidence <= 0.9999:
            raise UsageError(
                f"`confidence` must be in [0.5, 0.9999], got {self.confidence:g}; 95 percent is written 0.95."
            )
        if len(self._policies) > 1:
            names = " or ".join(f"`{name}`" for name in self._policies)
            raise UsageError(f"The rule is chosen in one way: give {names}.")
        self._check_costs()
        changed = list_changed(self, ("abstain", "confidence", "simultaneous"))
        if not self.promise and changed:
            raise UsageError(f"`{changed[0]}` needs a `promise`.")
        if self.fixed_prevalence is not None and not 1e-6 <= self.fixed_prevalence <= 1 - 1e-6:
            raise UsageError(
                f"`prevalence` must be between 0.000001 and 0.999999, got {self.prevalence}; 2 percent is written 0.02."
            )

    def _check_costs(self) -> None:
        for name in ("cost_fp", "cost_fn", "cost_unsure"):
            value = getattr(self, name)
            if value is not None and not 1e-9 <= value <= 1e9:
                raise UsageError(f"`{name}` must be above 0 and at most 1e9, got {value:g}.")
        if (self.cost_fp is None) != (self.cost_fn is None):
            missing = "cost_fn" if self.cost_fn is None else "cost_fp"
            raise UsageError(f"`cost_fp` and `cost_fn` belong together: give `{missing}`, too.")
        if self.cost_unsure is not None and self.cost_fp is None:
            raise UsageError("`cost_unsure` needs `cost_fp` and `cost_fn`.")


@dataclass(frozen=True, slots=True)
class RuntimeOptions:
    """The options of the runtime. They change no prediction, except for images above the size limit."""

    PANEL: ClassVar[str] = "Runtime"

    cache: bool = _option(True, "Keep features between runs, in your cache folder.")
    threads: int | None = _option(None, "Number of threads; default: one per processor that this process may use.")
    max_megapixels: float = _option(50.0, "Size limit of an image in megapixels.")

    def __post_init__(self) -> None:
        _check_types(self)
        if self.threads is not None and self.threads < 1:
            raise UsageError(f"`threads` must be at least 1, got {self.threads}.")
        if self.max_megapixels <= 0:
            raise UsageError(f"`max_megapixels` must be above 0, got {self.max_megapixels}.")

    @property
    def max_pixels(self) -> int:
        """The size limit in pixels."""
        return int(self.max_megapixels * 1e6)


@dataclass(frozen=True, slots=True)
class ServiceOptions:
    """The options of the service: where it listens, and the limits of requests."""

    PANEL: ClassVar[str] = "Service"

    host: str = _option("127.0.0.1", "Address to listen on; any but this machine's own needs a token.")
    port: int = _option(8000, "Port to listen on; 0: any free one.")
    token_file: Path | None = _option(
        None, "File with the token that requests need, as Authorization: Bearer TOKEN; or set TWOFOLD_TOKEN."
    )
    insecure: bool = _option(False, "Answer other machines without a token.")
    queue: int = _option(64, "Number of images that can wait; further requests get the status 429.")
    deadline: float = _option(30.0, "Seconds after which a request is given up.")
    max_megabytes: float = _option(20.0, "Size limit of a request's body in MB.")
    max_images: int = _option(32, "Number of images that a request may have.")
    watch_state: Path | None = _option(
        None, "Folder that keeps what was watched, so that a service that starts again continues; made if missing."
    )
    watch_interval: float = _option(
        0.0, "Seconds in which one image is watched, longer than a camera shows one scene; 0: all images."
    )

    def __post_init__(self) -> None:
        _check_types(self)
        if not 0 <= self.port <= 65_535:
            raise UsageError(f"`port` must be in [0, 65535], got {self.port}.")
        _check_minimum("queue", self.queue, 1)
        _check_minimum("max_images", self.max_images, 1)
        _check_minimum("watch_interval", self.watch_interval, 0)
        for name in ("deadline", "max_megabytes"):
            if getattr(self, name) <= 0:
                raise UsageError(f"`{name}` must be above 0, got {getattr(self, name):g}.")

    @property
    def max_bytes(self) -> int:
        """The size limit of a body in bytes."""
        return int(self.max_megabytes * 1e6)


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """The options of an export: how it is compared with the bundle, and what may differ."""

    PANEL: ClassVar[str] = "Comparison"

    sample: int = _option(
        299, "Number of images, drawn at random, that both answer; the 50 nearest the threshold are added."
    )
    max_difference: float = _option(0.004, "Largest difference in probability; where it is larger, nothing is written.")
    max_flips: int = _option(0, "Number of decisions that may differ; where more do, nothing is written.")

    def __post_init__(self) -> None:
        _check_types(self)
        _check_minimum("sample", self.sample, 1)
        _check_minimum("max_flips", self.max_flips, 0)
        if not 0 <= self.max_difference <= 1:
            raise UsageError(f"`max_difference` must be in [0, 1], got {self.max_difference:g}.")


@dataclass(frozen=True, slots=True)
class TrainingOptions:
    """All options of a training."""

    data: DataOptions = field(default_factory=DataOptions)
    backbone: BackboneOptions = field(default_factory=BackboneOptions)
    learning: LearningOptions = field(default_factory=LearningOptions)
    cross_validation: CrossValidationOptions = field(default_factory=CrossValidationOptions)
    decision: DecisionOptions = field(default_factory=DecisionOptions)
    positive: str | None = None

    def __post_init__(self) -> None:
        _check_types(self)
        if self.decision.prevalence == "auto":
            raise UsageError("`prevalence='auto'` is for decide; give a number, or decide after training.")
        if self.learning.mode != "frozen" and self.backbone.crop_mode == "both":
            raise UsageError("`crop_mode='both'` is for frozen networks; choose another one.")
        if self.learning.mode != "frozen" and self.backbone.fixed_views:
            raise UsageError(f"`views={self.backbone.views!r}` is for frozen networks; leave it out.")
        if self.learning.mode != "frozen" and self.backbone.effort == "best":
            raise UsageError("`effort='best'` is for frozen networks; leave it out.")
        if self.learning.mode == "scratch":
            changed = list_changed(
                self.backbone, ("backbone", "effort", "weights", "features", "output", "mean", "std")
            )
            if changed:
                raise UsageError(f"`{changed[0]}` is for pretrained networks; `mode='scratch'` trains a new one.")


def list_changed(record: Any, names: Iterable[str]) -> list[str]:
    """The names among these fields whose values are not the defaults."""
    defaults = {field.name: field.default for field in fields(record)}
    return [name for name in names if getattr(record, name) != defaults[name]]


def _check_minimum(name: str, value: float | None, minimum: float) -> None:
    if value is not None and not value >= minimum:
        raise UsageError(f"`{name}` must be at least {minimum:g}, got {value:g}.")


def _check_types(record: Any) -> None:
    """Raises UsageError that names every field with a value of another type. NumPy numbers become Python numbers, for JSON."""
    faults = []
    hints = get_type_hints(type(record))
    for name in [entry.name for entry in fields(record)]:
        value = getattr(record, name)
        try:
            plain = value.tolist() if hasattr(value, "tolist") else value
            object.__setattr__(record, name, _convert(plain, hints[name]))
        except (TypeError, OverflowError):
            faults.append(
                f"`{name}` must be {_legal(hints[name])}, got {_shorten(value)}{_suggest(value, hints[name])}."
            )
    if faults:
        raise UsageError(" ".join(faults))


def _kinds(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)


def _convert(value: Any, hint: Any) -> Any:
    """The value in the type of the hint, a list as a tuple. Raises TypeError for another type; True is not a number."""
    for kind in _kinds(hint):
        arguments = get_args(kind)
        number = kind in (int, float) and not isinstance(value, bool)
        if get_origin(kind) is Literal and isinstance(value, str) and value in arguments:
            return value
        if get_origin(kind) is tuple and isinstance(value, list | tuple):
            if arguments[-1] is ...:
                return tuple(_convert(item, arguments[0]) for item in value)
            if len(value) == len(arguments):
                return tuple(map(_convert, value, arguments))
        if number and isinstance(value, Integral if kind is int else Real) and math.isfinite(value):
            return kind(value)
        if isinstance(kind, type) and kind not in (int, float) and isinstance(value, kind):
            return value
    raise TypeError


def _legal(hint: Any) -> str:
    words = [word for kind in _kinds(hint) for word in _describe(kind)]
    return " or ".join(text for text in (", ".join(words[:-1]), words[-1]) if text)


def _describe(kind: Any) -> list[str]:
    if get_origin(kind) is Literal:
        return [repr(choice) for choice in get_args(kind)]
    if get_origin(kind) is tuple and get_args(kind)[-1] is ...:
        return [f"a list (each {_legal(get_args(kind)[0])})"]
    if get_origin(kind) is tuple:
        return [f"{len(get_args(kind))} values (each {_legal(get_args(kind)[0])})"]
    return [_TYPE_NAMES.get(kind, kind.__name__)]


def _shorten(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _MAX_LENGTH else f"{text[:_MAX_LENGTH]}... ({type(value).__name__})"


def _suggest(value: Any, hint: Any) -> str:
    choices = [choice for kind in _kinds(hint) if get_origin(kind) is Literal for choice in get_args(kind)]
    return nearest(value, choices) if isinstance(value, str) else ""
