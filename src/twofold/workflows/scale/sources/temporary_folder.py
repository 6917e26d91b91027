"""A temporary folder of a process; what a killed process left is removed by another."""

import os
import shutil
from contextlib import suppress
from pathlib import Path
from tempfile import gettempdir, mkdtemp
from typing import Final

_PREFIX: Final = "twofold-copies-"
_LOCK: Final = "lock"


class TemporaryFolder:
    """Makes the folder when the first path in it is asked for."""

    def __init__(self) -> None:
        self._folder: Path | None = None
        self._lock = -1
        self._count = 0

    def new_path(self, suffix: str) -> Path:
        """A path in the folder that was not given before."""
        if self._folder is None:
            remove_abandoned()
            self._folder = Path(mkdtemp(prefix=_PREFIX))
            self._lock = _locked_file(self._folder)
        self._count += 1
        return self._folder / f"{self._count}{suffix}"

    def remove(self) -> None:
        """Removes the folder with all files in it."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            os.close(self._lock)
        self._folder = None


def _locked_file(folder: Path) -> int:
    """The number of an open file that this process has locked, until it ends."""
    number = os.open(folder / f".{_LOCK}", os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
    _lock(number)
    (folder / f".{_LOCK}").rename(folder / _LOCK)  # now others may look at it
    return number


def remove_abandoned() -> None:
    """Removes the folders of processes that have ended. Windows and file systems without locks: none."""
    for folder in Path(gettempdir()).glob(f"{_PREFIX}*"):
        with suppress(OSError):
            number = os.open(folder / _LOCK, os.O_RDWR | getattr(os, "O_CLOEXEC", 0))
            try:
                if _lock(number):
                    shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(number)


def _lock(number: int) -> bool:
    """Whether the open file could be locked."""
    try:
        import fcntl

        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (ImportError, OSError):
        return False
    return True
