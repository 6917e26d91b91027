"""The way from a picture to a network of transformers, as its `preprocessor_config.json` tells it.

Read as JSON: transformers' own image processors want torchvision for much that is said here.
"""

from dataclasses import dataclass
from typing import Any, Final

from twofold.core.errors import BackboneError, UsageError
from twofold.core.notes import Note
from twofold.core.options import BackboneOptions, CropMode, Filter
from twofold.data import Preprocessing
from twofold.data.preprocessing import CROP_PCT
from twofold.networks.architectures import IMAGENET_MEAN, IMAGENET_STD, Triple
from twofold.networks.hub.image_processors import ANY, KINDS

_FILTERS: Final[dict[int, Filter]] = {2: "bilinear", 3: "bicubic"}  # as Pillow numbers them
_OTHER_FILTERS: Final[dict[int, tuple[str, Filter]]] = {
    0: ("nearest", "bilinear"),
    1: ("lanczos", "bicubic"),
    4: ("box", "bilinear"),
    5: ("hamming", "bilinear"),
}


@dataclass(frozen=True, slots=True)
class DataConfig:
    """The square, then (pixels - mean) / std on a scale of 0 to 255; `reversed` networks take blue first."""

    preprocessing: Preprocessing
    mean: Triple
    std: Triple
    reversed: bool = False
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True, slots=True)
class _Fitting:
    """`fault` says in what the square is not quite what the file asks for."""

    size: int
    crop_mode: CropMode
    crop_pct: float
    fault: str | None = None


def read_preprocessing(
    about: dict[str, Any] | None, image_size: int | None, options: BackboneOptions, name: str
) -> DataConfig:
    """What the file holds (None: there is none), with what the options say in its place.

    `image_size` is the network's own, for where the file has none. What a square cannot follow exactly is told in the notes.
    Raises BackboneError for pictures that are not square or not RGB, UsageError for options that are not legal.
    """
    if about is None:
        return _assumed(image_size, options, name)
    try:
        return _read(about, image_size, options, name)
    except UsageError:  # a ValueError, but not the file's fault
        raise
    except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        raise BackboneError(
            f"The preprocessor_config.json of {name} makes no sense ({type(error).__name__}: {error}); get that file again."
        ) from error


def assumed(name: str) -> Note:
    """ImageNet's mean and deviation stood in for what nobody said."""
    shown = (" ".join(f"{value:g}" for value in values) for values in (IMAGENET_MEAN, IMAGENET_STD))
    text = "ImageNet's stood in for what was not given of `mean` ({}) and `std` ({}); check that {} was trained so."
    return Note("assumed-preprocessing", text.format(*shown, name))


def checked_size(size: int | None, name: str) -> int:
    """UsageError where the size is not given or not legal."""
    if size is None:
        raise UsageError(f"{name} does not say what size of square it takes; say it with `size`.")
    if not 1 <= size <= 4096:
        raise UsageError(f"`size` must lie between 1 and 4096, got {size}.")
    return size


def checked_std(std: Triple) -> Triple:
    if min(std) <= 0:
        raise UsageError(f"`std` must be above 0, got {' '.join(f'{value:g}' for value in std)}.")
    return std


def _assumed(image_size: int | None, options: BackboneOptions, name: str) -> DataConfig:
    size = checked_size(options.size or image_size, name)
    preprocessing = Preprocessing(size, options.crop_mode or "center", options.filter or "bilinear")
    notes = (assumed(name),) if None in (options.mean, options.std) else ()
    return DataConfig(
        preprocessing, options.mean or IMAGENET_MEAN, checked_std(options.std or IMAGENET_STD), notes=notes
    )


def _read(about: dict[str, Any], image_size: int | None, options: BackboneOptions, name: str) -> DataConfig:
    kind = _kind(about)
    whole = {**ANY, **KINDS.get(kind, {}), **_given(about)}
    if "size" not in whole:
        whole["size"] = checked_size(image_size or options.size, name)
    fitting, (filter, lacking) = _fitting(kind, whole, name), _filter(whole["resample"])
    faults = [] if kind in KINDS else [f"pictures go through a {kind or 'nameless'} processor, read by its keys alone"]
    faults += [fitting.fault] if fitting.fault is not None and options.crop_mode is None else []
    faults += [f"pictures are resized by {lacking}"] if lacking is not None and options.filter is None else []
    preprocessing = Preprocessing(
        checked_size(options.size or fitting.size, name),
        options.crop_mode or fitting.crop_mode,
        options.filter or filter,
        fitting.crop_pct if options.crop_mode in (None, fitting.crop_mode) else CROP_PCT,
    )
    mean, std = _scale(kind, whole, name)
    notes = tuple(_other(name, fault, preprocessing) for fault in faults)
    reversed = bool(whole.get("do_flip_channel_order"))
    return DataConfig(preprocessing, options.mean or mean, checked_std(options.std or std), reversed, notes)


