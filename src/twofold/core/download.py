"""Downloading a file: resumed where the connection was lost, within a size limit, its SHA-256 checked."""

import re
from hashlib import file_digest
from pathlib import Path
from typing import Any, Final

from twofold.core.errors import DataError, DownloadError
from twofold.core.files import LIMIT, check_free_space, check_size
from twofold.core.progress import Progress
from twofold.core.web import Address, ConnectionLostError, read_chunks, request_file

_CHUNK: Final = 1_000_000  # bytes
_ATTEMPTS: Final = 5


def download_file(
    address: Address, path: Path, progress: Progress, *, sha256: str | None = None, limit: int = LIMIT
) -> str:
    """Downloads the file at the address to `path`, and returns its SHA-256.

    A partial file of an earlier call is continued, if the server still has the same file (If-Range) and supports ranges.
    When the connection is lost, the partial file is kept for the next call. Call it from one process at a time for each path.

    Raises DownloadError if the file cannot be downloaded or has another SHA-256 than `sha256`, DataError if it is larger than
    `limit` bytes or than the free space, and OSError if it cannot be written.
    """
    _download(address, path, progress, limit)
    with path.open("rb") as file:
        digest = file_digest(file, "sha256").hexdigest()
    if sha256 not in (None, digest):
        remove_partial(path)
        why = f"has SHA-256 {digest}, expected {sha256}"
        raise DownloadError(f"{address} {why}: check the address and the hash; the file was not kept.", f"it {why}")
    _validator_file(path).unlink(missing_ok=True)
    return digest


def remove_partial(path: Path) -> None:
    """Removes a downloaded file, partial or complete, so that the next download starts from the beginning."""
    path.unlink(missing_ok=True)
    _validator_file(path).unlink(missing_ok=True)


def _validator_file(path: Path) -> Path:
    """The file with the validator of a partial file: its ETag or date."""
    return path.with_name(f"{path.name}.mark")


def _download(address: Address, path: Path, progress: Progress, limit: int) -> None:
    for _ in range(_ATTEMPTS):
        try:
            return _continue(address, path, progress, limit)
        except ConnectionLostError as error:
            last_error = error
    cause = f"the connection was lost {_ATTEMPTS} times ({last_error})"
    raise DownloadError(f"{address} cannot be downloaded: {cause}; run it again to continue.", cause) from last_error


def _continue(address: Address, path: Path, progress: Progress, limit: int) -> None:
    """Appends the missing bytes to `path`, or starts anew if the file has changed or the server does not send ranges."""
    validator = _validator_file(path)
    start = path.stat().st_size if path.exists() and validator.exists() else 0
    headers = {"Range": f"bytes={start}-", "If-Range": validator.read_text("latin-1")} if start else {}
    with request_file(address, headers) as response:
        if response.status == 416:  # the file is complete, or another one by now
            if response.headers.get("Content-Range") == f"bytes */{start}":
                return
            remove_partial(path)
            raise ConnectionLostError("the server has fewer bytes than were received before")
        if response.status != 206 or not response.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
            start = 0
        length = response.headers.get("Content-Length", "").strip()
        total = start + int(length) if re.fullmatch("[0-9]{1,18}", length) else None
        if total is not None:
            check_size(str(address), total, limit)
            check_free_space(str(address), total - start, path.parent)
        validator.write_text(_validator(response.headers), "latin-1")
        try:
            with path.open("ab" if start else "wb") as file:
                if not validator.read_text("latin-1"):
                    validator.unlink()  # without a validator the download cannot be resumed
                _write(response, file, start, total, progress, address, limit)
        except DataError:  # too large, now and the next time
            remove_partial(path)
            raise
    if total is not None and path.stat().st_size != total:
        remove_partial(path)
        raise ConnectionLostError("another program wrote into the same file")


def _write(
    response: Any, file: Any, start: int, total: int | None, progress: Progress, address: Address, limit: int
) -> None:
    size, chunks = start, -(-((total or start) - start) // _CHUNK)
    for chunk in progress(read_chunks(response, _CHUNK), chunks, f"{address.file_name}, MB"):
        file.write(chunk)
        size += len(chunk)
        check_size(str(address), size, limit)
    if total is not None and size < total:
        raise ConnectionLostError(f"{size:,} of {total:,} bytes were received")


def _validator(headers: Any) -> str:
    """The value for If-Range: a strong ETag, else the date, else nothing."""
    tag = str(headers.get("ETag", ""))
    value = tag if tag.startswith('"') else str(headers.get("Last-Modified", ""))
    # Other characters, such as line ends, cannot be sent in a header.
    return value if re.fullmatch("[ -~]{1,1000}", value) else ""
