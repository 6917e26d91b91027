"""From SOURCE to a local path: an address, a preset, `kaggle:`, `hf:`, or a local path."""

import hashlib
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urldefrag

from twofold.core.errors import DataError, UsageError
from twofold.core.files import LIMIT, make_private, make_temporary_folder
from twofold.core.privacy import public_address
from twofold.core.progress import Progress, no_progress
from twofold.data import address_advice, archive_kind, is_address
from twofold.fetching.archive_cache import fetch_archive
from twofold.fetching.compression import uncompress
from twofold.fetching.huggingface import fetch_parquet_files
from twofold.fetching.kaggle import fetch_kaggle_folder

_HUB_NAME: Final = re.compile(r"(?P<name>\w[\w.-]*/\w[\w.-]*)(/(?P<folder>.+))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Preset:
    """An archive with a short name; `root` is the folder in it that holds the splits."""

    url: str
    root: str


PRESETS: Final = {
    "cats-dogs": Preset(
        "https://storage.googleapis.com/mledu-datasets/cats_and_dogs_filtered.zip", "cats_and_dogs_filtered"
    )
}


@dataclass(frozen=True, slots=True)
class LocalData:
    """A folder, an archive, or a path in an archive; `sha256` is the hash of the archive, if one was downloaded or checked."""

    path: Path
    sha256: str | None = None


def resolve(source: str, cache: Path, progress: Progress = no_progress) -> Path:
    """The local path of SOURCE. A source that is not a local path is downloaded once, into `cache`.

    `cats-dogs/train`, `kaggle:OWNER/NAME/FOLDER` and ADDRESS#FOLDER name a folder inside, `hf:OWNER/NAME/SPLIT` a split.
    A local path is unchanged, but a compressed tar is uncompressed into `cache`. Raises DataError if SOURCE cannot be read.
    """
    return find_local_data(source, cache, progress).path


def find_local_data(
    source: str, cache: Path, progress: Progress = no_progress, *, sha256: str | None = None, limit: int = LIMIT
) -> LocalData:
    """The local data of SOURCE, as in `resolve`, with the SHA-256 of an archive, which must be `sha256` if that is given."""
    if sha256 is not None and not re.fullmatch("[0-9a-f]{64}", sha256):
        raise UsageError(f"`sha256` must be 64 hexadecimal digits, got {sha256!r}.")
    folder = cache / "sources"
    scheme = re.match(r"(https?)://|(kaggle|hf):", source, re.IGNORECASE)
    if scheme is None:
        name, _, subfolder = source.partition("/")
        if name in PRESETS and not Path(name).exists():
            preset = PRESETS[name]
            return _from_address(preset.url, f"{preset.root}/{subfolder}", folder, progress, sha256, limit)
        if is_address(source):
            raise UsageError(f"{public_address(source)} is neither https:// nor http://: {address_advice(source)}.")
        return _from_path(Path(source), folder, progress, sha256, limit)
    if scheme[1]:
        return _from_address(*urldefrag(source), folder, progress, sha256, limit)
    if sha256 is not None:
        raise UsageError(f"`sha256` is for an address or a file, but {source} may be many files: leave it out.")
    return LocalData(_from_hub(scheme[2].lower(), source[scheme.end() :], folder, progress, limit))


def _from_hub(hub: str, text: str, folder: Path, progress: Progress, limit: int) -> Path:
    match = _HUB_NAME.fullmatch(text)
    if match is None:
        raise UsageError(f"{hub}:{text} is not the name of a dataset, expected {hub}:OWNER/NAME.")
    name, subfolder = match["name"], (match["folder"] or "").strip("/")
    if hub == "hf":
        split = subfolder or "train"
        link = folder / f"hf--{name}--{split}".replace("/", "--")
        return _link_once(link, lambda: fetch_parquet_files(name, split, progress, limit=limit))
    link = folder / f"kaggle--{name.replace('/', '--')}"
    return _subfolder(_link_once(link, lambda: [fetch_kaggle_folder(name, progress, limit=limit)]), subfolder)


def _link_once(link: Path, fetch: Callable[[], Sequence[Path]]) -> Path:
    """A link to the folder that `fetch` returns, or a folder with links to its files; `fetch` runs if a link is missing.

    The files stay in the cache of the hub's library. `link` has all of them, or does not exist.
    """
    if link.is_dir() and all(path.exists() for path in link.iterdir()):
        return link
    paths = fetch()
    make_private(link.parent)
    temporary = make_temporary_folder(link)
    try:
        new = temporary / "links"
        if len(paths) == 1 and paths[0].is_dir():
            new.symlink_to(paths[0].resolve())
        else:
            new.mkdir()
            for number, path in enumerate(paths):
                (new / f"{number:03}-{path.name}").symlink_to(path.resolve())
        if link.is_symlink():
            link.unlink()
        elif link.exists():
            shutil.rmtree(link)
        return new.rename(link)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _from_address(
    url: str, subfolder: str, folder: Path, progress: Progress, sha256: str | None, limit: int
) -> LocalData:
    archive = fetch_archive(url, folder, progress, sha256=sha256, limit=limit)
    return LocalData(_subfolder(archive.path, subfolder), archive.sha256)


def _subfolder(path: Path, subfolder: str) -> Path:
    if ".." in Path(subfolder).parts:
        raise UsageError(f"{subfolder} leads out of the downloaded data: give a folder inside.")
    return path / subfolder.strip("/")


def _from_path(path: Path, folder: Path, progress: Progress, sha256: str | None, limit: int) -> LocalData:
    file = next((parent for parent in (path, *path.parents) if parent.is_file()), None)
    if sha256 is not None:
        _check_sha256(path, sha256)
    if file is None or archive_kind(file) != "compressed":
        return LocalData(path, sha256)
    status = file.stat()
    key = hashlib.sha256(f"{file.resolve()} {status.st_size} {status.st_mtime_ns}".encode("utf-8", "surrogateescape"))
    plain = uncompress(file, folder / key.hexdigest()[:16], progress, limit=limit)
    return LocalData(plain / path.relative_to(file), sha256)


def _check_sha256(path: Path, expected: str) -> None:
    if not path.is_file():
        raise UsageError(f"`sha256` is for an address or a file, but {path} is neither: leave it out.")
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != expected:
        raise DataError(f"{path} has SHA-256 {digest}, expected {expected}: get that file again.")
