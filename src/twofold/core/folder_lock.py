"""The lock of a folder that one process at a time writes to."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from twofold.core.errors import UsageError
from twofold.core.files import reason


@contextmanager
def hold_folder(folder: Path) -> Iterator[None]:
    """Raises UsageError where another process holds the lock. The lock ends with its process, even if that is killed."""
    path = folder / "lock"
    try:
        number = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o666)
    except OSError as error:
        raise UsageError(f"{path} cannot be written ({reason(error)}): give another folder.") from error
    try:
        if not _lock(number):
            holder = os.read(number, 20).decode("ascii", "replace").strip()
            raise UsageError(
                f"{folder} is being written by {f'the process {holder}' if holder else 'another process'}: wait for it, "
                "stop it, or give another folder."
            )
        _note(number, f"{os.getpid()}\n")
        yield
        _note(number, "")
    finally:
        os.close(number)


def _note(number: int, text: str) -> None:
    with suppress(OSError):  # a full disk; the text is only for the message above
        os.ftruncate(number, 0)
        os.pwrite(number, text.encode(), 0)


def _lock(number: int) -> bool:
    """Whether the open file could be locked. Windows and file systems without locks: True, as for one run at a time."""
    try:
        import fcntl
    except ImportError:
        return True
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True
