"""Datasets of Hugging Face as Parquet files with encoded images, by huggingface_hub and in its cache."""

import re
from contextlib import AbstractContextManager
from functools import partial
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import Any, Final

from twofold.core.errors import DataError
from twofold.core.files import LIMIT, check_size
from twofold.core.hints import install
from twofold.core.hub_library import hub_errors, import_hub
from twofold.core.progress import Progress, run_with_progress_bar

_CONVERTED: Final = "refs/convert/parquet"  # the branch with the hub's own conversion of datasets in other formats
_TIMEOUT: Final = 10  # seconds
_MAX_NAMES: Final = 5  # in a message
_HEADERS: Final = {"user-agent": "twofold"}  # the library's default lists the installed packages


def fetch_parquet_files(name: str, split: str, progress: Progress, *, limit: int = LIMIT) -> list[Path]:
    """The Parquet files of a split of OWNER/NAME; `split` may be CONFIGURATION/SPLIT.

    Raises DataError if they cannot be downloaded; it names the token to set where one is needed.
    """
    hub = _import_hub(name)
    revision, sizes = _list_files(hub, name, split)
    check_size(f"hf:{name}", sum(sizes.values()), limit)
    paths = []
    for file in sizes:
        with _hub_errors(hub, name):
            paths.append(Path(run_with_progress_bar(partial(_download, hub, name, file, revision), file, progress)))
    return paths


def _download(hub: Any, name: str, file: str, revision: str, progress_bar: type) -> str:
    return str(
        hub.hf_hub_download(
            name, file, repo_type="dataset", revision=revision, tqdm_class=progress_bar, headers=_HEADERS
        )
    )


def _list_files(hub: Any, name: str, split: str) -> tuple[str, dict[str, int]]:
    """The revision, and the Parquet files of the split in it with their sizes."""
    api = hub.HfApi(headers=_HEADERS)
    with _hub_errors(hub, name):
        info = api.dataset_info(name, files_metadata=True, timeout=_TIMEOUT)
        files = _parquet_files(info)
        if not files:
            try:
                info = api.dataset_info(name, revision=_CONVERTED, files_metadata=True, timeout=_TIMEOUT)
            except hub.errors.RevisionNotFoundError:
                raise DataError(f"hf:{name} has no Parquet file: download the dataset, and give its folder.") from None
            files = _parquet_files(info)
    return str(info.sha), _select_split(name, split, files)


def _select_split(name: str, split: str, files: dict[str, int]) -> dict[str, int]:
    """The files in a folder of the split's name, or whose names begin with it. The folder above is the configuration."""
    configuration, _, split_name = split.rpartition("/")
    prefix = re.compile(rf"{re.escape(split_name)}[._-]", re.IGNORECASE)
    configurations: dict[str, dict[str, int]] = {}
    for file, size in files.items():
        path = PurePosixPath(file)
        in_folder = path.parent.name.lower() == split_name.lower()
        parent = str(path.parent.parent if in_folder else path.parent)
        if (in_folder or prefix.match(path.name)) and configuration in ("", parent):
            configurations.setdefault(parent, {})[file] = size
    if not configurations:
        names = ", ".join(list(files)[:_MAX_NAMES])
        raise DataError(
            f"hf:{name} has no Parquet file of the split {split!r}; it has {names or 'none'}: give another split."
        )
    if len(configurations) > 1:
        first, names = next(iter(configurations)), ", ".join(list(configurations)[:_MAX_NAMES])
        raise DataError(
            f"hf:{name} has the split {split!r} in several configurations ({names}): give one, as in "
            f"hf:{name}/{first}/{split_name}."
        )
    return next(iter(configurations.values()))


def _parquet_files(info: Any) -> dict[str, int]:
    files = {file.rfilename: file.size or 0 for file in info.siblings or () if file.rfilename.endswith(".parquet")}
    return dict(sorted(files.items()))


def _import_hub(name: str) -> Any:
    if missing := [package for package in ("huggingface_hub", "pyarrow") if find_spec(package) is None]:
        raise DataError(f"hf:{name} needs {' and '.join(missing)}; {install('hub')}.")
    return import_hub()


def _hub_errors(hub: Any, name: str) -> AbstractContextManager[None]:
    return hub_errors(hub, name, DataError, what="dataset", folder="give its folder")
