"""Loading of a backbone by its name: built in, of an installed package, an ONNX file, a hub network or the user's function."""

import json
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

from twofold.core.errors import BackboneError, UsageError
from twofold.core.options import BackboneOptions, FeatureSet
from twofold.core.progress import Progress, no_progress
from twofold.data import Preprocessing
from twofold.networks.architectures import ARCHITECTURES, Architecture, find_architecture
from twofold.networks.backbone import Backbone
from twofold.networks.dtypes import Dtype
from twofold.networks.hub.repository import is_hub
from twofold.networks.packaged import load_packaged_backbone, packaged_backbones
from twofold.networks.torch_file import read_weights
from twofold.networks.weights import find_weights


def load_backbone(options: BackboneOptions, dtype: Dtype, *, cache: Path, progress: Progress = no_progress) -> Backbone:
    """The network that the options name. `cache` is the folder for downloaded weights and exported graphs.

    Raises UsageError for a name, size or dtype that is not available, BackboneError where the network or its weights cannot be
    read.
    """
    backbone = _load_network(options, dtype, cache, progress)
    return replace(backbone, preprocessing=replace(backbone.preprocessing, views=options.fixed_views or ()))


def _load_network(options: BackboneOptions, dtype: Dtype, cache: Path, progress: Progress) -> Backbone:
    if names := split_pair(options.backbone):
        return _load_pair(options, names, dtype, cache, progress)
    if options.backbone.endswith(".onnx"):
        from twofold.networks.onnx_backbone import load_onnx_backbone

        return load_onnx_backbone(options, dtype)
    packages = {} if options.backbone in ARCHITECTURES else packaged_backbones()  # the list of packages takes time
    if options.backbone in packages:
        return load_packaged_backbone(packages[options.backbone], options, dtype)
    if is_hub(options.backbone):
        from twofold.networks.hub.hub_backbone import load_hub_backbone

        return load_hub_backbone(options, dtype, cache=cache, progress=progress)
    network = find_architecture(options.backbone, others=packages)
    _check_unused(options, network.name)
    size = options.size or network.size
    if size not in network.sizes:
        raise UsageError(
            f"`size` for {network.name} lies between {network.sizes[0]} and {network.sizes[-1]}, got {size}."
        )
    preprocessing = Preprocessing(size, options.fixed_crop_mode or network.crop_mode, options.filter or network.filter)
    file = find_weights(network.source, file=options.weights, cache=cache, progress=progress)
    graph = _serialise_graph(network, file, size, options.features, dtype)
    return Backbone(network.name, graph, preprocessing, dtype, options.features)


def split_pair(name: str) -> tuple[str, str] | None:
    """The names of the two networks of `A+B`; None for one network."""
    first, plus, second = name.partition("+")
    return (first, second) if plus and not Path(name).exists() else None


def is_trainable(name: str) -> bool:
    """Whether the network can be fine-tuned; a graph alone cannot. True for an unknown name, whose error comes later."""
    is_graph = name.endswith(".onnx") or (name not in ARCHITECTURES and name in packaged_backbones())
    return not is_graph and split_pair(name) is None


def _load_pair(
    options: BackboneOptions, names: tuple[str, str], dtype: Dtype, cache: Path, progress: Progress
) -> Backbone:
    from twofold.networks.pair import check_pair_options, join_backbones, second_options  # imports onnx

    check_pair_options(options)
    first = load_backbone(replace(options, backbone=names[0]), dtype, cache=cache, progress=progress)
    second = load_backbone(second_options(options, names[1], first), dtype, cache=cache, progress=progress)
    return join_backbones(first, second)


def _check_unused(options: BackboneOptions, name: str) -> None:
    if options.output is not None:
        raise UsageError(f"`output` is for FILE.onnx; leave it out for {name}.")
    normalisation = [f"`{option}`" for option in ("mean", "std") if getattr(options, option) is not None]
    if normalisation:
        verb = "is" if len(normalisation) == 1 else "are"
        raise UsageError(f"{' and '.join(normalisation)} {verb} for external networks; {name} has its own.")


def offered_dtypes(name: str) -> tuple[Dtype, ...]:
    """The dtypes that a network supports on any processor: int8 where the package holds its activation ranges."""
    if names := split_pair(name):
        dtypes = [offered_dtypes(each) for each in names]
        return min(dtypes, key=len)
    if name not in ARCHITECTURES or not _ranges_file(name).is_file():
        return ("bf16", "f32")
    return ("int8", "bf16", "f32")


def _serialise_graph(network: Architecture, weights: Path, size: int, features: FeatureSet, dtype: Dtype) -> bytes:
    from twofold.networks.graph import build_graph  # imports onnx, which prediction does not need

    ranges = json.loads(_ranges_file(network.name).read_text(encoding="utf-8")) if dtype == "int8" else None
    try:
        model = build_graph(network, read_weights(weights), size=size, features=features, ranges=ranges)
    except KeyError as error:
        raise BackboneError(f"The weights of {network.name} lack {error}; get the file again.") from error
    return bytes(model.SerializeToString(deterministic=True))


def _ranges_file(name: str) -> Path:
    return Path(str(files("twofold.networks") / "ranges" / f"{name}.json"))
