"""Images in buckets, as s3:// and gs://: their listing and their bytes, through pyarrow, which brings the clients."""

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from twofold.core.errors import DataError
from twofold.core.privacy import public_address
from twofold.data import ReadError
from twofold.data.formats import MAX_BYTES

_SETTINGS: Final = {
    "s3": "set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION, and AWS_ENDPOINT_URL for a store that is not Amazon's",
    "gs": "set GOOGLE_APPLICATION_CREDENTIALS to the file of a service account",
}


def is_remote(path: str) -> bool:
    """Whether the path is an address in a bucket.

    >>> [is_remote(path) for path in ("s3://bucket/1.jpg", "gs://bucket", "s3/1.jpg", "https://host/1.jpg")]
    [True, True, False, False]
    """
    scheme, mark, _ = path.partition("://")
    return bool(mark) and scheme in _SETTINGS


def list_remote(address: str) -> Iterator[str]:
    """The addresses of all objects below an address, or the address itself where it is an object; without hidden names.

    Raises DataError where the bucket cannot be listed, or nothing is there.
    """
    from pyarrow.fs import FileSelector, FileType

    scheme, _, name = address.partition("://")
    try:
        system, path = _system(scheme, name.partition("/")[0]), name.rstrip("/")
        (status,) = system.get_file_info([path])
        if status.type == FileType.NotFound:
            raise DataError(f"There is nothing at {public_address(address)}: check the address.")
        entries = [status] if status.type == FileType.File else system.get_file_info(FileSelector(path, recursive=True))
    except OSError as error:
        raise DataError(
            f"{public_address(address)} cannot be listed ({_first_line(error)}): check the address, and {_SETTINGS[scheme]}."
        ) from error
    for entry in entries:
        below = entry.path.removeprefix(path)
        if entry.type == FileType.File and not any(word.startswith(".") for word in below.split("/")):
            yield f"{scheme}://{entry.path}"


def read_remote(address: str, limit: int = MAX_BYTES) -> bytes | ReadError:
    """The bytes of the object at an address, or a read error."""
    scheme, _, path = address.partition("://")
    try:
        with _system(scheme, path.partition("/")[0]).open_input_file(path) as file:
            if file.size() > limit:
                return ReadError("too-large", f"It has {file.size():,} bytes, the limit is {limit:,}; make it smaller.")
            return bytes(file.read())
    except FileNotFoundError:
        return ReadError("missing", "There is no such object: check the address.")
    except (OSError, ValueError) as error:
        return ReadError("unreadable", f"The object cannot be read ({_first_line(error)}): {_SETTINGS[scheme]}.")


def source_of(path: str) -> Path | bytes | ReadError:
    """What a predictor takes for a path: itself, or the bytes of an object in a bucket; or a read error."""
    return read_remote(path) if is_remote(path) else Path(path)


@lru_cache(16)
def _system(scheme: str, bucket: str) -> Any:
    """The file system of a bucket."""
    from pyarrow.fs import FileSystem

    system, _ = FileSystem.from_uri(f"{scheme}://{bucket}")
    return system


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")[:200]
