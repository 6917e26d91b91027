"""Where the files of a network of transformers lie: a local folder, or the hub's cache, filled once.

JSON and safetensors are all that is fetched and read; pickled weights and code never are.
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
from twofold.networks.hub.hub_files import NotCachedError, cached, check_reached, fetched

PREFIX = "hf:"
_FUNCTION = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")
_ID = re.compile(r"([\w.-]+(?:/[\w.-]+)?)(?:@([\w./-]+))?")
_WEIGHTS = "model.safetensors"

Get = Callable[[str], Path | None]
"""The file of this name; None where there is none."""


def is_hub(name: str) -> bool:
    """Whether a backbone of this name is loaded here: `hf:ID`, a folder, or `module:function`. Built-in names come first."""
    if name in ARCHITECTURES or name.endswith(".onnx"):
        return False
    return name.startswith(PREFIX) or is_function(name) or Path(name).is_dir()


def is_function(name: str) -> bool:
    """Whether the name is that of a function, `PACKAGE.module:function`."""
    return not name.startswith(PREFIX) and _FUNCTION.fullmatch(name) is not None


@dataclass(frozen=True, slots=True)
class Repository:
    """A network as `save_pretrained` writes it. `preprocessor` is None where nothing is said of pictures."""

    name: str
    folder: Path
    config: dict[str, Any]
    preprocessor: dict[str, Any] | None
    weights: tuple[Path, ...]

    @property
    def image_size(self) -> int | None:
        """The side of the squares that the network was made for, where it says so."""
        size = self.config.get("vision_config", self.config).get("image_size")
        return int(size[0] if isinstance(size, list) else size) if size else None


def find_repository(name: str, progress: Progress) -> Repository:
    """The files of `hf:ID`, `hf:ID@REVISION` or a folder. What lies in the hub's cache whole is used without asking the hub.

    Raises BackboneError, with the ways out, where they cannot be had, or the weights are not safetensors.
    """
    if not name.startswith(PREFIX):
        return _collect(name, lambda file: path if (path := Path(name) / file).is_file() else None)
    match = _ID.fullmatch(name.removeprefix(PREFIX))
    if match is None:
        raise BackboneError(f"{name} is no name of the hub; it looks like hf:OWNER/NAME or hf:OWNER/NAME@REVISION.")
    where = match[1], match[2]
    try:
        return _collect(name, lambda file: cached(*where, file))
    except NotCachedError:
        check_reached(*where)
        return _collect(name, lambda file: fetched(*where, file, progress))


def _collect(name: str, get: Get) -> Repository:
    config = get("config.json")
    if config is None:
        raise BackboneError(
            f"{name} holds no config.json, so it is no network that transformers saved; check `backbone`."
        )
    preprocessor = _preprocessor(get)
    return Repository(name, config.parent, _json(config), preprocessor, _weights(name, get))


def _preprocessor(get: Get) -> dict[str, Any] | None:
    """What is said of pictures: in a file of its own or, with newer networks for pictures and text, in one for both."""
    file = get("preprocessor_config.json")
    if file is not None:
        return _json(file)
    both = get("processor_config.json")
    return _json(both).get("image_processor") if both is not None else None


def _weights(name: str, get: Get) -> tuple[Path, ...]:
    whole = get(_WEIGHTS)
    if whole is not None:
        return (whole,)
    index = get(f"{_WEIGHTS}.index.json")
    parts = {file: get(file) for file in sorted(set(_json(index)["weight_map"].values()))} if index is not None else {}
    lacking = [file for file, part in parts.items() if part is None] if parts else [_WEIGHTS]
    if lacking:
        raise BackboneError(
            f"{name} holds no {' and no '.join(lacking)}; pickled weights (.bin, .pt) could run code and are not read, so "
            "convert them with transformers' save_pretrained, and give the folder with `backbone`."
        )
    return tuple(part for part in parts.values() if part is not None)


def _json(file: Path) -> dict[str, Any]:
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BackboneError(f"{file} cannot be read ({error}); get that file again.") from error
    if not isinstance(values, dict):
        raise BackboneError(f"{file} holds no JSON object; get that file again.")
    return values
