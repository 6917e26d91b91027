"""A folder or an archive to files of a new folder: whole, or not there."""

import errno
import shutil
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp

from twofold.core.errors import DataError, UsageError
from twofold.core.files import check_writable, reason, umask
from twofold.core.limits import LIMIT, check_size
from twofold.core.progress import Progress, no_progress
from twofold.data import Skip, contents, read_bytes


@dataclass(slots=True)
class Unpacked:
    """What was written; `skipped` counts by reason what was not."""

    files: int = 0
    bytes: int = 0
    skipped: Counter[str] = field(default_factory=Counter)


def check_out(out: Path) -> None:
    """UsageError where no new folder can stand at `out`: to be called before long work."""
    if out.exists() or out.is_symlink():
        raise UsageError(f"{out} is there already; name a new folder.")
    if not out.parent.is_dir():
        raise UsageError(f"There is no folder {out.parent} to make {out.name} in; create it, or name another place.")
    check_writable(out)


def unpack(data: Path, out: Path, progress: Progress = no_progress, *, limit: int = LIMIT) -> Unpacked:
    """Write every file of `data` below the new folder `out`, except what is refused: links, bombs, damaged members.

    Each is made anew under a name that stays below `out`, so nothing in `data` can reach another place.
    """
    check_out(out)
    found = list(contents(data))  # before there is a new folder, which may lie in `data`
    temporary = Path(mkdtemp(dir=out.parent, prefix=f".{out.name}."))
    try:
        done = Unpacked()
        for name, met in progress(found, len(found), f"{out.name}, files"):
            content = met if isinstance(met, Skip) else read_bytes(met)
            if isinstance(content, bytes):
                _write(temporary / name, content, done)
                check_size(f"{data} unpacked", done.bytes, limit)
            else:
                done.skipped[content.code] += 1
        if not done.files:
            told = ", ".join(f"{count} {code}" for code, count in sorted(done.skipped.items()))
            raise DataError(f"Nothing in {data} can be written ({told or 'it is empty'}): give another file or folder.")
        temporary.chmod(0o777 & ~umask())  # temporary folders are for their owner only
        temporary.rename(out)
        return done
    except OSError as error:
        raise DataError(f"{out} cannot be written ({reason(error)}): make room, or name another place.") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _write(path: Path, content: bytes, done: Unpacked) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as file:
            file.write(content)
    except FileExistsError:  # names that differ in case alone, where the file system takes them for one
        done.skipped["same-name"] += 1
        return
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        done.skipped["unsafe-name"] += 1
        return
    done.files += 1
    done.bytes += len(content)
