"""Files read whole by a guard: regular ones, up to a size. Pipes and devices are refused rather than waited for."""

import os
from pathlib import Path
from stat import S_ISREG

_NOW = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


def read_whole(path: Path, most: int) -> bytes:
    """The bytes of a regular file, or of what a link leads to. ValueError, with the reason, where it is none, empty or has more
    than `most` bytes; OSError where it cannot be read."""
    _check(path.stat(), most)  # before it is opened, which some devices take for a command
    number = os.open(path, os.O_RDONLY | _NOW)
    with open(number, "rb") as file:
        _check(os.fstat(number), most)  # another may have taken its place
        data = file.read(most + 1)
    if len(data) > most:
        raise ValueError(f"it has more than {most:,} bytes, the limit")
    return data


def _check(status: os.stat_result, most: int) -> None:
    if not S_ISREG(status.st_mode):
        raise ValueError("it is a folder, a pipe or a device, not a file")
    if status.st_size == 0:  # also what the system makes up as it is read
        raise ValueError("it is empty")
    if status.st_size > most:
        raise ValueError(f"it has {status.st_size:,} bytes, the limit is {most:,}")
