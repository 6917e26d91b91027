"""Backbones by name: built in, an ONNX file, or from a hub."""

import json
from importlib.resources import files
from pathlib import Path

from twofold.core.errors import BackboneError, UsageError
from twofold.core.options import BackboneOptions, FeatureSet
from twofold.core.progress import Progress, no_progress
from twofold.data import Preprocessing
from twofold.networks.architectures import ARCHITECTURES, Architecture, architecture
from twofold.networks.backbone import Backbone
from twofold.networks.dtypes import Dtype
from twofold.networks.hub.repository import is_hub
from twofold.networks.torch_file import read_weights
from twofold.networks.weights import find_weights


def load_backbone(options: BackboneOptions, dtype: Dtype, *, cache: Path, progress: Progress = no_progress) -> Backbone:
    """The network that the options name. `cache` is where downloaded weights are kept; `watch` sees them come.

    Raises UsageError for a name, size or precision that is not to be had, BackboneError where the network or its weights
    cannot be read.
    """
    if options.backbone.endswith(".onnx"):
        from twofold.networks.onnx_backbone import load_custom

        return load_custom(options, dtype)
    if is_hub(options.backbone):
        from twofold.networks.hub.hub_backbone import hub_backbone

        return hub_backbone(options, dtype, cache=cache, progress=progress)
    table = architecture(options.backbone)
    given = [f"`{name}`" for name in ("output", "mean", "std") if getattr(options, name) is not None]
    if given:
        raise UsageError(f"{' and '.join(given)} is for FILE.onnx; {table.name} brings its own.")
    size = options.size or table.size
    if size not in table.sizes:
        raise UsageError(f"`size` for {table.name} lies between {table.sizes[0]} and {table.sizes[-1]}, got {size}.")
    preprocessing = Preprocessing(size, options.crop_mode or table.crop_mode, options.filter or table.filter)
    file = find_weights(table.source, given=options.weights, cache=cache, progress=progress)
    graph = _graph(table, file, size, options.features, dtype)
    return Backbone(table.name, graph, preprocessing, dtype, options.features)


def offered_dtypes(name: str) -> tuple[Dtype, ...]:
    """What the network can be run in, whatever the processor: int8 wherever twofold carries the ranges for it."""
    if name not in ARCHITECTURES or not _ranges_file(name).is_file():
        return ("bf16", "f32")
    return ("int8", "bf16", "f32")


def _graph(table: Architecture, weights: Path, size: int, features: FeatureSet, dtype: Dtype) -> bytes:
    from twofold.networks.graph import build_graph  # imports onnx, which answering does not need

    ranges = json.loads(_ranges_file(table.name).read_text(encoding="utf-8")) if dtype == "int8" else None
    try:
        model = build_graph(table, read_weights(weights), size=size, features=features, ranges=ranges)
    except KeyError as error:
        raise BackboneError(f"The weights of {table.name} lack {error}; get the file again.") from error
    return bytes(model.SerializeToString(deterministic=True))


def _ranges_file(name: str) -> Path:
    return Path(str(files("twofold.networks") / "ranges" / f"{name}.json"))
