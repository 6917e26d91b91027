"""Data sets of Hugging Face, as Parquet files with the bytes of pictures, through its own library, in its own cache."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import Any, Final

from twofold.core.errors import DataError
from twofold.core.hints import install
from twofold.core.limits import LIMIT, check_size
from twofold.core.privacy import public_text
from twofold.core.progress import Progress, pushed_progress
from twofold.fetching.links import link_once

_CONVERTED: Final = "refs/convert/parquet"  # where the hub itself puts data sets that are written otherwise
_PATIENCE: Final = 10  # seconds
_SHOWN: Final = 5


def from_hugging_face(name: str, split: str, folder: Path, progress: Progress, *, limit: int = LIMIT) -> Path:
    """A folder with the Parquet files of a split of OWNER/NAME, downloaded once; `split` may be CONFIGURATION/SPLIT.

    Raises DataError, with what to set, where they cannot be had.
    """
    split = split.strip("/")
    place = folder / f"hf--{name}--{split}".replace("/", "--")
    return link_once(place, lambda: list(_fetched(name, split, progress, limit)))


def _fetched(name: str, split: str, progress: Progress, limit: int) -> Iterator[Path]:
    hub = _library(name)
    revision, sizes = _files(hub, name, split)
    check_size(f"hf:{name}", sum(sizes.values()), limit)
    for file in sizes:
        with _told(hub, name):
            yield Path(pushed_progress(partial(_download, hub, name, file, revision), file, progress))


def _download(hub: Any, name: str, file: str, revision: str, bar: type) -> str:
    return str(hub.hf_hub_download(name, file, repo_type="dataset", revision=revision, tqdm_class=bar))


def _files(hub: Any, name: str, split: str) -> tuple[str, dict[str, int]]:
    """The revision, and in it the Parquet files of the split with their sizes."""
    with _told(hub, name):
        info = hub.HfApi().dataset_info(name, files_metadata=True, timeout=_PATIENCE)
        files = _parquet(info)
        if not files:
            try:
                info = hub.HfApi().dataset_info(name, revision=_CONVERTED, files_metadata=True, timeout=_PATIENCE)
            except hub.errors.RevisionNotFoundError:
                raise DataError(f"hf:{name} has no Parquet file: download it, and give the folder.") from None
            files = _parquet(info)
    return str(info.sha), _chosen(name, split, files)


def _chosen(name: str, split: str, files: dict[str, int]) -> dict[str, int]:
    """Those of the split, which their folder is called, or their names begin with; what is above that is the configuration."""
    configuration, _, last = split.rpartition("/")
    begins = re.compile(rf"{re.escape(last)}[._-]", re.IGNORECASE)
    found: dict[str, dict[str, int]] = {}
    for file, size in files.items():
        path = PurePosixPath(file)
        in_folder = path.parent.name.lower() == last.lower()
        above = str(path.parent.parent if in_folder else path.parent)
        if (in_folder or begins.match(path.name)) and configuration in ("", above):
            found.setdefault(above, {})[file] = size
    if not found:
        shown = ", ".join(list(files)[:_SHOWN])
        raise DataError(
            f"hf:{name} has no Parquet file of the split {split!r}, but {shown or 'none'}: name another split."
        )
    if len(found) > 1:
        first, shown = next(iter(found)), ", ".join(list(found)[:_SHOWN])
        raise DataError(
            f"hf:{name} has the split {split!r} in several configurations ({shown}): name one, as in "
            f"hf:{name}/{first}/{last}."
        )
    return next(iter(found.values()))


def _parquet(info: Any) -> dict[str, int]:
    found = {file.rfilename: file.size or 0 for file in info.siblings or () if file.rfilename.endswith(".parquet")}
    return dict(sorted(found.items()))


def _library(name: str) -> Any:
    if missing := [package for package in ("huggingface_hub", "pyarrow") if find_spec(package) is None]:
        raise DataError(f"hf:{name} needs {' and '.join(missing)}; {install('hub')}.")
    # Else it tells the hub which packages are installed here; read when it is imported.
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    import huggingface_hub
    import huggingface_hub.errors

    return huggingface_hub


@contextmanager
def _told(hub: Any, name: str) -> Iterator[None]:
    """What the hub's library raises, as one sentence."""
    try:
        yield
    except DataError:
        raise
    except hub.errors.GatedRepoError as error:
        text = f"hf:{name} is given to those alone who asked for it; ask there, then set HF_TOKEN to your token."
        raise DataError(text) from error
    except (hub.errors.RepositoryNotFoundError, hub.errors.HFValidationError) as error:
        text = f"There is no data set hf:{name} on the hub, or it is private; check the name, or set HF_TOKEN to your token."
        raise DataError(text) from error
    except Exception as error:  # whatever its HTTP library raises, of which there were three by now
        while isinstance(error.__cause__, Exception):
            error = error.__cause__
        line = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".:")
        raise DataError(
            f"hf:{name} could not be fetched ({public_text(line)}); go online once, or download it elsewhere and give the folder."
        ) from error
