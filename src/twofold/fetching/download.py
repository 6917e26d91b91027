"""A file from an address: taken up where it broke off, whole or not there, its SHA-256 known."""

import json
import re
import shutil
from dataclasses import asdict, dataclass, replace
from hashlib import file_digest
from pathlib import Path
from typing import Any, Final

from twofold.core.errors import DataError
from twofold.core.files import alone, make_private, replacing, write_errors
from twofold.core.limits import LIMIT, check_room, check_size
from twofold.core.progress import Progress
from twofold.data import archive_kind
from twofold.fetching.compression import uncompressed
from twofold.fetching.contents import check_contents
from twofold.fetching.web import Address, BrokenOffError, answer, chunks_of

_CHUNK: Final = 1_000_000
_TRIES: Final = 5
_RECORD: Final = "fetched.json"


@dataclass(frozen=True, slots=True)
class Downloaded:
    """What was downloaded; `path` may be what became of it, a tar that is no longer compressed."""

    url: str  # without secrets
    path: Path
    sha256: str  # of what came
    bytes: int


def download(
    url: str, folder: Path, progress: Progress, *, expected: str | None = None, limit: int = LIMIT
) -> Downloaded:
    """The archive at the address, downloaded into a place of its own below `folder`, once.

    Raises DataError where it cannot be had, is larger than the limit, has another SHA-256 or is no archive.
    """
    address = Address.of(url)
    place = folder / address.key
    known = _recorded(place, expected)
    if known is None or archive_kind(known.path) == "compressed":
        with write_errors(place):
            make_private(folder)  # what came by a password is nobody else's
            place.mkdir(exist_ok=True)
            with alone(place):
                known = _recorded(place, expected) or _downloaded(address, place, progress, expected, limit)
                known = _plain(known, place, progress, limit)
    return known


def _downloaded(address: Address, place: Path, progress: Progress, expected: str | None, limit: int) -> Downloaded:
    part = place / "part"
    _fill(address, part, progress, limit)
    with part.open("rb") as file:
        found = file_digest(file, "sha256").hexdigest()
    size = part.stat().st_size
    try:
        if expected is not None and found != expected:
            raise DataError(f"{address} has SHA-256 {found}, expected {expected}: check both, the file was not kept.")
        check_contents(part, str(address))
    except DataError:
        _forget(part)
        raise
    return _record(Downloaded(str(address), _kept(part, place, address.file_name), found, size), place)


def _plain(known: Downloaded, place: Path, progress: Progress, limit: int) -> Downloaded:
    """With a plain tar in the place of a compressed one, which stays until that is there; DataError where it is none."""
    try:
        path = uncompressed(known.path, place / "plain", progress, limit=limit)
    except DataError:
        (place / _RECORD).unlink(missing_ok=True)  # the next time it may be whole
        known.path.unlink(missing_ok=True)
        raise
    if path == known.path:
        return known
    plain = _record(replace(known, path=path), place)
    known.path.unlink()
    return plain


def _record(downloaded: Downloaded, place: Path) -> Downloaded:
    with replacing(place / _RECORD) as record:
        json.dump(asdict(downloaded) | {"path": downloaded.path.relative_to(place).as_posix()}, record)
    return downloaded


def _recorded(place: Path, expected: str | None) -> Downloaded | None:
    try:
        record = json.loads((place / _RECORD).read_text(encoding="utf-8"))
        known = Downloaded(**record | {"path": place / record["path"]})
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return known if known.path.is_file() and expected in (None, known.sha256) else None


def _kept(part: Path, place: Path, name: str) -> Path:
    """Where the file is then: in a folder of its own, so that no name from an address meets one of ours.

    What an older file from the address left goes, its record first, so that this never tells of the new one.
    """
    (place / _RECORD).unlink(missing_ok=True)
    for folder in (place / "got", place / "plain"):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
    path = part.replace(place / "got" / name)
    _forget(part)
    return path


def _fill(address: Address, part: Path, progress: Progress, limit: int) -> None:
    """Download into `part`, and go on where it breaks off; what came stays there for the next time."""
    for _ in range(_TRIES):
        try:
            return _go_on(address, part, progress, limit)
        except BrokenOffError as error:
            broken = error
    raise DataError(
        f"The connection to {address} broke off {_TRIES} times ({broken}); run the same command again to go on."
    ) from broken


def _go_on(address: Address, part: Path, progress: Progress, limit: int) -> None:
    """Add to `part` what it lacks, where the server still has the same file and gives parts of it; else begin anew."""
    mark = part.with_name("part.mark")
    had = part.stat().st_size if part.exists() and mark.exists() else 0
    asked = {"Range": f"bytes={had}-", "If-Range": mark.read_text("latin-1")} if had else {}
    with answer(address, asked) as response:
        if response.status == 416:  # there is no more, or it is another file now
            if response.headers.get("Content-Range") == f"bytes */{had}":
                return
            _forget(part)
            raise BrokenOffError("the server has less than what came before")
        if response.status != 206 or not response.headers.get("Content-Range", "").startswith(f"bytes {had}-"):
            had = 0
        length = response.headers.get("Content-Length", "").strip()
        total = had + int(length) if re.fullmatch("[0-9]{1,18}", length) else None
        if total is not None:
            check_size(str(address), total, limit)
            check_room(str(address), total - had, part.parent)
        mark.write_text(_mark(response.headers), "latin-1")
        try:
            with part.open("ab" if had else "wb") as file:
                if not mark.read_text("latin-1"):
                    mark.unlink()  # the server gives nothing by which to know the file again
                _write(response, file, had, total, progress, address, limit)
        except DataError:  # it is too large, and would be the next time
            _forget(part)
            raise
    if total is not None and part.stat().st_size != total:
        _forget(part)
        raise BrokenOffError("another program wrote into the same file")


def _write(
    response: Any, file: Any, had: int, total: int | None, progress: Progress, address: Address, limit: int
) -> None:
    came, told = had, -(-((total or had) - had) // _CHUNK)
    for chunk in progress(chunks_of(response, _CHUNK), told, f"{address.file_name}, MB"):
        file.write(chunk)
        came += len(chunk)
        check_size(str(address), came, limit)
    if total is not None and came < total:
        raise BrokenOffError(f"{came:,} of {total:,} bytes came")


def _mark(headers: Any) -> str:
    """By what a server knows the file again, as If-Range takes it: a strong ETag, or the date."""
    tag = str(headers.get("ETag", ""))
    mark = tag if tag.startswith('"') else str(headers.get("Last-Modified", ""))
    return (
        mark if re.fullmatch("[ -~]{1,1000}", mark) else ""
    )  # other characters, such as line ends, cannot be sent back


def _forget(part: Path) -> None:
    part.unlink(missing_ok=True)
    part.with_name("part.mark").unlink(missing_ok=True)
