"""The weights of a built-in network: a given file, a file of a package, or a download. The SHA-256 is always checked."""

import importlib.util
import shutil
from hashlib import sha256
from pathlib import Path

from twofold.core.errors import BackboneError, TwofoldError
from twofold.core.files import make_temporary_folder, reason
from twofold.core.hints import install
from twofold.core.progress import Progress, no_progress
from twofold.networks.architectures import WeightsSource


def find_weights(
    source: WeightsSource, *, file: Path | None = None, cache: Path, progress: Progress = no_progress
) -> Path:
    """The file with the weights: `file`, or from their package, or downloaded into `cache`.

    Raises BackboneError if they cannot be found or downloaded, or have another SHA-256.
    """
    path = file or (_find_in_package(source) if source.package else cache / source.file)
    if file is None and source.url is not None and not (path.exists() and _digest(path) == source.sha256):
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
        return sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise BackboneError(f"The weights {path} cannot be read ({error.strerror}); check `weights`.") from error


def _find_in_package(source: WeightsSource) -> Path:
    spec = importlib.util.find_spec(source.package or "")
    if spec is None or spec.origin is None:
        raise BackboneError(f"The weights are in a separate package; {install(source.extra or '')}.")
    return Path(spec.origin).parent / source.file


def _download(url: str, source: WeightsSource, path: Path, progress: Progress) -> None:
    """Downloads into a temporary folder, so that several processes can do it at once; nothing is left on failure."""
    from twofold.core.download import download_file  # urllib takes 20 ms to import
    from twofold.core.web import Address

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        folder = make_temporary_folder(path)
        try:
            download_file(Address.parse(url), folder / path.name, progress, sha256=source.sha256)
            (folder / path.name).replace(path)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    except (OSError, TwofoldError) as error:
        why = reason(error) if isinstance(error, OSError) else getattr(error, "reason", str(error))
        raise BackboneError(
            f"The weights {source.file} could not be downloaded from {url} ({why}); "
            "go online once, or fetch that file elsewhere and pass it with `weights`."
        ) from error
