"""Datasets of Kaggle, by kagglehub and in its cache."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from twofold.core.errors import DataError
from twofold.core.files import LIMIT
from twofold.core.hints import install
from twofold.core.progress import Progress, run_with_progress_bar
from twofold.core.third_party import mute_loggers, summarise_error

_TOKEN = "set KAGGLE_USERNAME and KAGGLE_KEY, or put your token from kaggle.com/settings into ~/.kaggle/kaggle.json"


def fetch_kaggle_folder(name: str, progress: Progress, *, limit: int = LIMIT) -> Path:
    """The folder with the dataset OWNER/NAME.

    Raises DataError if it cannot be downloaded, with the token to set, or if its archive is larger than the limit.
    """
    if find_spec("kagglehub") is None:
        raise DataError(f"kaggle:{name} needs kagglehub; {install('hub')}.")
    try:
        return Path(run_with_progress_bar(lambda bar: _download(name, bar), f"kaggle:{name}", progress, limit=limit))
    except DataError:
        raise
    except Exception as error:  # kagglehub documents no errors, and requests raises its own
        raise DataError(f"kaggle:{name} could not be fetched: {_explain(error)}.") from error


def _download(name: str, progress_bar: type) -> str:
    import kagglehub.clients

    with mute_loggers("kagglehub"), _settings(kagglehub.clients, progress_bar):
        return str(kagglehub.dataset_download(name))


@contextmanager
def _settings(clients: Any, progress_bar: type) -> Iterator[None]:
    """Within this context the library draws no progress bar of its own on stderr and prints no version notices on stdout."""
    before = clients.tqdm, clients.already_printed_version_warning
    clients.tqdm, clients.already_printed_version_warning = progress_bar, True
    try:
        yield
    finally:
        clients.tqdm, clients.already_printed_version_warning = before


def _explain(error: Exception) -> str:
    import requests  # kagglehub's HTTP library

    if isinstance(error, requests.ConnectionError | requests.Timeout):
        return f"there is no connection; go online once, and if it still fails, {_TOKEN}"
    code = getattr(getattr(error, "response", None), "status_code", None)
    match code:
        case 401 | 403:
            return f"Kaggle denies access (status {code}); {_TOKEN}"
        case 404:
            return f"Kaggle has no such dataset, or it is private; check OWNER/NAME, or {_TOKEN}"
        case int():
            return f"Kaggle returned status {code}; try again later"
    return f"{summarise_error(error)}; {_TOKEN}"
