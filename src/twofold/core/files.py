"""Files that are whole or untouched, work that one does at a time, and text that can be printed whatever a file is called."""

import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from pathlib import Path
from stat import S_ISREG
from tempfile import mkstemp
from typing import BinaryIO, Final, TextIO

from twofold.core.errors import TwofoldError, UsageError

_CONTROLS: Final = re.compile(r"[^\t\n\x20-\x7e\xa0-\U0010ffff]")


def check_writable_file(path: Path) -> None:
    """UsageError where no file can stand at `path`: to be called before long work, not after."""
    given, path = path, _led_to(path)
    if given.is_symlink() and path.is_file() and given.absolute().parts[1] in ("dev", "proc"):
        # As /dev/stdout that goes to a file: others write into it at the same time.
        raise UsageError(f"{given} leads to the file {path}: name that one, or leave the option out.")
    if path.is_dir():
        raise UsageError(f"{path} is a folder; name a file to write.")
    if not path.parent.is_dir():
        raise UsageError(
            f"There is no folder {path.parent} to write {path.name} into; create it, or name another place."
        )
    if not path.exists() or path.is_file():  # a device or a pipe is written to where it is
        check_writable(path)


def check_replaceable(path: Path, beginning: str, what: str, *, force: bool) -> None:
    """UsageError where no file can stand at `path`, where one that holds something does not begin so, as somebody's picture,
    and without `force` where one holds anything."""
    check_writable_file(path)
    if path.is_file() and path.stat().st_size:
        with path.open("rb") as file:
            ours = file.read(len(beginning)) == beginning.encode()
        if not ours:
            raise UsageError(f"{path} exists, and is no {what}: name another file.")
        if not force:
            raise UsageError(f"{path} exists already; replace it with `force=True`, or give another path.")


def check_writable(path: Path) -> None:
    """UsageError where nothing new can stand at `path`, whose folders may be missing."""
    folder = next(above for above in path.absolute().parents if above.exists())
    if not folder.is_dir():
        raise UsageError(f"{folder} is a file, not a folder to write {path.name} into; name another place.")
    if not os.access(folder, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids):
        raise UsageError(f"{folder} may not be written into; change its permissions, or name another place.")


def _led_to(path: Path) -> Path:
    """Where a link leads to, so that it goes on doing so; any other path as it is, for the sentences that name it."""
    return Path(os.path.realpath(path)) if path.is_symlink() else path


@contextmanager
def replacing(path: Path) -> Iterator[TextIO]:
    """A text file in UTF-8 that takes the place of `path` when the block ends well; otherwise nothing changes.

    What cannot be written as UTF-8, in a file's name, stands as a backslash and its number.
    """
    with replacing_bytes(path) as raw, TextIOWrapper(raw, "utf-8", "backslashreplace", newline="") as file:
        yield file


@contextmanager
def replacing_bytes(path: Path) -> Iterator[BinaryIO]:
    """The same for bytes. TwofoldError where they cannot be written, as on a full disk; nothing changes then, either."""
    check_writable_file(path)
    with write_errors(path):
        if path.exists() and not path.is_file():  # a device or a pipe, as /dev/stdout: written to, never replaced
            with path.open("wb") as file:
                yield file
        else:
            with _replaced(_led_to(path)) as file:
                yield file


@contextmanager
def write_errors(path: Path) -> Iterator[None]:
    """TwofoldError that names `path`, to which the block writes, where the system does not let it."""
    try:
        yield
    except BrokenPipeError:  # the program that reads it has ended: no fault of the place
        raise
    except OSError as error:
        raise TwofoldError(f"{path} cannot be written ({reason(error)}): make room, or name another place.") from error


@contextmanager
def _replaced(path: Path) -> Iterator[BinaryIO]:
    mode = stat.S_IMODE(path.stat().st_mode) if path.exists() else 0o666 & ~umask()
    number, name = mkstemp(dir=path.parent, prefix=f".{path.name[:50]}.")
    temporary = Path(name)
    try:
        with open(number, "wb") as file:
            yield file
        temporary.chmod(mode)  # temporary files are for their owner only
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def reason(error: OSError) -> str:
    """What the operating system says, without the number and the path.

    >>> reason(FileNotFoundError(2, "No such file or directory", "/home/ann/a.csv"))
    'No such file or directory'
    """
    return error.strerror or str(error) or type(error).__name__


def make_private(folder: Path) -> None:
    """Makes the folder, where it is missing, and gives it to its owner alone."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with suppress(OSError):  # it is another's, or the file system knows no rights
        folder.chmod(0o700)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Waits for others in the same block, as processes that were started together, which then find what the first has done."""
    with (folder / "lock").open("wb") as file:
        with suppress(ImportError, OSError):  # Windows, and file systems without locks: each does the work itself
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def printable(text: str) -> str:
    """The text with what no terminal can show, as in a file name that is not UTF-8, as a backslash and its number.

    So are control characters, by which a name could command a terminal; newlines and tabs stay.

    >>> printable("caf\\udce9.jpg")
    'caf\\\\udce9.jpg'
    """
    text = _CONTROLS.sub(lambda found: f"\\x{ord(found[0]):02x}", text)
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def umask() -> int:
    """The rights that new files and folders do not get; while it is asked for, they would get all."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


_NOW = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


class NotAFileError(ValueError):
    """It is a folder, a pipe or a device."""


class EmptyFileError(ValueError):
    """It has no bytes, or the system makes them up as they are read."""


class TooLargeError(ValueError):
    """It has more bytes than may be read."""


def read_whole(path: Path, most: int) -> bytes:
    """The bytes of a regular file, or of what a link leads to. OSError where it cannot be read; of another kind, empty or
    of more than `most` bytes, one of the errors above, which say what is wrong."""
    _size(path.stat(), most)  # before it is opened, which some devices take for a command
    number = os.open(path, os.O_RDONLY | _NOW)
    with open(number, "rb") as file:
        size = _size(os.fstat(number), most)  # another may have taken its place
        data = file.read(size + 1)
        if len(data) > size:
            data += file.read(most + 1 - len(data))
    if len(data) > most:
        raise TooLargeError(f"it grew beyond {most:,} bytes, the limit")
    return data


def _size(status: os.stat_result, most: int) -> int:
    if not S_ISREG(status.st_mode):
        raise NotAFileError("it is a folder, a pipe or a device, not a file")
    if status.st_size == 0:
        raise EmptyFileError("it is empty")
    if status.st_size > most:
        raise TooLargeError(f"it has {status.st_size:,} bytes, the limit is {most:,}")
    return status.st_size