def _filter(resample: Any) -> tuple[Filter, str | None]:
    """The filter, and what it stands in for."""
    if resample in _FILTERS:
        return _FILTERS[resample], None
    lacking, filter = _OTHER_FILTERS[resample]
    return filter, lacking


def _kind(about: dict[str, Any]) -> str:
    """'ViT' of ViTImageProcessor, ViTImageProcessorFast and, in files of before, ViTFeatureExtractor."""
    name = str(about.get("image_processor_type") or about.get("feature_extractor_type") or "")
    for end in ("Fast", "Pil", "ImageProcessor", "FeatureExtractor"):
        name = name.removesuffix(end)
    return name


def _given(about: dict[str, Any]) -> dict[str, Any]:
    """Nothing set to null: that stands for the default, or for no."""
    return {key: value for key, value in about.items() if value is not None}


def _other(name: str, fault: str, preprocessing: Preprocessing) -> Note:
    ours = f"{preprocessing.crop_mode} to {preprocessing.size} pixels, {preprocessing.filter}"
    text = f"The preprocessing of {name} is not quite followed: {fault}, while here it is {ours}; vectors may differ a little."
    return Note("other-preprocessing", text)


def _fitting(kind: str, whole: dict[str, Any], name: str) -> _Fitting:
    short, side = _sides(whole["size"], name, by_short=isinstance(KINDS.get(kind, {}).get("size"), dict))
    if kind == "ConvNext" and short is not None:
        if short >= 384:
            return _Fitting(short, "squash", CROP_PCT)
        return _Fitting(short, "center", short / int(short / whole["crop_pct"]))
    if kind == "PoolFormer" and "crop_pct" in whole:
        short, side = int((short or side or 0) / whole["crop_pct"]), None
    if kind == "Levit" and short is not None:
        short = int(256 / 224 * short)
    crop = _sides(whole["crop_size"], name, by_short=False)[1] if whole["do_center_crop"] else None
    if not whole["do_resize"]:
        return _Fitting(crop or side or short or 0, "center", 1.0, "pictures are not resized")
    return _resized(side, crop) if side is not None else _resized_by_short(short or 0, crop)


def _resized(side: int, crop: int | None) -> _Fitting:
    """To a square, then cropped or not."""
    if crop is None or crop == side:
        return _Fitting(side, "squash", CROP_PCT)
    if crop > side:
        return _Fitting(crop, "squash", CROP_PCT, f"pictures are resized to {side} pixels and laid on black")
    return _Fitting(crop, "center", crop / side, "pictures are stretched before their middle is taken")


def _resized_by_short(short: int, crop: int | None) -> _Fitting:
    """By the short side, then cropped or not."""
    if crop is None:
        return _Fitting(short, "center", 1.0, "what is beside the middle is seen as well")
    if crop > short:
        return _Fitting(crop, "center", 1.0, f"pictures are resized to {short} pixels and laid on black")
    return _Fitting(crop, "center", crop / short)


def _sides(size: Any, name: str, *, by_short: bool) -> tuple[int | None, int | None]:
    """The short side that pictures are resized to, or else the side of a square. `by_short` says which a number means."""
    if isinstance(size, int):
        return (size, None) if by_short else (None, size)
    if isinstance(size, list):
        size = dict(zip(("height", "width"), size, strict=True))
    if "shortest_edge" in size:
        return int(size["shortest_edge"]), None
    if size["height"] != size["width"]:
        raise BackboneError(f"{name} takes pictures of {size['width']} x {size['height']}; twofold gives squares.")
    return None, int(size["height"])


def _scale(kind: str, whole: dict[str, Any], name: str) -> tuple[Triple, Triple]:
    """Rescaling, an offset of one and up to two normalisations, as one subtraction and one division."""
    factor = whole["rescale_factor"] if whole["do_rescale"] else 1.0
    offset = 1.0 if whole.get("rescale_offset") else 0.0
    mean, std = _triple(whole["image_mean"], name), _triple(whole["image_std"], name)
    shift, divisor = (mean, std) if whole["do_normalize"] else ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    if kind == "EfficientNet" and whole["include_top"]:  # normalised a second time, by the deviation alone
        divisor = _triple([first * second for first, second in zip(divisor, std, strict=True)], name)
    means, stds = [(value + offset) / factor for value in shift], [value / factor for value in divisor]
    return _triple(means, name), _triple(stds, name)


def _triple(values: Any, name: str) -> Triple:
    if isinstance(values, int | float):
        values = [values] * 3
    if len(values) != 3:
        raise BackboneError(f"{name} takes pictures of {len(values)} channels; twofold gives three: red, green, blue.")
    red, green, blue = (float(value) for value in values)
    return red, green, blue
