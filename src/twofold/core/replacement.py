"""Replacing a folder: the new one is written beside it under a lock, and removed later if its writer was killed."""

import os
import re
import shutil
import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from typing import Final

OLD: Final = ".old"
_RANDOM: Final = r"\.[a-z0-9_]{8}"
_AT_CWD: Final = -100
_EXCHANGE, _SWAP = 2, 2  # RENAME_EXCHANGE of Linux, RENAME_SWAP of macOS


@contextmanager
def temporary_folder(path: Path) -> Iterator[Path]:
    """A new folder beside `path`, locked until the block ends; removed if the block fails."""
    folder, number = _create_and_lock(path)
    try:
        yield folder
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    finally:
        if number is not None:
            os.close(number)


def _create_and_lock(path: Path) -> tuple[Path, int | None]:
    """The folder and the descriptor of its lock; None if the system has no locks."""
    while True:
        folder = path.with_name(f".{path.name}.{token_hex(4)}")
        folder.mkdir()  # tempfile's folders would have permissions of their own
        number = _lock(folder, wait=True)
        # `clear_leftovers` of another process may have removed it before it was locked.
        with suppress(FileNotFoundError):
            if number is None or os.path.samestat(folder.stat(), os.fstat(number)):
                return folder, number
        if number is not None:
            os.close(number)


@contextmanager
def try_lock(folder: Path) -> Iterator[bool]:
    """Whether the folder could be locked; if so, it is locked until the block ends."""
    number = _lock(folder, wait=False)
    try:
        yield number is not None
    finally:
        if number is not None:
            os.close(number)


def _lock(folder: Path, *, wait: bool) -> int | None:
    """The descriptor of the open, locked folder; None without a lock. The lock ends with its process, even if that is killed."""
    try:
        import fcntl

        number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except (ImportError, OSError):  # Windows
        return None
    try:
        fcntl.flock(number, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:  # another process has locked it, or the file system has no locks
        os.close(number)
        return None
    return number


def clear_leftovers(path: Path, names: Collection[str]) -> list[str]:
    """Removes the folders that killed processes left beside `path`; one sentence for each.

    If nothing is at `path`, the folder that was there before is moved back. Only folders with a name from `temporary_folder`
    that hold only files of these names, and that no running process has locked, are touched.
    """
    pattern = re.compile(rf"\.{re.escape(path.name)}{_RANDOM}({re.escape(OLD)})?")
    try:
        siblings = sorted(path.parent.iterdir())
    except OSError:
        return []
    sentences = []
    for folder in siblings:
        if pattern.fullmatch(folder.name):
            with suppress(OSError), try_lock(folder) as is_locked:
                if is_locked and _is_leftover(folder, names):
                    sentences.append(_clear(folder, path))
    return sentences


def _is_leftover(folder: Path, names: Collection[str]) -> bool:
    alternatives = "|".join(map(re.escape, names))
    file = re.compile(rf"({alternatives})|\.({alternatives}){_RANDOM}")  # or its temporary file
    same_owner = folder.stat().st_uid == os.geteuid()
    return same_owner and all(file.fullmatch(entry.name) and entry.is_file() for entry in folder.iterdir())


def _clear(folder: Path, path: Path) -> str:
    if folder.name.endswith(OLD) and not os.path.lexists(path):
        folder.rename(path)
        return f"{path} was moved back: a process was killed while it replaced it."
    shutil.rmtree(folder)
    return f"{folder} was removed: a process was killed while it wrote {path.name}."


def move_folder(folder: Path, path: Path, *, force: bool) -> None:
    """Moves the folder to `path`, with `force` also where a folder with entries is.

    A folder can replace nothing or an empty folder by a rename, but not a folder with entries.
    """
    try:
        if os.name == "nt" and path.is_dir():
            path.rmdir()  # Windows: not even onto an empty folder
        folder.rename(path)
    except OSError:
        if not force or not path.is_dir():
            raise
        _replace(folder, path)


def _replace(folder: Path, path: Path) -> None:
    """Exchanges both atomically where the system supports it. Elsewhere the old folder is renamed first, and renamed back on
    failure; where the process is killed in between, `clear_leftovers` restores it."""
    if exchange(folder, path):
        shutil.rmtree(folder, ignore_errors=True)
        return
    old = folder.with_name(f"{folder.name}{OLD}")
    with try_lock(path):
        try:
            path.rename(old)
            folder.rename(path)
        except BaseException:
            if old.exists() and not path.exists():
                old.rename(path)
            raise
        shutil.rmtree(old, ignore_errors=True)


def exchange(first: Path, second: Path) -> bool:
    """Whether the two were exchanged: in one step, or not at all if the operating system or the file system cannot do it."""
    rename = _exchange_call()
    return rename is not None and rename(os.fsencode(first), os.fsencode(second)) == 0


def _exchange_call() -> Callable[[bytes, bytes], int] | None:
    import ctypes

    try:
        library = ctypes.CDLL(None)
        if sys.platform == "darwin":
            swap = library.renamex_np
            return lambda first, second: int(swap(first, second, _SWAP))
        rename = library.renameat2
    except (AttributeError, OSError, TypeError):
        return None
    return lambda first, second: int(rename(_AT_CWD, first, _AT_CWD, second, _EXCHANGE))
