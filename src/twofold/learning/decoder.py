"""Decodes images once and stores the model inputs, so that only the first epoch decodes."""

import hashlib
import io
import json
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO, TypeVar

import numpy as np
from numpy.typing import NDArray

from twofold.core.files import lock_folder
from twofold.core.notes import Note
from twofold.core.parallel import available_processors, prefetch
from twofold.data import PREPROCESSING_VERSION, PreprocessedImage, Preprocessing, ReadError
from twofold.embedding import Metadata, Runtime, Source, preprocess_content, read_content
from twofold.learning.decoded_images import DecodedImages, UnstoredImage
from twofold.learning.pixel_file import (
    PARTIAL,
    ImageResult,
    PixelFile,
    check_space,
    make_room,
    read_pixel_file,
    write_metadata,
)

R = TypeVar("R")

_PREFETCH = 8  # images in progress per thread


def hold_in_memory(model_inputs: NDArray[np.uint8]) -> DecodedImages:
    """Images whose model inputs (n, size, size, 3) are decoded already."""
    runtime = Runtime(Path(os.devnull))
    decoder = _Decoder(tuple(model_inputs), Preprocessing(model_inputs.shape[1], "squash"), runtime, 0)
    return replace(decoder.without_file(), stored=model_inputs, unstored=())


