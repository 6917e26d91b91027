"""A file of model inputs, one after the other, with their metadata as JSON beside it. Both may be deleted at any time."""

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

ImageResult = Metadata | ReadError

PARTIAL: Final = ".part"  # suffix of a file that is still being written


class PixelFile:
    """`count` model inputs in a file, (count, size, size, 3); each process that reads it maps it into memory."""

    def __init__(self, path: Path, count: int, size: int) -> None:
        self._path, self._shape = path, (count, size, size, 3)
        self._mapping: mmap.mmap | None = None

    def __len__(self) -> int:
        return self._shape[0]

    def __getitem__(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        if len(self) == 0:  # an empty file cannot be mapped
            return np.empty(self._shape, np.uint8)[rows]
        if self._mapping is None:
            self._mapping = self._map()
        model_inputs: NDArray[np.uint8] = np.frombuffer(self._mapping, np.uint8).reshape(self._shape)[rows]
        if hasattr(self._mapping, "madvise"):
            # Pages that were read stay in the system's cache but no longer count as memory of this process; without this, all
            # images would after one epoch.
            self._mapping.madvise(mmap.MADV_DONTNEED)
        return model_inputs

    def __reduce__(self) -> tuple[type["PixelFile"], tuple[Path, int, int]]:
        return PixelFile, (self._path, self._shape[0], self._shape[1])

    def _map(self) -> mmap.mmap:
        try:
            with self._path.open("rb") as file:
                return mmap.mmap(file.fileno(), math.prod(self._shape), access=mmap.ACCESS_READ)
        except (OSError, ValueError) as error:
            raise DataError(f"The decoded images in {self._path} are missing or damaged: start again.") from error


def read_pixel_file(path: Path, sources: int, size: int, capacity: int) -> tuple[list[ImageResult], PixelFile] | None:
    """The result for each source and the model inputs at `path`; None where they are missing or damaged.

    Every model input is compared with its hash: after a power cut, files may have the right length and hold zeros.
    """
    try:
        rows: list[dict[str, Any]] = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        results: list[ImageResult] = [ReadError(**row) if "code" in row else Metadata(**row) for row in rows]
        stored = [result for result in results if isinstance(result, Metadata)][:capacity]
        model_inputs = PixelFile(path, len(stored), size)
        if len(results) != sources or path.stat().st_size != len(stored) * size * size * 3:
            return None
        for row, metadata in enumerate(stored):
            if not metadata.pixels.startswith(pixel_hash(metadata.width, metadata.height, model_inputs[np.array(row)])):
                return None
    except (OSError, ValueError, TypeError, DataError):
        return None
    with suppress(OSError):
        os.utime(path)  # `make_room` deletes the least recently used first
    return results, model_inputs


def write_metadata(path: Path, results: list[ImageResult]) -> None:
    """Writes the result for each source beside the model inputs at `path`. The last step: a file without metadata is ignored."""
    partial = path.with_suffix(f".json{PARTIAL}")
    partial.write_text(json.dumps([asdict(result) for result in results]), encoding="utf-8")
    partial.replace(path.with_suffix(".json"))


def make_room(folder: Path, size: int, limit: int) -> None:
    """Deletes the least recently used files until `size` more bytes fit into `limit`. Raises OSError where the disk is too full.

    The caller holds the lock of the folder: partial files are then left over from a process that was killed.
    """
    for path in folder.glob(f"*{PARTIAL}"):
        path.unlink(missing_ok=True)
    files = sorted((status.st_mtime, status.st_size, path) for path in folder.glob("*.u8") for status in [path.stat()])
    total = size + sum(file_size for _, file_size, _ in files)
    for _, file_size, path in files:
        if total <= limit:
            break
        path.with_suffix(".json").unlink(missing_ok=True)
        path.unlink(missing_ok=True)
        total -= file_size
    check_space(folder, size)


def check_space(folder: Path, size: int) -> None:
    """Raises OSError where the disk has less than `size` bytes free: a full disk would truncate the files of other programs."""
    if shutil.disk_usage(folder).free < size:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
