"""Reading and writing files: complete or unchanged, within size limits, one process at a time."""

import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from pathlib import Path
from secrets import token_hex
from shutil import disk_usage
from typing import BinaryIO, Final, TextIO

from twofold.core.errors import DataError, TwofoldError, UsageError

LIMIT: Final = 20_000_000_000  # bytes of a download, compressed or not
_CONTROL_CHARACTERS: Final = re.compile(r"[^\t\n\x20-\x7e\xa0-\U0010ffff]")
_READ_FLAGS: Final = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_CREATE_FLAGS: Final = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


def check_writable_file(path: Path) -> None:
    """Raises UsageError if no file can be written at `path`. Call it before long work."""
    target = _resolve_link(path)
    if path.is_symlink() and target.is_file() and path.absolute().parts[1] in ("dev", "proc"):
        # /dev/stdout that is redirected to a file: other programs write into that file at the same time.
        raise UsageError(f"{path} leads to the file {target}: give that file, or leave the option out.")
    if target.is_dir():
        raise UsageError(f"{target} is a folder; give a file to write.")
    if not target.parent.is_dir():
        raise UsageError(
            f"There is no folder {target.parent} to write {target.name} into; create it, or give another folder."
        )
    if not target.exists() or target.is_file():  # devices and pipes are not replaced
        check_writable(target)


def check_replaceable(path: Path, prefix: str, what: str, *, force: bool) -> None:
    """Raises UsageError if no file can be written at `path`, if a file there does not begin with `prefix`, or if it is not
    empty and `force` is not set."""
    check_writable_file(path)
    if path.is_file() and path.stat().st_size:
        with path.open("rb") as file:
            replaceable = file.read(len(prefix)) == prefix.encode()
        if not replaceable:
            raise UsageError(f"{path} exists and is not a {what}: give another file.")
        if not force:
            raise UsageError(f"{path} exists already; replace it with `force=True`, or give another path.")


def check_writable(path: Path) -> None:
    """Raises UsageError if nothing can be created at `path`, whose parent folders may be missing."""
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    if not folder.is_dir():
        raise UsageError(f"{folder} is a file, not a folder to write {path.name} into; give another folder.")
    if not os.access(folder, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids):
        raise UsageError(f"{folder} is not writable; change its permissions, or give another folder.")


def _resolve_link(path: Path) -> Path:
    """The target of a link, so that the link is kept; any other path as it is, for the error messages."""
    return Path(os.path.realpath(path)) if path.is_symlink() else path


@contextmanager
def open_replacement(path: Path) -> Iterator[TextIO]:
    """A text file in UTF-8 that replaces `path` if the block succeeds. Otherwise nothing changes.

    Characters that UTF-8 cannot encode, as in a file name, are written as backslash escapes.
    """
    with open_binary_replacement(path) as raw, TextIOWrapper(raw, "utf-8", "backslashreplace", newline="") as file:
        yield file


@contextmanager
def open_binary_replacement(path: Path) -> Iterator[BinaryIO]:
    """A binary file that replaces `path` if the block succeeds. Raises TwofoldError if writing fails, as on a full disk."""
    check_writable_file(path)
    with write_errors(path):
        if path.exists() and not path.is_file():  # a device or a pipe, as /dev/stdout, is written to, not replaced
            with path.open("wb") as file:
                yield file
        else:
            with _temporary_file(_resolve_link(path)) as file:
                yield file


@contextmanager
def write_errors(path: Path) -> Iterator[None]:
    """Turns an OSError of the block into a TwofoldError that names `path`."""
    try:
        yield
    except BrokenPipeError:  # the reader of the pipe has exited
        raise
    except OSError as error:
        raise TwofoldError(f"{path} cannot be written ({reason(error)}): make room, or give another path.") from error


@contextmanager
def _temporary_file(path: Path) -> Iterator[BinaryIO]:
    """A file beside `path` that replaces it at the end, with the permissions of the old file or of any new file."""
    mode = stat.S_IMODE(path.stat().st_mode) if path.exists() else None
    # The kernel applies the umask: reading it would set it for all threads of the process.
    temporary = _unused_name(path)
    number = os.open(temporary, _CREATE_FLAGS, 0o666 if mode is None else 0o600)
    try:
        with open(number, "wb") as file:
            yield file
        if mode is not None:
            temporary.chmod(mode)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def make_temporary_folder(path: Path) -> Path:
    """A new folder beside `path`, with the permissions of any new folder."""
    folder = _unused_name(path)
    folder.mkdir()
    return folder


def _unused_name(path: Path) -> Path:
    return path.with_name(f".{path.name[:50]}.{token_hex(4)}")


def reason(error: OSError) -> str:
    """The operating system's message, without the number and the path.

    >>> reason(FileNotFoundError(2, "No such file or directory", "/home/ann/a.csv"))
    'No such file or directory'
    """
    return error.strerror or str(error) or type(error).__name__


def make_private(folder: Path) -> None:
    """Creates the folder if it is missing, and removes the permissions of group and others."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with suppress(OSError):  # another user owns it, or the file system has no permissions
        folder.chmod(0o700)


@contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """Waits until no other process is in this block with the same folder. The block can then use the files of that process."""
    with (folder / "lock").open("wb") as file:
        with suppress(ImportError, OSError):  # Windows and file systems without locks: each process does the work
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def printable(text: str) -> str:
    """The text with control characters and invalid UTF-8 as backslash escapes. Newlines and tabs are kept.

    A file name can contain control sequences, which a terminal would execute.

    >>> printable("caf\\udce9.jpg")
    'caf\\\\udce9.jpg'
    """
    text = _CONTROL_CHARACTERS.sub(lambda match: f"\\x{ord(match[0]):02x}", text)
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


class NotAFileError(ValueError):
    """The path is a folder, a pipe or a device."""


class EmptyFileError(ValueError):
    """The file has no bytes, or the operating system generates them when it is read."""


class TooLargeError(ValueError):
    """The file has more bytes than the limit."""


def read_file(path: Path, limit: int) -> bytes:
    """The bytes of a regular file, or of the target of a link.

    Raises OSError if it cannot be read, and NotAFileError, EmptyFileError or TooLargeError.
    """
    _check_status(path.stat(), limit)  # before it is opened: opening some devices has side effects
    number = os.open(path, os.O_RDONLY | _READ_FLAGS)
    with open(number, "rb") as file:
        size = _check_status(os.fstat(number), limit)  # it may have been replaced in between
        data = file.read(size + 1)
        if len(data) > size:
            data += file.read(limit + 1 - len(data))
    if len(data) > limit:
        raise TooLargeError(f"it grew beyond {limit:,} bytes, the limit")
    return data


def _check_status(status: os.stat_result, limit: int) -> int:
    if not stat.S_ISREG(status.st_mode):
        raise NotAFileError("it is a folder, a pipe or a device, not a file")
    if status.st_size == 0:
        raise EmptyFileError("it is empty")
    if status.st_size > limit:
        raise TooLargeError(f"it has {status.st_size:,} bytes, the limit is {limit:,}")
    return status.st_size


def check_size(what: str, size: int, limit: int) -> None:
    """Raises DataError if the size exceeds the limit, both in bytes."""
    if size > limit:
        raise DataError(
            f"{what} has {size:,} bytes, the limit is {limit:,}: download or unpack it with another program, and give the "
            "file or folder."
        )


def check_free_space(what: str, size: int, folder: Path) -> None:
    """Raises DataError if the disk of the folder has less than `size` bytes free."""
    free = disk_usage(folder).free
    if size > free:
        raise DataError(f"{what} needs {size:,} bytes, but {folder} has {free:,} free: make room.")
