"""A folder that takes the place of another: written beside it, held meanwhile, and cleared away if its writer was killed."""

import os
import re
import shutil
import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import mkdtemp
from typing import Final

OLD: Final = ".old"
_RANDOM: Final = r"\.[a-z0-9_]{8}"
_AT_CWD: Final = -100
_EXCHANGE, _SWAP = 2, 2  # RENAME_EXCHANGE of Linux, RENAME_SWAP of macOS


@contextmanager
def temporary_folder(path: Path) -> Iterator[Path]:
    """A new folder beside `path`, held until the block ends; it vanishes where that does not end well."""
    folder, number = _new(path)
    try:
        yield folder
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    finally:
        if number is not None:
            os.close(number)


def _new(path: Path) -> tuple[Path, int | None]:
    """And the number by which it is held, None where the system has no locks."""
    while True:
        folder = Path(mkdtemp(prefix=f".{path.name}.", dir=path.parent))
        number = _lock(folder, wait=True)
        with suppress(FileNotFoundError):  # between both, `clear_leftovers` of another may have taken it for one
            if number is None or os.path.samestat(folder.stat(), os.fstat(number)):
                return folder, number
        if number is not None:
            os.close(number)


@contextmanager
def held(folder: Path) -> Iterator[bool]:
    """Whether nobody else holds the folder; if so, it is held until the block ends."""
    number = _lock(folder, wait=False)
    try:
        yield number is not None
    finally:
        if number is not None:
            os.close(number)


def _lock(folder: Path, *, wait: bool) -> int | None:
    """The number of the folder, open and locked: the lock goes with its process, however that ends. None without one."""
    try:
        import fcntl

        number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except (ImportError, OSError):  # Windows
        return None
    try:
        fcntl.flock(number, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:  # another holds it, or the file system has no locks
        os.close(number)
        return None
    return number


def clear_leftovers(path: Path, names: Collection[str]) -> list[str]:
    """Removes what a killed process left beside `path`, and tells of it, a sentence each.

    Where the place is empty, what had stood there comes back. Only folders named and filled as `temporary_folder`'s are touched,
    with files of these names, and none that a living process holds.
    """
    ours = re.compile(rf"\.{re.escape(path.name)}{_RANDOM}({re.escape(OLD)})?")
    try:
        beside = sorted(path.parent.iterdir())
    except OSError:
        return []
    told = []
    for folder in beside:
        if ours.fullmatch(folder.name):
            with suppress(OSError), held(folder) as free:
                if free and _is_ours(folder, names):
                    told.append(_clear(folder, path))
    return told


def _is_ours(folder: Path, names: Collection[str]) -> bool:
    beginnings = "|".join(map(re.escape, names))
    file = re.compile(rf"({beginnings})|\.({beginnings}){_RANDOM}")  # also one that was being written
    mine = folder.stat().st_uid == os.geteuid()
    return mine and all(file.fullmatch(entry.name) and entry.is_file() for entry in folder.iterdir())


def _clear(folder: Path, path: Path) -> str:
    if folder.name.endswith(OLD) and not os.path.lexists(path):
        folder.rename(path)
        return f"{path} was put back: a process that was to replace it was killed while it did."
    shutil.rmtree(folder)
    return f"{folder} was removed: a process that was writing {path.name} was killed and left it."


def exchange(first: Path, second: Path) -> bool:
    """Whether both changed places, which happens at once or, where the system or the file system cannot do it, not at all."""
    rename = _exchanging()
    return rename is not None and rename(os.fsencode(first), os.fsencode(second)) == 0


def _exchanging() -> Callable[[bytes, bytes], int] | None:
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
