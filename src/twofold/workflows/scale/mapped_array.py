"""An array in a temporary file: what does not fit in memory is written once and read in pieces."""

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
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, size)  # a full disk would end the process when the map is written
            return np.memmap(file, dtype, "r+", shape=shape)
