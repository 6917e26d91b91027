"""The preprocessing of a transformers network, from its `preprocessor_config.json`.

It is read as JSON, because the image processors of transformers need torchvision for many of the settings.
"""

from dataclasses import dataclass
from typing import Any, Final

from twofold.core.errors import BackboneError, UsageError
from twofold.core.notes import Note
from twofold.core.options import BackboneOptions, CropMode, Filter
from twofold.data import Preprocessing
from twofold.data.preprocessing import CROP_PCT
from twofold.networks.architectures import IMAGENET_MEAN, IMAGENET_STD, Triple
from twofold.networks.backbone import check_image_size, check_std, note_assumed_normalisation
from twofold.networks.hub.image_processors import DEFAULTS, PROCESSORS

_FILTERS: Final[dict[int, Filter]] = {2: "bilinear", 3: "bicubic"}  # Pillow's numbers
_REPLACED_FILTERS: Final[dict[int, tuple[str, Filter]]] = {
    0: ("nearest", "bilinear"),
    1: ("lanczos", "bicubic"),
    4: ("box", "bilinear"),
    5: ("hamming", "bilinear"),
}


@dataclass(frozen=True, slots=True)
class DataConfig:
    """How an image becomes the input of a network: the preprocessing, then (pixels - mean) / std on pixels from 0 to 255.

    `bgr` networks take BGR instead of RGB.
    """

    preprocessing: Preprocessing
    mean: Triple
    std: Triple
    bgr: bool = False
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True, slots=True)
class _Geometry:
    """Size and crop of the model input. `deviation` describes how they differ from the configuration, if they do."""

    size: int
    crop_mode: CropMode
    crop_pct: float
    deviation: str | None = None


def read_preprocessing(
    config: dict[str, Any] | None, image_size: int | None, options: BackboneOptions, name: str
) -> DataConfig:
    """The preprocessing of `config` (None where the network has none); the options take precedence.

    `image_size` is that of the network, for a `config` without a size. Notes list the settings that are only approximated.
    Raises BackboneError for model inputs that are not square or not RGB, UsageError for illegal options.
    """
    if config is None:
        return _assume(image_size, options, name)
    try:
        return _read(config, image_size, options, name)
    except UsageError:  # a ValueError too, but caused by the options
        raise
    except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        raise BackboneError(
            f"The preprocessor_config.json of {name} is not valid ({type(error).__name__}: {error}); download it again."
        ) from error


def _assume(image_size: int | None, options: BackboneOptions, name: str) -> DataConfig:
    size = check_image_size(options.size or image_size, name)
    preprocessing = Preprocessing(size, options.fixed_crop_mode or "center", options.filter or "bilinear")
    notes = (note_assumed_normalisation(name),) if None in (options.mean, options.std) else ()
    return DataConfig(preprocessing, options.mean or IMAGENET_MEAN, check_std(options.std or IMAGENET_STD), notes=notes)


def _read(config: dict[str, Any], image_size: int | None, options: BackboneOptions, name: str) -> DataConfig:
    processor = _processor_name(config)
    settings = {**DEFAULTS, **PROCESSORS.get(processor, {}), **_without_nulls(config)}
    if "size" not in settings:
        settings["size"] = check_image_size(image_size or options.size, name)
    geometry, (filter, replaced_filter) = (
        _choose_geometry(processor, settings, name),
        _choose_filter(settings["resample"]),
    )
    deviations = [] if processor in PROCESSORS else [f"the image processor {processor or 'without a name'} is unknown"]
    deviations += [geometry.deviation] if geometry.deviation is not None and options.fixed_crop_mode is None else []
    deviations += (
        [f"its resize filter is {replaced_filter}"] if replaced_filter is not None and options.filter is None else []
    )
    preprocessing = Preprocessing(
        check_image_size(options.size or geometry.size, name),
        options.fixed_crop_mode or geometry.crop_mode,
        options.filter or filter,
        geometry.crop_pct if options.fixed_crop_mode in (None, geometry.crop_mode) else CROP_PCT,
    )
    mean, std = _fold_normalisation(processor, settings, name)
    notes = tuple(_note_deviation(name, deviation, preprocessing) for deviation in deviations)
    bgr = bool(settings.get("do_flip_channel_order"))
    return DataConfig(preprocessing, options.mean or mean, check_std(options.std or std), bgr, notes)


def _choose_filter(resample: Any) -> tuple[Filter, str | None]:
    """The resize filter, and the name of the one that it replaces, if any."""
    if resample in _FILTERS:
        return _FILTERS[resample], None
    replaced_filter, filter = _REPLACED_FILTERS[resample]
    return filter, replaced_filter