@contextmanager
def decode_images(
    sources: Sequence[Source], preprocessing: Preprocessing, runtime: Runtime, *, limit: int
) -> Iterator[DecodedImages]:
    """The decoded images of all sources, stored in the cache folder of the runtime for later runs.

    At most `limit` bytes of model inputs are stored. The remaining images are decoded at each use, and a note says so. Without a
    cache the file is temporary and deleted when the block ends. Where it cannot be written, all images are decoded at each use,
    and another note says so.
    """
    decoder = _Decoder(tuple(sources), preprocessing, runtime, min(len(sources), limit // _bytes(preprocessing)))
    with ExitStack() as stack:
        images, notes = None, []
        if runtime.options.cache:
            try:
                images = decoder.in_cache(runtime.folder / "pixels", limit)
            except OSError as error:
                consequence = "decoded images are not stored: make room there, or use `cache=False`"
                notes.append(_unusable(f"The cache {runtime.folder / 'pixels'}", error, consequence))
        if images is None:
            try:
                images = decoder.in_temporary_file(stack)
            except OSError as error:
                stack.close()
                consequence = "images are decoded in each epoch: set TMPDIR to another folder"
                notes.append(_unusable("The folder for temporary files", error, consequence))
                images = decoder.without_file()
        if len(images.stored) + len(images.unstored) > decoder.capacity:
            notes.append(_beyond_limit(len(images.unstored), len(images.stored), limit))
        yield replace(images, notes=tuple(notes))


@dataclass(frozen=True, slots=True, eq=False)
class _Decoder:
    sources: tuple[Source, ...]
    preprocessing: Preprocessing
    runtime: Runtime
    capacity: int  # model inputs that may be stored

    def in_cache(self, folder: Path, limit: int) -> DecodedImages:
        """The decoded images from the folder, decoded into it where it lacks them. Raises OSError where it cannot be used."""
        folder.mkdir(parents=True, exist_ok=True)
        with lock_folder(folder):
            return self._read(folder) or self._add(folder, limit)

    def in_temporary_file(self, stack: ExitStack) -> DecodedImages:
        """The decoded images in a file that the stack deletes. Raises OSError where it cannot be written."""
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="twofold-", ignore_cleanup_errors=True)))
        check_space(folder, self.capacity * _bytes(self.preprocessing))
        return self._write(folder / "pixels.u8")[0]

    def without_file(self) -> DecodedImages:
        """The images without a file: each is decoded at each use."""
        results = [result for _, result in replace(self, capacity=0)._decode(io.BytesIO())]
        return self._images(results, np.empty((0, self.preprocessing.size, self.preprocessing.size, 3), np.uint8))

    def _read(self, folder: Path) -> DecodedImages | None:
        if not any(folder.glob("*.json")):
            return None
        hashes = list(self._map(_content_hash, "reading"))
        file = read_pixel_file(
            folder / self._file_name(hashes), len(self.sources), self.preprocessing.size, self.capacity
        )
        return None if file is None else self._images(*file)

    def _add(self, folder: Path, limit: int) -> DecodedImages:
        make_room(folder, self.capacity * _bytes(self.preprocessing), limit)
        partial = folder / f"pixels{PARTIAL}"
        try:
            images, hashes, results = self._write(partial)
            path = folder / self._file_name(hashes)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
        write_metadata(path, results)
        return replace(images, stored=PixelFile(path, len(images.stored), self.preprocessing.size))

    def _write(self, path: Path) -> tuple[DecodedImages, list[str], list[ImageResult]]:
        with path.open("wb") as file:
            hashes, results = zip(*self._decode(file), strict=True) if self.sources else ((), ())
            count = file.tell() // _bytes(self.preprocessing)
        images = self._images(list(results), PixelFile(path, count, self.preprocessing.size))
        return images, list(hashes), list(results)

    def _decode(self, file: BinaryIO) -> Iterator[tuple[str, ImageResult]]:
        """Content hash and result of every source; the first `capacity` model inputs are written to the file."""
        count = 0
        for content_hash, result in self._map(self._preprocess, "decoding"):
            if isinstance(result, ReadError):
                yield content_hash, result
                continue
            metadata, image = result
            if count < self.capacity:
                file.write(image.model_input.data)
                count += 1
            yield content_hash, metadata

    def _preprocess(self, source: Source) -> tuple[str, tuple[Metadata, PreprocessedImage] | ReadError]:
        content = read_content(source)
        if isinstance(content, ReadError):
            return content.code, content
        max_pixels = self.runtime.options.max_pixels
        return content.sha256, preprocess_content(content, self.preprocessing, max_pixels=max_pixels)

    def _map(self, function: Callable[[Source], R], what: str) -> Iterator[R]:
        """`function(source)` for each source, in order, computed by all threads."""
        threads = self.runtime.options.threads or available_processors()
        pool = ThreadPoolExecutor(threads, thread_name_prefix="decode")
        try:
            yield from self.runtime.progress(
                prefetch(pool, function, self.sources, _PREFETCH * threads), len(self.sources), what
            )
        finally:
            pool.shutdown(cancel_futures=True)

    def _images(self, results: list[ImageResult], stored: PixelFile | NDArray[np.uint8]) -> DecodedImages:
        metadata = tuple(result if isinstance(result, Metadata) else None for result in results)
        read_errors = tuple(result if isinstance(result, ReadError) else None for result in results)
        max_pixels = self.runtime.options.max_pixels
        images = [
            UnstoredImage(source, entry.sha256, max_pixels)
            for source, entry in zip(self.sources, metadata, strict=True)
            if entry
        ]
        return DecodedImages(
            metadata,
            read_errors,
            self.preprocessing,
            stored,
            tuple(images[len(stored) :]),
            self.runtime.options.threads,
        )

    def _file_name(self, hashes: list[str]) -> str:
        """The file name, a hash of contents, order and preprocessing."""
        key = [
            PREPROCESSING_VERSION,
            asdict(self.preprocessing),
            self.runtime.options.max_pixels,
            self.capacity,
            hashes,
        ]
        return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:32] + ".u8"


def _content_hash(source: Source) -> str:
    content = read_content(source)
    return content.code if isinstance(content, ReadError) else content.sha256


def _bytes(preprocessing: Preprocessing) -> int:
    return preprocessing.size**2 * 3


def _unusable(subject: str, error: OSError, consequence: str) -> Note:
    text = f"{subject} cannot be used ({error.strerror or error}), so {consequence}."
    return Note("cache-unusable", text)


def _beyond_limit(unstored: int, stored: int, limit: int) -> Note:
    text = f"{unstored} of {unstored + stored} decoded images do not fit into {limit / 1e9:g} GB and are decoded in every epoch"
    return Note("pixels-beyond-limit", f"{text}: raise `pixels_gb`.")
