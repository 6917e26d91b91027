"""External networks as backbones: from the Hugging Face hub, a local folder, or the user's function.

PyTorch is imported only where a network must be loaded; a cached export is read as ONNX.
"""

import hashlib
import json
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twofold.core.errors import UsageError
from twofold.core.hints import require
from twofold.core.notes import Note
from twofold.core.options import BackboneOptions
from twofold.core.progress import Progress, no_progress
from twofold.data import Preprocessing
from twofold.networks.architectures import Triple
from twofold.networks.backbone import Backbone
from twofold.networks.dtypes import Dtype
from twofold.networks.hub.data_config import DataConfig, read_preprocessing
from twofold.networks.hub.export_cache import load_or_export
from twofold.networks.hub.repository import PREFIX, Repository, find_repository, is_function
from twofold.networks.onnx_check import check_user_network

if TYPE_CHECKING:
    from torch import nn

EXPORT_VERSION = 1  # raised whenever the export changes: cached graphs are then exported anew
_PACKAGES = ("torch", "transformers", "onnxscript")


@dataclass(frozen=True, slots=True, eq=False)
class HubNetwork:
    """A network as a PyTorch body, which maps normalised pixels to `BodyOutput`, and its preprocessing.

    `width` is the number of features; `mean` and `std` are for pixels from 0 to 255.
    """

    name: str
    body: "nn.Module"
    width: int
    preprocessing: Preprocessing
    mean: Triple
    std: Triple
    notes: tuple[Note, ...] = ()


def load_hub_network(options: BackboneOptions, *, progress: Progress = no_progress) -> HubNetwork:
    """The network as a PyTorch module in evaluation mode, with its preprocessing.

    Raises UsageError for options that do not fit, BackboneError where the network cannot be downloaded, read or run.
    """
    _check(options)
    if is_function(options.backbone):
        return _call_function(options)
    return _load_repository(*_read_repository(options, progress))


def load_hub_backbone(
    options: BackboneOptions, dtype: Dtype, *, cache: Path, progress: Progress = no_progress
) -> Backbone:
    """The network as a backbone; its export is cached in the folder `cache`. Raises the errors of `load_hub_network`."""
    _check(options)
    folder = cache / "exported"
    if is_function(options.backbone):
        network = _call_function(options)
        graph = load_or_export(_module_key(network), lambda: _export(network), folder)
        preprocessing, notes = network.preprocessing, network.notes
    else:
        repository, config = _read_repository(options, progress)
        graph = load_or_export(
            _file_key(repository, config), lambda: _export(_load_repository(repository, config)), folder
        )
        preprocessing, notes = config.preprocessing, config.notes
    check_user_network(graph, preprocessing.size, options.backbone)
    return Backbone(_public_name(options.backbone), graph, preprocessing, dtype, "last", notes=notes)


def _check(options: BackboneOptions) -> None:
    unused = [f"`{name}`" for name in ("weights", "output") if getattr(options, name) is not None]
    if unused:
        raise UsageError(
            f"{' and '.join(unused)} cannot be used with {options.backbone}; leave {'it' if len(unused) == 1 else 'them'} out."
        )
    require(options.backbone, *_PACKAGES)


def _public_name(name: str) -> str:
    """The name that a bundle records: for a folder only the last part of its path, which is private."""
    return name if name.startswith(PREFIX) or is_function(name) else Path(name).resolve().name


def _read_repository(options: BackboneOptions, progress: Progress) -> tuple[Repository, DataConfig]:
    repository = find_repository(options.backbone, progress)
    return repository, read_preprocessing(repository.preprocessor, repository.image_size, options, repository.name)


def _load_repository(repository: Repository, config: DataConfig) -> HubNetwork:
    from twofold.networks.hub.pretrained import pretrained_body

    body, width = pretrained_body(repository, config.preprocessing.size, bgr=config.bgr)
    return HubNetwork(
        _public_name(repository.name), body, width, config.preprocessing, config.mean, config.std, config.notes
    )


def _call_function(options: BackboneOptions) -> HubNetwork:
    from twofold.networks.hub.function import function_body

    config = read_preprocessing(None, None, options, options.backbone)
    body, width = function_body(options.backbone, config.preprocessing.size)
    return HubNetwork(options.backbone, body, width, config.preprocessing, config.mean, config.std, config.notes)


def _export(network: HubNetwork) -> bytes:
    from twofold.networks.modules.export import export
    from twofold.networks.modules.network import Network

    trainable = Network(network.body, network.width, network.mean, network.std)
    return export(trainable, network.preprocessing.size)


def _file_key(repository: Repository, config: DataConfig) -> str:
    hashes = []
    for file in repository.weights:
        with file.open("rb") as stream:
            hashes.append(hashlib.file_digest(stream, "sha256").hexdigest())
    return _hash(repository.config, hashes, config.mean, config.std, config.preprocessing.size, config.bgr)


def _module_key(network: HubNetwork) -> str:
    from twofold.networks.hub.function import fingerprint

    return _hash(
        fingerprint(network.body, network.preprocessing.size), network.mean, network.std, network.preprocessing.size
    )


def _hash(*values: Any) -> str:
    """A hash of the values, of the export version and of the versions of the packages that export."""
    versions = [EXPORT_VERSION, *(version(package) for package in _PACKAGES)]
    return hashlib.sha256(json.dumps([*versions, *values], sort_keys=True).encode()).hexdigest()
