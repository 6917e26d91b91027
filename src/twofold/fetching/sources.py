"""SOURCE to a local path: an address, a preset, `kaggle:` or `hf:`, or a path that is there already."""

import re
from dataclasses import dataclass
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Final
from urllib.parse import urldefrag

from twofold.core.errors import DataError, UsageError
from twofold.core.limits import LIMIT
from twofold.core.privacy import public_address
from twofold.core.progress import Progress, no_progress
from twofold.data import advice, archive_kind, is_address
from twofold.fetching.compression import uncompressed
from twofold.fetching.download import download
from twofold.fetching.huggingface import from_hugging_face
from twofold.fetching.kaggle import from_kaggle

_HUB_NAME: Final = re.compile(r"(?P<name>\w[\w.-]*/\w[\w.-]*)(/(?P<part>.+))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Preset:
    """An archive by a name of its own; `root` is the folder in it that holds the splits."""

    url: str
    root: str


PRESETS: Final = {
    "cats-dogs": Preset(
        "https://storage.googleapis.com/mledu-datasets/cats_and_dogs_filtered.zip", "cats_and_dogs_filtered"
    )
}


@dataclass(frozen=True, slots=True)
class Found:
    """A folder, an archive, or a path inside one; `sha256` is that of the file that came, where one came."""

    path: Path
    sha256: str | None = None


def resolve(source: str, cache: Path, progress: Progress = no_progress) -> Path:
    """The local path of SOURCE, as `list_pictures` takes it; what comes from elsewhere is downloaded into `cache`, once.

    `cats-dogs/train`, `kaggle:OWNER/NAME/FOLDER` and ADDRESS#FOLDER name a folder inside, `hf:OWNER/NAME/SPLIT` a split.
    A local path stays as it is, but for a compressed tar, of which a plain one is made in `cache`. Raises DataError.
    """
    return find(source, cache, progress).path


def find(
    source: str, cache: Path, progress: Progress = no_progress, *, expected: str | None = None, limit: int = LIMIT
) -> Found:
    """As `resolve`, with the SHA-256 of an archive, which is checked against `expected` where that is given."""
    if expected is not None and not re.fullmatch("[0-9a-f]{64}", expected):
        raise UsageError(f"`sha`256 takes 64 digits from 0 to f, got {expected!r}.")
    folder = cache / "sources"
    scheme = re.match(r"(https?)://|(kaggle|hf):", source, re.IGNORECASE)
    if scheme is None:
        preset, _, part = source.partition("/")
        if preset in PRESETS and not Path(preset).exists():
            address, root = PRESETS[preset].url, PRESETS[preset].root
            return _download(address, f"{root}/{part}", folder, progress, expected, limit)
        if is_address(source):
            raise UsageError(f"{public_address(source)} is neither https:// nor http://: {advice(source)}.")
        return _local(Path(source), folder, progress, expected, limit)
    if scheme[1]:
        return _download(*urldefrag(source), folder, progress, expected, limit)
    if expected is not None:
        raise UsageError(f"`sha`256 is for an address or a file, and {source} may be many files: leave it out.")
    return Found(_from_hub(scheme[2].lower(), source[scheme.end() :], folder, progress, limit))


def _from_hub(hub: str, given: str, folder: Path, progress: Progress, limit: int) -> Path:
    match = _HUB_NAME.fullmatch(given)
    if match is None:
        raise UsageError(f"{hub}:{given} is no name of a data set; it looks like {hub}:OWNER/NAME.")
    name, part = match["name"], match["part"] or ""
    if hub == "hf":
        return from_hugging_face(name, part or "train", folder, progress, limit=limit)
    return _inside(from_kaggle(name, folder, progress, limit=limit), part)


def _download(url: str, part: str, folder: Path, progress: Progress, expected: str | None, limit: int) -> Found:
    found = download(url, folder, progress, expected=expected, limit=limit)
    return Found(_inside(found.path, part), found.sha256)


def _inside(path: Path, part: str) -> Path:
    if ".." in Path(part).parts:
        raise UsageError(f"{part} leads out of what was fetched: name a folder inside.")
    return path / part.strip("/")


def _local(path: Path, folder: Path, progress: Progress, expected: str | None, limit: int) -> Found:
    file = next((parent for parent in (path, *path.parents) if parent.is_file()), None)
    if expected is not None:
        _check(path, expected)
    if file is None or archive_kind(file) != "compressed":
        return Found(path, expected)
    status = file.stat()
    key = sha256(f"{file.resolve()} {status.st_size} {status.st_mtime_ns}".encode("utf-8", "surrogateescape"))
    plain = uncompressed(file, folder / key.hexdigest()[:16], progress, limit=limit)
    return Found(plain / path.relative_to(file), expected)


def _check(path: Path, expected: str) -> None:
    if not path.is_file():
        raise UsageError(f"`sha`256 is for an address or a file, and {path} is none: leave it out.")
    with path.open("rb") as file:
        found = file_digest(file, "sha256").hexdigest()
    if found != expected:
        raise DataError(f"{path} has SHA-256 {found}, expected {expected}: get that file again.")
