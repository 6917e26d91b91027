"""An array in a temporary file: what does not fit in memory is written once and read in pieces."""

import errno
import os
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from twofold.core.files import write_errors


def mapped_array(folder: Path, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """An array of zeros in a file of `folder`, which has no name and is gone when the array or the process is.

    Raises TwofoldError where there is no room.
    """
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    with write_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder) as file:  # the map keeps the file
            file.truncate(size)
            _take_room(file.fileno(), size)
            return np.memmap(file, dtype, "r+", shape=shape)


def _take_room(number: int, size: int) -> None:
    """Takes the room on the disk now, where the system can: a disk that is full when the map is written ends the process."""
    if not hasattr(os, "posix_fallocate"):
        return
    try:
        os.posix_fallocate(number, 0, size)
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):
            raise
