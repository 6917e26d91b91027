"""Data sets of Kaggle, through its own library, in its own cache."""

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from twofold.core.errors import DataError
from twofold.core.hints import install
from twofold.core.limits import LIMIT
from twofold.core.privacy import public_text
from twofold.core.progress import Progress, pushed_progress
from twofold.fetching.links import link_once

_TOKEN = "set KAGGLE_USERNAME and KAGGLE_KEY, or put your token from kaggle.com/settings into ~/.kaggle/kaggle.json"


def from_kaggle(name: str, folder: Path, progress: Progress, *, limit: int = LIMIT) -> Path:
    """The folder with the data set OWNER/NAME, downloaded once.

    Raises DataError, with what to set, where it cannot be had, and where its archive is larger than the limit.
    """
    return link_once(folder / f"kaggle--{name.replace('/', '--')}", lambda: [_fetched(name, progress, limit)])


def _fetched(name: str, progress: Progress, limit: int) -> Path:
    library = _library(name)
    try:
        return Path(pushed_progress(lambda bar: _download(library, name, bar), f"kaggle:{name}", progress, limit=limit))
    except DataError:
        raise
    except Exception as error:  # it has no list of what it raises, and requests has its own
        raise DataError(f"kaggle:{name} could not be fetched: {_why(error)}.") from error


def _download(library: Any, name: str, bar: type) -> str:
    import kagglehub.clients

    # It draws a bar of its own on stderr, and takes no other; on stdout it would tell of newer versions of itself.
    kagglehub.clients.tqdm = bar
    kagglehub.clients.already_printed_version_warning = True
    return str(library.dataset_download(name))


def _library(name: str) -> Any:
    if find_spec("kagglehub") is None:
        raise DataError(f"kaggle:{name} needs kagglehub; {install('hub')}.")
    os.environ.setdefault("KAGGLEHUB_VERBOSITY", "critical")  # read when it is imported
    import kagglehub

    return kagglehub


def _why(error: Exception) -> str:
    import requests  # what kagglehub asks with

    if isinstance(error, requests.ConnectionError | requests.Timeout):
        return f"there is no connection; go online once, and if it still fails, {_TOKEN}"
    code = getattr(getattr(error, "response", None), "status_code", None)
    match code:
        case 401 | 403:
            return f"Kaggle gives it only to those it knows (it answered {code}); {_TOKEN}"
        case 404:
            return f"Kaggle has no such data set, or it is private; check OWNER/NAME, or {_TOKEN}"
        case int():
            return f"Kaggle answered {code}; try again later"
    line = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".:")
    return f"{public_text(line)}; {_TOKEN}"
