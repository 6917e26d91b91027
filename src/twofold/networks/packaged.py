"""Networks in installed packages: graph, preprocessing and licence as files, under the entry point group `twofold.backbones`.

The package itself is not imported, so its code does not run. docs/backbones.md has the recipe.
"""

import json
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, get_args

from twofold.core.errors import BackboneError, UsageError
from twofold.core.options import BackboneOptions, CropMode, Filter
from twofold.data import Preprocessing
from twofold.networks.backbone import Backbone
from twofold.networks.dtypes import Dtype
from twofold.networks.onnx_check import check_user_network

GROUP: Final = "twofold.backbones"
GRAPH: Final = "graph.onnx"
RECORD: Final = "backbone.json"
KEYS: Final = {"size", "crop_mode", "crop_pct", "filter", "licence", "source"}


def packaged_backbones() -> dict[str, EntryPoint]:
    """The networks of installed packages, by their names."""
    return {entry.name: entry for entry in entry_points(group=GROUP)}


def load_packaged_backbone(entry: EntryPoint, options: BackboneOptions, dtype: Dtype) -> Backbone:
    """The network of an installed package.

    Raises UsageError for options that do not fit, BackboneError where a file of the package is missing or wrong.
    """
    unused = [f"`{name}`" for name in ("weights", "output", "mean", "std") if getattr(options, name) is not None]
    if unused:
        verb, them = ("is", "it") if len(unused) == 1 else ("are", "them")
        raise UsageError(f"{' and '.join(unused)} {verb} fixed in the package of {entry.name}; leave {them} out.")
    folder = _find_folder(entry)
    preprocessing = _read_preprocessing(folder / RECORD, options, entry.name)
    try:
        graph = (folder / GRAPH).read_bytes()
    except OSError as error:
        raise BackboneError(f"The package of {entry.name} has no readable {GRAPH}: {error}") from error
    check_user_network(graph, preprocessing.size, entry.name)
    return Backbone(entry.name, graph, preprocessing, dtype, "last")


def _find_folder(entry: EntryPoint) -> Path:
    spec = (
        find_spec(entry.module) if entry.module.isidentifier() else None
    )  # of a dotted name the parent would be imported
    if spec is None or not spec.submodule_search_locations:
        raise BackboneError(
            f"The entry point of {entry.name} does not name a package: {entry.value}. Install it again."
        )
    return Path(next(iter(spec.submodule_search_locations)))


def _read_preprocessing(file: Path, options: BackboneOptions, name: str) -> Preprocessing:
    record = _read_record(file, name)
    if options.size not in (None, record["size"]):
        raise UsageError(
            f"{name} takes images of {record['size']} pixels, not `size` {options.size}; leave `size` out."
        )
    crop_mode, resampling = options.fixed_crop_mode or record["crop_mode"], options.filter or record["filter"]
    return Preprocessing(record["size"], crop_mode, resampling, record["crop_pct"])


def _read_record(file: Path, name: str) -> dict[str, Any]:
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BackboneError(f"The package of {name} has no readable {RECORD}: {error}") from error
    if not isinstance(record, dict) or set(record) != KEYS:
        raise BackboneError(f"{RECORD} of {name} must have the keys {', '.join(sorted(KEYS))}.")
    legal = {
        "size": type(record["size"]) is int and 1 <= record["size"] <= 4096,
        "crop_mode": record["crop_mode"] in get_args(CropMode),
        "crop_pct": isinstance(record["crop_pct"], int | float) and 0 < record["crop_pct"] <= 1,
        "filter": record["filter"] in get_args(Filter),
    }
    if wrong := [key for key, is_legal in legal.items() if not is_legal]:
        values = ", ".join(f"{key} {record[key]!r}" for key in wrong)
        raise BackboneError(f"{RECORD} of {name} has a value that is not supported: {values}.")
    return record
