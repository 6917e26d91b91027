"""Single files from the Hugging Face hub, in that library's own cache."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from twofold.core.errors import BackboneError
from twofold.core.hints import require
from twofold.core.progress import Progress, pushed_progress
from twofold.core.quiet import hushed, reason

_PATIENCE = 10  # seconds


class NotCachedError(Exception):
    """Whether the repository has the file cannot be told without asking the hub."""


def cached(repository: str, revision: str | None, file: str) -> Path | None:
    """The file as it lies in the cache; None where the repository is known to have none of this name."""
    found = _hub().try_to_load_from_cache(repository, file, revision=revision)
    if found is None:
        raise NotCachedError(file)
    return Path(found) if isinstance(found, str) else None


def check_reached(repository: str, revision: str | None) -> None:
    """BackboneError where the hub or the repository cannot be reached: at once, where a download tries for half a minute."""
    hub = _hub()
    with _told(hub, repository, revision), suppress(hub.errors.RemoteEntryNotFoundError):
        hub.get_hf_file_metadata(hub.hf_hub_url(repository, "config.json", revision=revision), timeout=_PATIENCE)


def fetched(repository: str, revision: str | None, file: str, progress: Progress) -> Path | None:
    """The file as the hub has it now; None where it has none of this name. BackboneError where it cannot be had."""
    hub = _hub()
    with _told(hub, repository, revision), suppress(hub.errors.RemoteEntryNotFoundError), hushed("huggingface_hub"):
        return Path(
            pushed_progress(
                lambda bar: str(hub.hf_hub_download(repository, file, revision=revision, tqdm_class=bar)),
                file,
                progress,
            )
        )
    return None


@contextmanager
def _told(hub: Any, repository: str, revision: str | None) -> Iterator[None]:
    """What the hub's library raises, as one sentence."""
    try:
        yield
    except hub.errors.GatedRepoError as error:
        text = f"hf:{repository} is given to those alone who asked for it; ask there, then set HF_TOKEN to your token."
        raise BackboneError(text) from error
    except (hub.errors.RepositoryNotFoundError, hub.errors.HFValidationError) as error:
        text = (
            f"There is no hf:{repository} on the hub, or it is private; check the name, or set HF_TOKEN to your token."
        )
        raise BackboneError(text) from error
    except hub.errors.RevisionNotFoundError as error:
        raise BackboneError(f"hf:{repository} has no revision {revision}; leave @{revision} out.") from error
    except Exception as error:  # whatever its HTTP library raises, of which there were three by now
        raise BackboneError(
            f"hf:{repository} could not be fetched ({reason(error)}); go online once, or download it elsewhere and give the "
            "folder with `backbone`."
        ) from error


def _hub() -> Any:
    require("A network of the hub", "huggingface_hub")
    # Else it tells the hub which packages are installed here; read when it is imported.
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    import huggingface_hub
    import huggingface_hub.errors

    return huggingface_hub
