"""Networks from elsewhere as backbones: of the Hugging Face hub, of a local folder, or made by a function of the user's.

Nothing here imports torch until a network has to be loaded; what was exported once is read as ONNX.
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
from twofold.networks.hub.export_cache import exported
from twofold.networks.hub.repository import PREFIX, Repository, find_repository, is_function
from twofold.networks.onnx_check import check_own

if TYPE_CHECKING:
    from torch import nn

EXPORT = 1  # counts up whenever a graph is exported differently: those kept from before are then not used
_NEEDED = ("torch", "transformers", "onnxscript")


@dataclass(frozen=True, slots=True, eq=False)
class HubNetwork:
    """`body` maps normalised pixels to `Seen`, a vector of `width`; mean and std are on a scale of 0 to 255."""

    name: str
    body: "nn.Module"
    width: int
    preprocessing: Preprocessing
    mean: Triple
    std: Triple
    notes: tuple[Note, ...] = ()


def load_hub(options: BackboneOptions, *, progress: Progress = no_progress) -> HubNetwork:
    """The network as a torch module in evaluation mode, with its preprocessing. `watch` sees a download pass.

    Raises UsageError for options that do not fit, BackboneError where the network cannot be had, read or run.
    """
    _check(options)
    if is_function(options.backbone):
        return _made(options)
    return _loaded(*_found(options, progress))


def hub_backbone(options: BackboneOptions, dtype: Dtype, *, cache: Path, progress: Progress = no_progress) -> Backbone:
    """The network as a backbone, exported once into the folder `cache`. Raises what `load_hub` raises."""
    _check(options)
    folder = cache / "exported"
    if is_function(options.backbone):
        network = _made(options)
        graph = exported(_key_of_module(network), lambda: _export(network), folder)
        preprocessing, notes = network.preprocessing, network.notes
    else:
        repository, config = _found(options, progress)
        graph = exported(_key_of_files(repository, config), lambda: _export(_loaded(repository, config)), folder)
        preprocessing, notes = config.preprocessing, config.notes
    check_own(graph, preprocessing.size, options.backbone)
    return Backbone(_shown(options.backbone), graph, preprocessing, dtype, "last", notes=notes)


def _check(options: BackboneOptions) -> None:
    given = [f"`{name}`" for name in ("weights", "output") if getattr(options, name) is not None]
    if given:
        raise UsageError(f"{' and '.join(given)} cannot be used with {options.backbone}; leave it out.")
    require(options.backbone, *_NEEDED)


def _shown(name: str) -> str:
    """Of a folder its last name alone: where it lies is nobody's business who gets the model."""
    return name if name.startswith(PREFIX) or is_function(name) else Path(name).resolve().name


def _found(options: BackboneOptions, progress: Progress) -> tuple[Repository, DataConfig]:
    repository = find_repository(options.backbone, progress)
    return repository, read_preprocessing(repository.preprocessor, repository.image_size, options, repository.name)


def _loaded(repository: Repository, config: DataConfig) -> HubNetwork:
    from twofold.networks.hub.pretrained import pretrained_body

    body, width = pretrained_body(repository, config.preprocessing.size, reversed=config.reversed)
    return HubNetwork(_shown(repository.name), body, width, config.preprocessing, config.mean, config.std, config.notes)


def _made(options: BackboneOptions) -> HubNetwork:
    from twofold.networks.hub.function import function_body

    config = read_preprocessing(None, None, options, options.backbone)
    body, width = function_body(options.backbone, config.preprocessing.size)
    return HubNetwork(options.backbone, body, width, config.preprocessing, config.mean, config.std, config.notes)


def _export(network: HubNetwork) -> bytes:
    from twofold.networks.modules.export import export
    from twofold.networks.modules.network import Network

    whole = Network(network.body, network.width, network.mean, network.std)
    return export(whole, network.preprocessing.size)


def _key_of_files(repository: Repository, config: DataConfig) -> str:
    files = []
    for file in repository.weights:
        with file.open("rb") as stream:
            files.append(hashlib.file_digest(stream, "sha256").hexdigest())
    return _key(repository.config, files, config.mean, config.std, config.preprocessing.size, config.reversed)


def _key_of_module(network: HubNetwork) -> str:
    from twofold.networks.hub.function import fingerprint

    return _key(
        fingerprint(network.body, network.preprocessing.size), network.mean, network.std, network.preprocessing.size
    )


def _key(*parts: Any) -> str:
    whole = [EXPORT, *(version(package) for package in _NEEDED), *parts]
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()
