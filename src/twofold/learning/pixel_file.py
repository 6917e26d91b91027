"""Decoded pictures in a file: raw squares one after the other, beside it the facts, as JSON. Free to be deleted at any time."""

import errno
import json
import math
import mmap
import os
import shutil
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from twofold.core.errors import DataError
from twofold.data import ReadError
from twofold.embedding import Metadata, pixel_hash

Outcome = Metadata | ReadError

PART: Final = ".part"  # how the name of a file that is being written ends


class PixelFile:
    """`count` squares in a file, (count, size, size, 3), mapped into memory by each process that takes some."""

    def __init__(self, path: Path, count: int, size: int) -> None:
        self._path, self._shape = path, (count, size, size, 3)
        self._mapped: mmap.mmap | None = None

    def __len__(self) -> int:
        return self._shape[0]

    def __getitem__(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        if len(self) == 0:  # nothing cannot be mapped
            return np.empty(self._shape, np.uint8)[rows]
        if self._mapped is None:
            self._mapped = self._map()
        model_inputs: NDArray[np.uint8] = np.frombuffer(self._mapped, np.uint8).reshape(self._shape)[rows]
        if hasattr(self._mapped, "madvise"):
            # What was read stays in the system's cache, but does not count as memory of this process: all pictures soon would.
            self._mapped.madvise(mmap.MADV_DONTNEED)
        return model_inputs

    def __reduce__(self) -> tuple[type["PixelFile"], tuple[Path, int, int]]:
        return PixelFile, (self._path, self._shape[0], self._shape[1])

    def _map(self) -> mmap.mmap:
        try:
            with self._path.open("rb") as file:
                return mmap.mmap(file.fileno(), math.prod(self._shape), access=mmap.ACCESS_READ)
        except (OSError, ValueError) as error:
            raise DataError(f"The decoded pictures in {self._path} are gone ({error}); start again.") from error


def read_outcomes(path: Path, sources: int, size: int, room: int) -> tuple[list[Outcome], PixelFile] | None:
    """What was kept at `path`, or None where there is nothing, or something else than was written.

    Every square is compared with its hash: a machine that lost its power leaves files of the right length with zeros in them.
    """
    try:
        rows: list[dict[str, Any]] = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        statuses: list[Outcome] = [ReadError(**row) if "code" in row else Metadata(**row) for row in rows]
        used = [metadata for metadata in statuses if isinstance(metadata, Metadata)][:room]
        model_inputs = PixelFile(path, len(used), size)
        if len(statuses) != sources or path.stat().st_size != len(used) * size * size * 3:
            return None
        for row, metadata in enumerate(used):
            if not metadata.pixels.startswith(pixel_hash(metadata.width, metadata.height, model_inputs[np.array(row)])):
                return None
    except (OSError, ValueError, TypeError, DataError):
        return None
    with suppress(OSError):
        os.utime(path)  # it is the newest now, so that it goes last
    return statuses, model_inputs


def write_outcomes(path: Path, statuses: list[Outcome]) -> None:
    """The facts and refusals, beside the squares at `path`; to be called last, as squares without them count for nothing."""
    part = path.with_suffix(f".json{PART}")
    part.write_text(json.dumps([asdict(status) for status in statuses]), encoding="utf-8")
    part.replace(path.with_suffix(".json"))


def make_room(folder: Path, needed: int, limit: int) -> None:
    """Removes what was not used for longest until `needed` bytes more stay within `limit`; OSError where the disk is too full.

    To be called by whoever is `alone` there: what others were writing is then left over from a process that was killed.
    """
    for path in folder.glob(f"*{PART}"):
        path.unlink(missing_ok=True)
    kept = sorted((status.st_mtime, status.st_size, path) for path in folder.glob("*.u8") for status in [path.stat()])
    total = needed + sum(size for _, size, _ in kept)
    for _, size, path in kept:
        if total <= limit:
            break
        path.with_suffix(".json").unlink(missing_ok=True)
        path.unlink(missing_ok=True)
        total -= size
    check_space(folder, needed)


def check_space(folder: Path, needed: int) -> None:
    """OSError where the disk has less room: better now than when it is full, with others' files cut short."""
    if shutil.disk_usage(folder).free < needed:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
