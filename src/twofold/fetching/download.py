"""A file from an address: taken up where it broke off, whole or not there, its SHA-256 known."""

import http.client
import json
import re
import shutil
import urllib.request
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any, Final
from urllib.error import HTTPError, URLError
from urllib.parse import unquote, urlsplit

from twofold.data import archive_kind
from twofold.embedding import Watch
from twofold.errors import DataError
from twofold.fetching.compression import uncompressed
from twofold.fetching.contents import check_contents
from twofold.fetching.limits import LIMIT, check_room, check_size
from twofold.writing import alone, replacing

_CHUNK: Final = 1_000_000
_TRIES: Final = 5
_PATIENCE: Final = 30  # seconds without a byte
_RECORD: Final = "fetched.json"
_WAYS_OUT: Final = "check the address and the network, or download it elsewhere and give the file"


@dataclass(frozen=True, slots=True)
class Downloaded:
    """What was downloaded; `path` may be what became of it, a tar that is no longer compressed."""

    url: str
    path: Path
    sha256: str  # of what came
    bytes: int


class _BrokenOffError(Exception):
    """The connection ended before the file did."""


def download(url: str, folder: Path, watch: Watch, *, expected: str | None = None, limit: int = LIMIT) -> Downloaded:
    """The archive at the address, downloaded into a place of its own below `folder`, once.

    Raises DataError where it cannot be had, is larger than the limit, has another SHA-256 or is no archive.
    """
    place = folder / sha256(url.encode()).hexdigest()[:16]
    known = _recorded(place, expected)
    if known is None or archive_kind(known.path) == "compressed":
        place.mkdir(parents=True, exist_ok=True)
        with alone(place):
            known = _recorded(place, expected) or _downloaded(url, place, watch, expected, limit)
            known = _plain(known, place, watch, limit)
    return known


def _downloaded(url: str, place: Path, watch: Watch, expected: str | None, limit: int) -> Downloaded:
    part = place / "part"
    _fill(url, part, watch, limit)
    with part.open("rb") as file:
        found = file_digest(file, "sha256").hexdigest()
    size = part.stat().st_size
    try:
        if expected is not None and found != expected:
            raise DataError(f"{url} has SHA-256 {found}, expected {expected}: check both, the file was not kept.")
        check_contents(part, url)
    except DataError:
        _forget(part)
        raise
    return _record(Downloaded(url, _kept(part, place, _file_name(url)), found, size), place)


def _plain(known: Downloaded, place: Path, watch: Watch, limit: int) -> Downloaded:
    """With a plain tar in the place of a compressed one, which stays until that is there; DataError where it is none."""
    try:
        path = uncompressed(known.path, place / "plain", watch, limit=limit)
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


def _file_name(url: str) -> str:
    """The last part of the address, as far as any file system bears it."""
    name = unquote(urlsplit(url).path).rpartition("/")[2]
    return re.sub(r"[^\w.-]", "_", name).strip(".")[-100:] or "archive"


def _fill(url: str, part: Path, watch: Watch, limit: int) -> None:
    """Download into `part`, and go on where it breaks off; what came stays there for the next time."""
    for _ in range(_TRIES):
        try:
            return _go_on(url, part, watch, limit)
        except _BrokenOffError as error:
            broken = error
        except OSError as error:
            raise DataError(f"{url} cannot be kept in {part.parent} ({error.strerror or error}): make room.") from error
    raise DataError(
        f"The connection to {url} broke off {_TRIES} times ({broken}); run the same command again to go on."
    ) from broken


def _go_on(url: str, part: Path, watch: Watch, limit: int) -> None:
    """Add to `part` what it lacks, where the server still has the same file and gives parts of it; else begin anew."""
    mark = part.with_name("part.mark")
    had = part.stat().st_size if part.exists() and mark.exists() else 0
    asked = {"Range": f"bytes={had}-", "If-Range": mark.read_text("latin-1")} if had else {}
    with _answer(url, asked) as response:
        if response.status == 416:  # there is no more, or it is another file now
            if response.headers.get("Content-Range") == f"bytes */{had}":
                return
            _forget(part)
            raise _BrokenOffError("the server has less than what came before")
        if response.status != 206 or not response.headers.get("Content-Range", "").startswith(f"bytes {had}-"):
            had = 0
        length = response.headers.get("Content-Length", "")
        total = had + int(length) if length.isdigit() else None
        if total is not None:
            check_size(url, total, limit)
            check_room(url, total - had, part.parent)
        mark.write_text(_mark(response.headers), "latin-1")
        try:
            with part.open("ab" if had else "wb") as file:
                if not mark.read_text("latin-1"):
                    mark.unlink()  # the server gives nothing by which to know the file again
                _write(response, file, had, total, watch, url, limit)
        except DataError:  # it is too large, and would be the next time
            _forget(part)
            raise
    if total is not None and part.stat().st_size != total:
        _forget(part)
        raise _BrokenOffError("another program wrote into the same file")


def _write(response: Any, file: Any, had: int, total: int | None, watch: Watch, url: str, limit: int) -> None:
    came = had
    for chunk in watch(_chunks(response), -(-((total or had) - had) // _CHUNK), f"{_file_name(url)}, MB"):
        file.write(chunk)
        came += len(chunk)
        check_size(url, came, limit)
    if total is not None and came < total:
        raise _BrokenOffError(f"{came:,} of {total:,} bytes came")


def _chunks(response: Any) -> Iterator[bytes]:
    try:
        while chunk := response.read(_CHUNK):
            yield chunk
    except (OSError, http.client.HTTPException) as error:
        raise _BrokenOffError(str(error) or type(error).__name__) from error


def _mark(headers: Any) -> str:
    """By what a server knows the file again, as If-Range takes it: a strong ETag, or the date."""
    tag = str(headers.get("ETag", ""))
    return tag if tag.startswith('"') else str(headers.get("Last-Modified", ""))


def _forget(part: Path) -> None:
    part.unlink(missing_ok=True)
    part.with_name("part.mark").unlink(missing_ok=True)


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows to http and https alone (which urllib does by itself, but for ftp), and never from https to http."""

    def redirect_request(self, req: Any, fp: Any, code: Any, msg: Any, headers: Any, newurl: str) -> Any:
        if urlsplit(newurl).scheme not in ("https", urlsplit(req.full_url).scheme):
            raise HTTPError(newurl, code, "not followed", headers, fp)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _answer(url: str, asked: dict[str, str]) -> Any:
    """The server's answer; DataError, in words, where it gives no file."""
    try:
        request = urllib.request.Request(url, headers={"User-Agent": "twofold", **asked})
        return urllib.request.build_opener(_Redirects).open(request, timeout=_PATIENCE)
    except HTTPError as error:
        if error.code == 416:
            return error
        error.close()
        raise DataError(f"{url} cannot be downloaded: {_refusal(error.code)}.") from error
    except URLError as error:
        why = getattr(error.reason, "strerror", None) or error.reason
        raise DataError(f"{url} cannot be reached ({why}): {_WAYS_OUT}.") from error
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise DataError(f"{url} cannot be reached ({error or type(error).__name__}): {_WAYS_OUT}.") from error


def _refusal(code: int) -> str:
    match code:
        case 404 | 410:
            return f"there is no such file there (the server answered {code}); check the address"
        case 401 | 403:
            return (
                f"the server gives it only to those it knows (it answered {code}); download it with your browser, and "
                "give the file"
            )
        case _ if 300 <= code < 400:
            return f"the server sends on in a circle, or to what is not https ({code}); find the address of the file itself"
        case _:
            return f"the server answered {code}; try again later"
