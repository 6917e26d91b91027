"""The files of a transformers network: in a local folder, or in the hub's cache, downloaded once.

Only JSON and safetensors files are downloaded and read, never pickled weights or code.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twofold.core.errors import BackboneError
from twofold.core.progress import Progress
from twofold.networks.architectures import ARCHITECTURES
from twofold.networks.hub.hub_files import NotCachedError, check_reachable, fetch_file, find_cached

PREFIX = "hf:"
_FUNCTION = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")
_ID = re.compile(r"([\w.-]+(?:/[\w.-]+)?)(?:@([\w./-]+))?")
_WEIGHTS = "model.safetensors"

FindFile = Callable[[str], Path | None]
"""file name -> its path, or None where the repository does not have it."""


def is_hub(name: str) -> bool:
    """Whether the name is `hf:ID`, a folder or `module:function`. A built-in name takes precedence over a folder."""
    if name in ARCHITECTURES or name.endswith(".onnx"):
        return False
    return name.startswith(PREFIX) or is_function(name) or Path(name).is_dir()


def is_function(name: str) -> bool:
    """Whether the name is that of a function, `PACKAGE.module:function`."""
    return not name.startswith(PREFIX) and _FUNCTION.fullmatch(name) is not None


@dataclass(frozen=True, slots=True)
class Repository:
    """A network as `save_pretrained` writes it. `preprocessor` is None where it has no preprocessing configuration."""

    name: str
    folder: Path
    config: dict[str, Any]
    preprocessor: dict[str, Any] | None
    weights: tuple[Path, ...]

    @property
    def image_size(self) -> int | None:
        """The image size of the network in pixels, where its configuration states one."""
        size = self.config.get("vision_config", self.config).get("image_size")
        return int(size[0] if isinstance(size, list) else size) if size else None


def find_repository(name: str, progress: Progress) -> Repository:
    """The files of `hf:ID`, `hf:ID@REVISION` or a folder. A complete download in the hub's cache is used offline.

    Raises BackboneError, with what to do, where files are unavailable or the weights are not safetensors.
    """
    if not name.startswith(PREFIX):
        return _collect(name, lambda file: path if (path := Path(name) / file).is_file() else None)
    match = _ID.fullmatch(name.removeprefix(PREFIX))
    if match is None:
        raise BackboneError(f"{name} is not a name of the hub; expected hf:OWNER/NAME or hf:OWNER/NAME@REVISION.")
    repository, revision = match[1], match[2]
    try:
        return _collect(name, lambda file: find_cached(repository, revision, file))
    except NotCachedError:
        check_reachable(repository, revision)
        return _collect(name, lambda file: fetch_file(repository, revision, file, progress))


def _collect(name: str, find: FindFile) -> Repository:
    config = find("config.json")
    if config is None:
        raise BackboneError(
            f"{name} has no config.json, so it is not a network saved by transformers; check `backbone`."
        )
    return Repository(name, config.parent, _read_json(config), _read_preprocessor(find), _find_weights(name, find))


def _read_preprocessor(find: FindFile) -> dict[str, Any] | None:
    """The preprocessing configuration; networks for images and text may keep it in the one for both."""
    file = find("preprocessor_config.json")
    if file is not None:
        return _read_json(file)
    processor = find("processor_config.json")
    return _read_json(processor).get("image_processor") if processor is not None else None


def _find_weights(name: str, find: FindFile) -> tuple[Path, ...]:
    weights = find(_WEIGHTS)
    if weights is not None:
        return (weights,)
    index = find(f"{_WEIGHTS}.index.json")
    names = sorted(set(_read_json(index)["weight_map"].values())) if index is not None else []
    shards = {file: find(file) for file in names}
    missing = [file for file, path in shards.items() if path is None] if shards else [_WEIGHTS]
    if missing:
        raise BackboneError(
            f"{name} has no {' and no '.join(missing)}; pickled weights (.bin, .pt) could run code and are not read, so "
            "convert them with transformers' save_pretrained, and give the folder with `backbone`."
        )
    return tuple(path for path in shards.values() if path is not None)


def _read_json(file: Path) -> dict[str, Any]:
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BackboneError(f"{file} cannot be read ({error}); get that file again.") from error
    if not isinstance(values, dict):
        raise BackboneError(f"{file} holds no JSON object; get that file again.")
    return values
