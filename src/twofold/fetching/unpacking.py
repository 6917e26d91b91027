"""Writes the files of a folder or an archive to a new folder, which is complete or absent."""

import errno
import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from twofold.core.errors import DataError, UsageError
from twofold.core.files import LIMIT, check_size, check_writable, make_temporary_folder, reason
from twofold.core.progress import Progress, no_progress
from twofold.data import Skip, contents, read_bytes


@dataclass(frozen=True, slots=True)
class UnpackedFiles:
    """The number of files and bytes written; `skipped` has the number of other files by reason."""

    files: int
    bytes: int
    skipped: Counter[str]


def check_out(out: Path) -> None:
    """Raises UsageError if no new folder can be made at `out`. Call it before long work."""
    if out.exists() or out.is_symlink():
        raise UsageError(f"{out} exists; give a new folder.")
    if not out.parent.is_dir():
        raise UsageError(f"There is no folder {out.parent} to make {out.name} in; create it, or give another folder.")
    check_writable(out)


def unpack(data: Path, out: Path, progress: Progress = no_progress, *, limit: int = LIMIT) -> UnpackedFiles:
    """Writes every file of `data` below the new folder `out`, except links, bombs and damaged members, which are skipped.

    Every file is created under a name below `out`, so `data` cannot overwrite anything.
    """
    check_out(out)
    entries = list(contents(data))  # before the new folder exists, which may be in `data`
    temporary = make_temporary_folder(out)
    try:
        count, size, skipped = 0, 0, Counter[str]()
        for name, entry in progress(entries, len(entries), f"{out.name}, files"):
            content = entry if isinstance(entry, Skip) else read_bytes(entry)
            if not isinstance(content, bytes):
                skipped[content.code] += 1
            elif code := _write(temporary / name, content):
                skipped[code] += 1
            else:
                count, size = count + 1, size + len(content)
                check_size(f"{data} unpacked", size, limit)
        if not count:
            counts = ", ".join(f"{number} {code}" for code, number in sorted(skipped.items()))
            raise DataError(
                f"No file of {data} can be written ({counts or 'it is empty'}): give another file or folder."
            )
        temporary.rename(out)
        return UnpackedFiles(count, size, skipped)
    except OSError as error:
        raise DataError(f"{out} cannot be written ({reason(error)}): make room, or give another folder.") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _write(path: Path, content: bytes) -> str | None:
    """Writes the file. Returns the reason where this is not possible under its name."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as file:
            file.write(content)
    except FileExistsError:  # names that differ only in case, on a file system that ignores case
        return "same-name"
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        return "unsafe-name"
    return None
