"""Single files of the Hugging Face hub, in the cache of that library."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock
from typing import Any

from twofold.core.errors import BackboneError
from twofold.core.hints import require
from twofold.core.hub_library import hub_errors, import_hub
from twofold.core.progress import Progress, run_with_progress_bar
from twofold.core.third_party import mute_loggers

_TIMEOUT = 10  # seconds
_TELEMETRY_LOCK = Lock()


class NotCachedError(Exception):
    """The cache does not know whether the repository has the file."""


def find_cached(repository: str, revision: str | None, file: str) -> Path | None:
    """The path of the file in the cache; None where the repository is known not to have it. Raises NotCachedError."""
    path = _import_hub().try_to_load_from_cache(repository, file, revision=revision)
    if path is None:
        raise NotCachedError(file)
    return Path(path) if isinstance(path, str) else None


def check_reachable(repository: str, revision: str | None) -> None:
    """Raises BackboneError where the hub or the repository cannot be reached. It fails at once; a download retries for 30 s."""
    hub = _import_hub()
    url = hub.hf_hub_url(repository, "config.json", revision=revision)
    with (
        _hub_errors(hub, repository, revision),
        suppress(hub.errors.RemoteEntryNotFoundError),
        _telemetry_disabled(hub),
    ):
        hub.get_hf_file_metadata(url, timeout=_TIMEOUT)


def fetch_file(repository: str, revision: str | None, file: str, progress: Progress) -> Path | None:
    """The path of the file, downloaded if needed; None where the repository does not have it. Raises BackboneError."""
    hub = _import_hub()

    def download(bar: Any) -> str:
        return str(hub.hf_hub_download(repository, file, revision=revision, tqdm_class=bar))

    with (
        _hub_errors(hub, repository, revision),
        suppress(hub.errors.RemoteEntryNotFoundError),
        mute_loggers("huggingface_hub"),
        _telemetry_disabled(hub),
    ):
        return Path(run_with_progress_bar(download, file, progress))
    return None


@contextmanager
def _telemetry_disabled(hub: Any) -> Iterator[None]:
    """Within this context, the library does not send the hub the installed packages and the running program.

    The library offers no parameter for this. It reads the constant at each request; the lock keeps concurrent contexts from
    restoring it early.
    """
    with _TELEMETRY_LOCK:
        setting = hub.constants.HF_HUB_DISABLE_TELEMETRY
        hub.constants.HF_HUB_DISABLE_TELEMETRY = True
        try:
            yield
        finally:
            hub.constants.HF_HUB_DISABLE_TELEMETRY = setting


@contextmanager
def _hub_errors(hub: Any, repository: str, revision: str | None) -> Iterator[None]:
    with hub_errors(hub, repository, BackboneError, what="network", folder="give its folder with `backbone`"):
        try:
            yield
        except hub.errors.RevisionNotFoundError as error:
            raise BackboneError(f"hf:{repository} has no revision {revision}; leave @{revision} out.") from error


def _import_hub() -> Any:
    require("A network of the hub", "huggingface_hub")
    return import_hub()
