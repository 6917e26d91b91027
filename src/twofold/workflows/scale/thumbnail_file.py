"""Thumbnails in a temporary file: 3 kB an image would not fit in memory."""

from pathlib import Path
from tempfile import TemporaryFile
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from twofold.core.files import write_errors
from twofold.data import SMALL
from twofold.workflows.scale.fingerprint_columns import THUMBNAIL_BYTES


class ThumbnailFile:
    """Thumbnails (n, SMALL, SMALL, 3), of which the rows that are asked for are read. A context manager, which removes the file;
    so does the end of the process."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with write_errors(folder):
            self._file = TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115  # closed by __exit__
        self._count = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def __len__(self) -> int:
        return self._count

    def append(self, thumbnails: NDArray[np.uint8]) -> None:
        """Adds thumbnails (m, SMALL, SMALL, 3). Raises TwofoldError where they cannot be written, as on a full disk."""
        data = memoryview(thumbnails.tobytes())
        with write_errors(self._folder):
            self._file.seek(self._count * THUMBNAIL_BYTES)
            while data:
                data = data[self._file.write(data) :]
        self._count += len(thumbnails)

    def __getitem__(self, rows: slice | NDArray[np.int64]) -> NDArray[np.uint8]:
        """The thumbnails of a range of rows, or of an array of them."""
        if isinstance(rows, slice):
            start, stop, _ = rows.indices(self._count)
            return self._read(start, max(stop - start, 0))
        return np.concatenate([np.empty((0, SMALL, SMALL, 3), np.uint8), *(self._read(int(row), 1) for row in rows)])

    def _read(self, start: int, count: int) -> NDArray[np.uint8]:
        self._file.seek(start * THUMBNAIL_BYTES)
        data = bytearray(count * THUMBNAIL_BYTES)
        done, view = 0, memoryview(data)
        while done < len(data):
            done += self._file.readinto(view[done:])
        return np.frombuffer(data, np.uint8).reshape(count, SMALL, SMALL, 3)
