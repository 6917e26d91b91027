"""Finding the weights of a built-in network: given, in a package, or downloaded once; their hash is checked each time."""

import hashlib
import importlib.util
from pathlib import Path
from typing import Any

from twofold.core.errors import BackboneError
from twofold.core.hints import install
from twofold.core.progress import Progress, no_progress
from twofold.networks.architectures import WeightsSource

_CHUNK = 1 << 20


def find_weights(
    source: WeightsSource, *, given: Path | None = None, cache: Path, progress: Progress = no_progress
) -> Path:
    """The file that holds `source`, its SHA-256 checked: `given`, or from its package, or downloaded into `cache`.

    Raises BackboneError, with the ways out, where it cannot be had or is another file.
    """
    path = given or (_in_package(source) if source.package else cache / source.file)
    if given is None and source.url is not None and not (path.exists() and _digest(path) == source.sha256):
        _download(source.url, source, path, progress)
    digest = _digest(path)
    if digest != source.sha256:
        raise BackboneError(
            f"The weights {path} have SHA-256 {digest[:12]}…, expected {source.sha256[:12]}… "
            f"({Path(source.file).name}); get that file again."
        )
    return path


def _digest(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise BackboneError(f"The weights {path} cannot be read ({error.strerror}); check `weights`.") from error


def _in_package(source: WeightsSource) -> Path:
    spec = importlib.util.find_spec(source.package or "")
    if spec is None or spec.origin is None:
        raise BackboneError(f"The weights come in a package of their own; {install(source.extra or '')}.")
    return Path(spec.origin).parent / source.file


def _download(url: str, source: WeightsSource, path: Path, progress: Progress) -> None:
    """Puts the file at `path` once it is there whole and its hash is right; nothing otherwise."""
    import pooch  # brings requests: only where something is downloaded

    def fetch(url: str, part: str, _: Any) -> None:
        import requests

        with requests.get(url, stream=True, timeout=30) as response, open(part, "wb") as file:
            response.raise_for_status()
            chunks = -(-int(response.headers.get("content-length", 0)) // _CHUNK)
            for chunk in progress(response.iter_content(_CHUNK), chunks, "weights, MB"):
                file.write(chunk)

    pooch.get_logger().setLevel("ERROR")  # it reports each download on stderr
    try:
        pooch.retrieve(url, f"sha256:{source.sha256}", fname=path.name, path=path.parent, downloader=fetch)
    except (OSError, ValueError) as error:
        raise BackboneError(
            f"The weights {source.file} could not be downloaded from {url} ({_reason(error)}); "
            f"go online once, or fetch that file elsewhere and pass it with `weights`."
        ) from error


def _reason(error: Exception) -> str:
    import requests

    match error:
        case requests.HTTPError(response=response) if response is not None:
            return f"the server answered {response.status_code}"
        case requests.exceptions.ChunkedEncodingError():
            return "the connection broke off"
        case requests.Timeout():
            return "the server does not answer"
        case requests.ConnectionError():
            return "there is no connection"
        case OSError():
            return error.strerror or type(error).__name__
    return "other bytes came than were expected"