def _processor_name(config: dict[str, Any]) -> str:
    """'ViT' for ViTImageProcessor, ViTImageProcessorFast and, in older files, ViTFeatureExtractor."""
    name = str(config.get("image_processor_type") or config.get("feature_extractor_type") or "")
    for end in ("Fast", "Pil", "ImageProcessor", "FeatureExtractor"):
        name = name.removesuffix(end)
    return name


def _without_nulls(config: dict[str, Any]) -> dict[str, Any]:
    """The configuration without its nulls, which stand for a default."""
    return {key: value for key, value in config.items() if value is not None}


def _note_deviation(name: str, deviation: str, preprocessing: Preprocessing) -> Note:
    description = f"{preprocessing.size} pixels, {preprocessing.filter}"
    text = (
        f"The preprocessing of {name} is followed approximately: {deviation}. Used here: {description}. Features may differ "
        "slightly."
    )
    return Note("other-preprocessing", text)


def _choose_geometry(processor: str, settings: dict[str, Any], name: str) -> _Geometry:
    number_is_edge = isinstance(PROCESSORS.get(processor, {}).get("size"), dict)
    short_edge, side = _parse_size(settings["size"], name, number_is_edge=number_is_edge)
    if processor == "ConvNext" and short_edge is not None:
        if short_edge >= 384:
            return _Geometry(short_edge, "squash", CROP_PCT)
        return _Geometry(short_edge, "center", short_edge / int(short_edge / settings["crop_pct"]))
    if processor == "PoolFormer" and "crop_pct" in settings:
        short_edge, side = int((short_edge or side or 0) / settings["crop_pct"]), None
    if processor == "Levit" and short_edge is not None:
        short_edge = int(256 / 224 * short_edge)
    crop = _parse_size(settings["crop_size"], name, number_is_edge=False)[1] if settings["do_center_crop"] else None
    if not settings["do_resize"]:
        return _Geometry(crop or side or short_edge or 0, "center", 1.0, "it does not resize images")
    return _resize_to_square(side, crop) if side is not None else _resize_short_edge(short_edge or 0, crop)


def _resize_to_square(side: int, crop: int | None) -> _Geometry:
    """Images are resized to a square, then cropped if `crop` is given."""
    if crop is None or crop == side:
        return _Geometry(side, "squash", CROP_PCT)
    if crop > side:
        return _Geometry(crop, "squash", CROP_PCT, f"it resizes images to {side} pixels and pads them with black")
    return _Geometry(crop, "center", crop / side, "it resizes images to a square before the center crop")


def _resize_short_edge(short_edge: int, crop: int | None) -> _Geometry:
    """The short edge is resized, then the image is cropped if `crop` is given."""
    if crop is None:
        return _Geometry(short_edge, "center", 1.0, "it does not crop images to a square")
    if crop > short_edge:
        return _Geometry(crop, "center", 1.0, f"it resizes images to {short_edge} pixels and pads them with black")
    return _Geometry(crop, "center", crop / short_edge)


def _parse_size(size: Any, name: str, *, number_is_edge: bool) -> tuple[int | None, int | None]:
    """(short edge, None) or (None, side of a square). `number_is_edge` says which of them a single number is."""
    if isinstance(size, int):
        return (size, None) if number_is_edge else (None, size)
    if isinstance(size, list):
        size = dict(zip(("height", "width"), size, strict=True))
    if "shortest_edge" in size:
        return int(size["shortest_edge"]), None
    if size["height"] != size["width"]:
        raise BackboneError(
            f"{name} takes images of {size['width']} x {size['height']} pixels; twofold's model inputs are square."
        )
    return None, int(size["height"])


def _fold_normalisation(processor: str, settings: dict[str, Any], name: str) -> tuple[Triple, Triple]:
    """Mean and std that combine the rescaling, its offset and up to two normalisations."""
    factor = settings["rescale_factor"] if settings["do_rescale"] else 1.0
    offset = 1.0 if settings.get("rescale_offset") else 0.0
    mean, std = _triple(settings["image_mean"], name), _triple(settings["image_std"], name)
    shift, divisor = (mean, std) if settings["do_normalize"] else ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    if processor == "EfficientNet" and settings["include_top"]:  # divided by the std a second time
        divisor = _triple([first * second for first, second in zip(divisor, std, strict=True)], name)
    means, stds = [(value + offset) / factor for value in shift], [value / factor for value in divisor]
    return _triple(means, name), _triple(stds, name)


def _triple(values: Any, name: str) -> Triple:
    if isinstance(values, int | float):
        values = [values] * 3
    if len(values) != 3:
        raise BackboneError(f"{name} takes images with {len(values)} channels; twofold's model inputs are RGB.")
    red, green, blue = (float(value) for value in values)
    return red, green, blue
