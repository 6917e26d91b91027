"""Networks from elsewhere as backbones: of the Hugging Face hub, of a local folder, or made by a function of the user's.

Nothing here imports torch until a network has to be loaded; what was exported once is read as ONNX.
"""

import hashlib
import json
import re
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twofold.data import Note, Square
from twofold.embedding import Arithmetic, Backbone, Watch, unwatched
from twofold.embedding.architectures import ARCHITECTURES
from twofold.embedding.custom import Triple
from twofold.embedding.network import check_own
from twofold.errors import UsageError
from twofold.learning.extra import require
from twofold.learning.hub.exported import exported
from twofold.learning.hub.preprocessing import Preprocessing, read_preprocessing
from twofold.learning.hub.repository import PREFIX, Repository, find_repository
from twofold.options import BackboneOptions

if TYPE_CHECKING:
    from torch import nn

EXPORT = 1  # counts up whenever a graph is exported differently: those kept from before are then not used
_FUNCTION = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")
_NEEDED = ("torch", "transformers", "onnxscript")


@dataclass(frozen=True, slots=True, eq=False)
class HubNetwork:
    """`body` maps normalised pixels to `Seen`, a vector of `width`; mean and std are on a scale of 0 to 255."""

    name: str
    body: "nn.Module"
    width: int
    square: Square
    mean: Triple
    std: Triple
    notes: tuple[Note, ...] = ()


def is_hub(name: str) -> bool:
    """Whether a backbone of this name is loaded here: `hf:ID`, a folder, or `module:function`. Built-in names come first."""
    if name in ARCHITECTURES or name.endswith(".onnx"):
        return False
    return name.startswith(PREFIX) or _FUNCTION.fullmatch(name) is not None or Path(name).is_dir()


def load_hub(options: BackboneOptions, *, watch: Watch = unwatched) -> HubNetwork:
    """The network as a torch module in evaluation mode, with its preprocessing. `watch` sees a download pass.

    Raises UsageError for options that do not fit, BackboneError where the network cannot be had, read or run.
    """
    _check(options)
    if _is_function(options.backbone):
        return _made(options)
    return _loaded(*_found(options, watch))


def hub_backbone(options: BackboneOptions, precision: Arithmetic, *, cache: Path, watch: Watch = unwatched) -> Backbone:
    """The network as a backbone, exported once into the folder `cache`. Raises what `load_hub` raises."""
    _check(options)
    folder = cache / "exported"
    if _is_function(options.backbone):
        network = _made(options)
        graph = exported(_key_of_module(network), lambda: _export(network), folder)
        square, notes = network.square, network.notes
    else:
        repository, way = _found(options, watch)
        graph = exported(_key_of_files(repository, way), lambda: _export(_loaded(repository, way)), folder)
        square, notes = way.square, way.notes
    check_own(graph, square.size, options.backbone)
    return Backbone(_shown(options.backbone), graph, square, precision, "last", notes=notes)


def _check(options: BackboneOptions) -> None:
    given = [f"--{name}" for name in ("weights", "output") if getattr(options, name) is not None]
    if given:
        raise UsageError(f"{' and '.join(given)} cannot be used with {options.backbone}; leave it out.")
    require(options.backbone, *_NEEDED)


def _is_function(name: str) -> bool:
    return not name.startswith(PREFIX) and _FUNCTION.fullmatch(name) is not None


def _shown(name: str) -> str:
    """Of a folder its last name alone: where it lies is nobody's business who gets the model."""
    return name if name.startswith(PREFIX) or _is_function(name) else Path(name).resolve().name


def _found(options: BackboneOptions, watch: Watch) -> tuple[Repository, Preprocessing]:
    repository = find_repository(options.backbone, watch)
    return repository, read_preprocessing(repository.preprocessor, repository.image_size, options, repository.name)


def _loaded(repository: Repository, way: Preprocessing) -> HubNetwork:
    from twofold.learning.hub.pretrained import pretrained_body

    body, width = pretrained_body(repository, way.square.size, reversed=way.reversed)
    return HubNetwork(_shown(repository.name), body, width, way.square, way.mean, way.std, way.notes)


def _made(options: BackboneOptions) -> HubNetwork:
    from twofold.learning.hub.function import function_body

    way = read_preprocessing(None, None, options, options.backbone)
    body, width = function_body(options.backbone, way.square.size)
    return HubNetwork(options.backbone, body, width, way.square, way.mean, way.std, way.notes)


def _export(network: HubNetwork) -> bytes:
    from twofold.learning.networks.export import export
    from twofold.learning.networks.network import Network

    whole = Network(network.body, network.width, network.mean, network.std)
    return export(whole, network.square.size)


def _key_of_files(repository: Repository, way: Preprocessing) -> str:
    files = []
    for file in repository.weights:
        with file.open("rb") as stream:
            files.append(hashlib.file_digest(stream, "sha256").hexdigest())
    return _key(repository.config, files, way.mean, way.std, way.square.size, way.reversed)


def _key_of_module(network: HubNetwork) -> str:
    from twofold.learning.hub.function import fingerprint

    return _key(fingerprint(network.body, network.square.size), network.mean, network.std, network.square.size)


def _key(*parts: Any) -> str:
    whole = [EXPORT, *(version(package) for package in _NEEDED), *parts]
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()
