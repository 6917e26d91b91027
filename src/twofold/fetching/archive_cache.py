"""Archives from addresses, each downloaded once into its own folder. Compressed tars are uncompressed."""

import json
import shutil
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

from twofold.core.download import download_file, remove_partial
from twofold.core.errors import DataError
from twofold.core.files import LIMIT, lock_folder, make_private, open_replacement, write_errors
from twofold.core.progress import Progress
from twofold.core.web import Address
from twofold.data import archive_kind, is_archive
from twofold.fetching.compression import uncompress

_RECORD: Final = "fetched.json"
_PARQUET_MAGIC: Final = b"PAR1"


@dataclass(frozen=True, slots=True)
class CachedArchive:
    """A downloaded archive. For a compressed tar, `path` is the uncompressed tar."""

    url: str  # without credentials
    path: Path
    sha256: str  # of the downloaded file
    bytes: int


def fetch_archive(
    url: str, folder: Path, progress: Progress, *, sha256: str | None = None, limit: int = LIMIT
) -> CachedArchive:
    """The archive at the address, downloaded once into its own folder below `folder`.

    Raises DataError if it cannot be downloaded, is larger than the limit, has another SHA-256, or is not an archive.
    """
    address = Address.parse(url)
    entry = folder / address.key
    archive = _read_record(entry, sha256)
    if archive is None or archive_kind(archive.path) == "compressed":
        with write_errors(entry):
            make_private(folder)  # it may have been downloaded with a password
            entry.mkdir(exist_ok=True)
            with lock_folder(entry):
                archive = _read_record(entry, sha256) or _download(address, entry, progress, sha256, limit)
                archive = _uncompress(archive, entry, progress, limit)
    return archive


def _download(address: Address, entry: Path, progress: Progress, sha256: str | None, limit: int) -> CachedArchive:
    part = entry / "part"
    digest = download_file(address, part, progress, sha256=sha256, limit=limit)
    size = part.stat().st_size
    try:
        check_archive(part, str(address))
    except DataError:
        remove_partial(part)
        raise
    return _write_record(CachedArchive(str(address), _keep(part, entry, address.file_name), digest, size), entry)


def _uncompress(archive: CachedArchive, entry: Path, progress: Progress, limit: int) -> CachedArchive:
    """The archive with an uncompressed tar in place of a compressed one, which is removed last. DataError if that fails."""
    try:
        path = uncompress(archive.path, entry / "plain", progress, limit=limit)
    except DataError:
        (entry / _RECORD).unlink(missing_ok=True)  # so that the next run downloads it again
        archive.path.unlink(missing_ok=True)
        raise
    if path == archive.path:
        return archive
    plain = _write_record(replace(archive, path=path), entry)
    archive.path.unlink()
    return plain


def _write_record(archive: CachedArchive, entry: Path) -> CachedArchive:
    with open_replacement(entry / _RECORD) as file:
        json.dump(asdict(archive) | {"path": archive.path.relative_to(entry).as_posix()}, file)
    return archive


def _read_record(entry: Path, sha256: str | None) -> CachedArchive | None:
    try:
        record = json.loads((entry / _RECORD).read_text(encoding="utf-8"))
        archive = CachedArchive(**record | {"path": entry / record["path"]})
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return archive if archive.path.is_file() and sha256 in (None, archive.sha256) else None


def _keep(part: Path, entry: Path, name: str) -> Path:
    """Moves the download into its own folder, so that no name from an address collides with a name of the cache.

    An older file from the address is removed, its record first, so that a record never describes another file.
    """
    (entry / _RECORD).unlink(missing_ok=True)
    for folder in (entry / "got", entry / "plain"):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
    return part.replace(entry / "got" / name)


def check_archive(file: Path, source: str) -> None:
    """Raises DataError if the file is not a readable archive, or if its members cannot be listed."""
    kind = archive_kind(file)
    if kind is None:
        raise DataError(
            f"The file from {source} is not a zip, tar or Parquet file, perhaps a web page: find the address of the file itself."
        )
    if not _is_complete(file, kind):
        raise DataError(f"The file from {source} is cut short or damaged, and was not kept: fetch it again.")


def _is_complete(file: Path, kind: str) -> bool:
    if kind == "compressed":
        return True  # checked when it is uncompressed
    if kind == "parquet":  # without pyarrow, which is an extra
        with file.open("rb") as opened:
            opened.seek(-len(_PARQUET_MAGIC), 2)
            return opened.read() == _PARQUET_MAGIC
    try:
        return is_archive(file)
    except DataError:
        return False
