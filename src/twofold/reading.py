"""Files read whole by a guard: regular ones, up to a size. Pipes and devices are refused rather than waited for."""

import os
from pathlib import Path
from stat import S_ISREG

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
