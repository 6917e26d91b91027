"""Objects in buckets, as s3://, gs:// and az://: their addresses, their listing, and how they are opened."""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final

from twofold.core.errors import DataError, TwofoldError
from twofold.core.hints import require
from twofold.core.privacy import public_address

SETTINGS: Final = {
    "s3": "set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION, and AWS_ENDPOINT_URL for a store that is not Amazon's",
    "gs": "set GOOGLE_APPLICATION_CREDENTIALS to the file of a service account",
    "az": "set AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY, or AZURE_STORAGE_CONNECTION_STRING",
}
"""What the clients of the stores read, for error messages, by scheme."""


def is_remote(path: str) -> bool:
    """Whether the path is an address in a bucket.

    >>> [is_remote(path) for path in ("s3://bucket/1.jpg", "az://container", "s3/1.jpg", "https://host/1.jpg")]
    [True, True, False, False]
    """
    scheme, mark, _ = path.partition("://")
    return bool(mark) and scheme in SETTINGS


def settings(address: str) -> str:
    """What to set for the store of the address: a clause for an error message."""
    return SETTINGS[address.partition("://")[0]]


def bucket_of(address: str) -> str:
    """The address of the bucket.

    >>> bucket_of("s3://photos/new/1.jpg")
    's3://photos'
    """
    scheme, _, path = address.partition("://")
    return f"{scheme}://{path.partition('/')[0]}"


def list_remote(address: str) -> Iterator[str]:
    """The addresses of all objects below an address, or the address itself where it is an object; without hidden names.

    Raises DataError where the bucket cannot be listed, or nothing is there.
    """
    from pyarrow.fs import FileSelector, FileType

    scheme, _, name = address.partition("://")
    path = name.rstrip("/")
    try:
        system = _system(bucket_of(address))
        (status,) = system.get_file_info([path])
        if status.type == FileType.NotFound:
            raise DataError(f"There is nothing at {public_address(address)}: check the address.")
        entries = [status] if status.type == FileType.File else system.get_file_info(FileSelector(path, recursive=True))
    except TwofoldError:
        raise
    except Exception as error:  # each client has errors of its own
        raise DataError(
            f"{public_address(address)} cannot be listed ({first_line(error)}): check the address, and {settings(address)}."
        ) from error
    for entry in entries:
        below = entry.path.removeprefix(path)
        if entry.type == FileType.File and not any(word.startswith(".") for word in below.split("/")):
            yield f"{scheme}://{entry.path}"


def open_remote(address: str) -> Any:
    """The object at an address, a pyarrow.NativeFile. Raises FileNotFoundError, and whatever the client of the store raises."""
    path = address.partition("://")[2]
    if not address.startswith("az://"):
        return _system(bucket_of(address)).open_input_file(path)
    from pyarrow import PythonFile

    return PythonFile(_azure().open(path, "rb"), mode="r")  # pyarrow's wrapper takes every error for a missing object


def may_pass(error: Exception) -> bool:
    """Whether the error of a client is one of connections and servers, not of the object or of permissions."""
    if isinstance(error, FileNotFoundError | PermissionError | ImportError):
        return False
    return not any(word in str(error) for word in _REFUSALS)


_REFUSALS: Final = ("ACCESS_DENIED", "PERMISSION_DENIED", "AuthorizationFailure", "AuthorizationPermissionMismatch")


def first_line(error: Exception) -> str:
    """The first line of the error of a client, at most 200 characters."""
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")[:200]


@lru_cache(16)
def _system(bucket: str) -> Any:
    """The file system of a bucket."""
    from pyarrow.fs import FileSystem, FSSpecHandler, PyFileSystem

    if bucket.startswith("az://"):
        return PyFileSystem(FSSpecHandler(_azure()))
    system, _ = FileSystem.from_uri(bucket)
    return system


def _azure() -> Any:
    """The client of Azure, which keeps one instance. That of pyarrow does not read the account from the environment."""
    require("Reading az://", "adlfs", extra="azure")
    from fsspec import filesystem

    return filesystem("az")
