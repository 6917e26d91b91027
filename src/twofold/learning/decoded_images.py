"""Decoded images by row: from memory, from a file, or decoded again each time."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from twofold.core.errors import DataError
from twofold.core.notes import Note
from twofold.core.parallel import available_processors
from twofold.data import ImageArray, Preprocessing, ReadError
from twofold.embedding import Content, Metadata, Source, preprocess_content, read_content
from twofold.learning.pixel_file import PixelFile


@dataclass(frozen=True, slots=True, eq=False)
class UnstoredImage:
    """An image that is decoded at each use, with the hash of its bytes when it was first read."""

    source: Source
    sha256: str
    max_pixels: int

    def decode(self, preprocessing: Preprocessing) -> ImageArray:
        """The model input, (size, size, 3). Raises DataError where the file is missing or has other bytes."""
        content = read_content(self.source)
        if isinstance(content, Content) and content.sha256 != self.sha256:
            content = ReadError("changed", "Its bytes have changed.")
        result = (
            preprocess_content(content, preprocessing, max_pixels=self.max_pixels)
            if isinstance(content, Content)
            else content
        )
        if isinstance(result, ReadError):
            name = self.source if isinstance(self.source, Path) else "An image in memory"
            raise DataError(f"{name} changed during training, so start again: {result.sentence}")
        return result[1].model_input


@dataclass(frozen=True, slots=True, eq=False)
class DecodedImages:
    """Decoded images. `metadata` and `read_errors` have one row per source, as in a FeatureTable; `take` gives model inputs.

    It can be sent to other processes, which then read the same file.
    """

    metadata: tuple[Metadata | None, ...] = field(repr=False)
    read_errors: tuple[ReadError | None, ...] = field(repr=False)
    preprocessing: Preprocessing
    stored: PixelFile | NDArray[np.uint8] = field(repr=False)  # model inputs of the first usable images
    unstored: tuple[UnstoredImage, ...] = field(default=(), repr=False)  # the remaining usable images
    threads: int | None = None  # for decoding
    notes: tuple[Note, ...] = field(default=(), repr=False)

    @property
    def used(self) -> NDArray[np.intp]:
        """Rows of the usable sources, (used,)."""
        return np.array([row for row, metadata in enumerate(self.metadata) if metadata is not None], dtype=np.intp)

    def take(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Model inputs of these usable images, (n, size, size, 3); row 0 is the first usable image.

        Raises DataError where an image that has to be decoded again has changed.
        """
        unstored = rows >= len(self.stored)
        if not unstored.any():
            return self.stored[rows]
        model_inputs = np.empty((len(rows), self.preprocessing.size, self.preprocessing.size, 3), np.uint8)
        model_inputs[~unstored] = self.stored[rows[~unstored]]
        images = [self.unstored[row - len(self.stored)] for row in rows[unstored]]
        with ThreadPoolExecutor(self.threads or available_processors()) as pool:
            model_inputs[unstored] = list(pool.map(lambda image: image.decode(self.preprocessing), images))
        return model_inputs
