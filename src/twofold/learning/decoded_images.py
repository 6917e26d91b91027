"""Pictures decoded once and kept as squares, so that epochs after the first never decode."""

import hashlib
import io
import json
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO, TypeVar

import numpy as np
from numpy.typing import NDArray

from twofold.core.errors import DataError
from twofold.core.files import alone
from twofold.core.notes import Note
from twofold.core.parallel import available_processors, prefetch
from twofold.data import ImageArray, PreprocessedImage, Preprocessing, ReadError
from twofold.embedding import Content, Metadata, Runtime, Source, preprocess_content, read_content
from twofold.learning.pixel_file import PART, Outcome, PixelFile, check_space, make_room, read_outcomes, write_outcomes
from twofold.networks import PREPROCESSING_VERSION

R = TypeVar("R")

_AHEAD = 8  # pictures in flight for each thread


@dataclass(frozen=True, slots=True, eq=False)
class Again:
    """A picture that is decoded each time it is taken, and the hash of what it was at first."""

    source: Source
    sha256: str
    max_pixels: int

    def preprocess(self, preprocessing: Preprocessing) -> ImageArray:
        content = read_content(self.source)
        if isinstance(content, Content) and content.sha256 != self.sha256:
            content = ReadError("changed", "Its bytes are others than before.")
        seen = (
            preprocess_content(content, preprocessing, max_pixels=self.max_pixels)
            if isinstance(content, Content)
            else content
        )
        if isinstance(seen, ReadError):
            name = self.source if isinstance(self.source, Path) else "A picture handed over in memory"
            raise DataError(f"{name} changed while it was learned from, so start again: {seen.sentence}")
        return seen[1].model_input


@dataclass(frozen=True, slots=True, eq=False)
class DecodedImages:
    """`facts` and `refusals` have a row for every source, as in a Table; `take` gives squares of the usable ones.

    It can be handed to other processes, which then read the same file.
    """

    metadata: tuple[Metadata | None, ...] = field(repr=False)
    read_errors: tuple[ReadError | None, ...] = field(repr=False)
    preprocessing: Preprocessing
    kept: PixelFile | NDArray[np.uint8] = field(repr=False)  # the first of the usable
    rest: tuple[Again, ...] = field(default=(), repr=False)  # the others
    threads: int | None = None  # that decode them

    @property
    def used(self) -> NDArray[np.intp]:
        """Rows of the usable sources, (used,)."""
        return np.array([row for row, metadata in enumerate(self.metadata) if metadata is not None], dtype=np.intp)

    def take(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Squares of these usable pictures, (n, size, size, 3); a row is 0 for the first of them.

        Raises DataError where one has to be decoded anew and is not what it was.
        """
        beyond = rows >= len(self.kept)
        if not beyond.any():
            return self.kept[rows]
        model_inputs = np.empty((len(rows), self.preprocessing.size, self.preprocessing.size, 3), np.uint8)
        model_inputs[~beyond] = self.kept[rows[~beyond]]
        again = [self.rest[row - len(self.kept)] for row in rows[beyond]]
        with ThreadPoolExecutor(self.threads or available_processors()) as pool:
            model_inputs[beyond] = list(pool.map(lambda one: one.preprocess(self.preprocessing), again))
        return model_inputs


def hold(model_inputs: NDArray[np.uint8]) -> DecodedImages:
    """Squares (n, size, size, 3) that are decoded already, held in memory."""
    job = _Job(tuple(model_inputs), Preprocessing(model_inputs.shape[1], "squash"), Runtime(Path(os.devnull)), 0)
    return replace(job.in_no_file(), kept=model_inputs, rest=())


@contextmanager
def decoded(
    sources: Sequence[Source], preprocessing: Preprocessing, runtime: Runtime, *, limit: int
) -> Iterator[DecodedImages]:
    """The sources decoded and kept in the machine's folder, so that the next time the same files are read, not decoded.

    At most `limit` bytes of squares are kept there; pictures beyond that are decoded each time they are taken, which a note
    says. Where the machine is not to remember they are in a temporary file, gone when the block ends; where that cannot be
    written, all are decoded each time, which another note says.
    """
    job = _Job(tuple(sources), preprocessing, runtime, min(len(sources), limit // _bytes(preprocessing)))
    with ExitStack() as stack:
        pixels = job.kept_in(runtime.folder / "pixels", limit) if runtime.options.cache else None
        if pixels is None:
            pixels = job.in_file(stack)
        if len(pixels.kept) + len(pixels.rest) > job.room:
            runtime.notes.append(_beyond(len(pixels.rest), len(pixels.kept), limit))
        yield pixels


@dataclass(frozen=True, slots=True, eq=False)
class _Job:
    sources: tuple[Source, ...]
    preprocessing: Preprocessing
    runtime: Runtime
    room: int  # squares that may be kept

    def kept_in(self, folder: Path, limit: int) -> DecodedImages | None:
        """What the folder holds, or decoded and added to it; None, and a note, where it cannot be used."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with alone(folder):
                return self._found(folder) or self._added(folder, limit)
        except OSError as error:
            self._tell(
                f"The cache {folder}", error, "decoded pictures are not kept: make room there, or pass --no-cache"
            )
            return None

    def in_file(self, stack: ExitStack) -> DecodedImages:
        """Decoded into a file that goes with the stack, or where that cannot be written, each time anew."""
        try:
            folder = Path(stack.enter_context(TemporaryDirectory(prefix="twofold-", ignore_cleanup_errors=True)))
            check_space(folder, self.room * _bytes(self.preprocessing))
            return self._written(folder / "pixels.u8")[0]
        except OSError as error:
            stack.close()
            self._tell(
                "The folder for temporary files", error, "pictures are decoded in each epoch: set TMPDIR to another"
            )
            return self.in_no_file()

    def in_no_file(self) -> DecodedImages:
        """Each decoded when it is taken."""
        statuses = [status for _, status in replace(self, room=0)._decode(io.BytesIO())]
        return self._pixels(statuses, np.empty((0, self.preprocessing.size, self.preprocessing.size, 3), np.uint8))

    def _found(self, folder: Path) -> DecodedImages | None:
        if not any(folder.glob("*.json")):
            return None
        names = list(self._each(_name, "reading"))
        known = read_outcomes(folder / self._file(names), len(self.sources), self.preprocessing.size, self.room)
        return None if known is None else self._pixels(*known)

    def _added(self, folder: Path, limit: int) -> DecodedImages:
        make_room(folder, self.room * _bytes(self.preprocessing), limit)
        part = folder / f"pixels{PART}"
        try:
            pixels, names, statuses = self._written(part)
            path = folder / self._file(names)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
        write_outcomes(path, statuses)
        return replace(pixels, kept=PixelFile(path, len(pixels.kept), self.preprocessing.size))

    def _written(self, path: Path) -> tuple[DecodedImages, list[str], list[Outcome]]:
        with path.open("wb") as file:
            names, statuses = zip(*self._decode(file), strict=True) if self.sources else ((), ())
            count = file.tell() // _bytes(self.preprocessing)
        return (
            self._pixels(list(statuses), PixelFile(path, count, self.preprocessing.size)),
            list(names),
            list(statuses),
        )

    def _decode(self, file: BinaryIO) -> Iterator[tuple[str, Outcome]]:
        """Name and fate of every source; the first `room` usable squares go into the file."""
        count = 0
        for name, seen in self._each(self._look, "decoding"):
            if isinstance(seen, ReadError):
                yield name, seen
                continue
            if count < self.room:
                file.write(seen[1].model_input.data)
                count += 1
            yield name, seen[0]

    def _look(self, source: Source) -> tuple[str, tuple[Metadata, PreprocessedImage] | ReadError]:
        content = read_content(source)
        if isinstance(content, ReadError):
            return content.code, content
        return content.sha256, preprocess_content(
            content, self.preprocessing, max_pixels=self.runtime.options.max_pixels
        )

    def _each(self, function: Callable[[Source], R], what: str) -> Iterator[R]:
        """What the function makes of each source, in order, by all threads."""
        threads = self.runtime.options.threads or available_processors()
        pool = ThreadPoolExecutor(threads, thread_name_prefix="decode")
        try:
            yield from self.runtime.progress(
                prefetch(pool, function, self.sources, _AHEAD * threads), len(self.sources), what
            )
        finally:
            pool.shutdown(cancel_futures=True)

    def _pixels(self, statuses: list[Outcome], kept: PixelFile | NDArray[np.uint8]) -> DecodedImages:
        metadata = tuple(status if isinstance(status, Metadata) else None for status in statuses)
        read_errors = tuple(status if isinstance(status, ReadError) else None for status in statuses)
        most = self.runtime.options.max_pixels
        rest = [Again(source, seen.sha256, most) for source, seen in zip(self.sources, metadata, strict=True) if seen]
        return DecodedImages(
            metadata, read_errors, self.preprocessing, kept, tuple(rest[len(kept) :]), self.runtime.options.threads
        )

    def _file(self, names: list[str]) -> str:
        """The name of a file of these squares: other for other contents, their order, or what is made of them."""
        made = [PREPROCESSING_VERSION, asdict(self.preprocessing), self.runtime.options.max_pixels, self.room, names]
        return hashlib.sha256(json.dumps(made, sort_keys=True).encode()).hexdigest()[:32] + ".u8"

    def _tell(self, what: str, error: OSError, so: str) -> None:
        text = f"{what} cannot be used ({error.strerror or error}), so {so}."
        self.runtime.notes.append(Note("cache-unusable", text))


def _name(source: Source) -> str:
    content = read_content(source)
    return content.code if isinstance(content, ReadError) else content.sha256


def _beyond(rest: int, kept: int, limit: int) -> Note:
    text = f"{rest} of {rest + kept} decoded pictures do not fit into {limit / 1e9:g} GB and are decoded in every epoch"
    return Note("pixels-beyond-limit", f"{text}: raise --pixels-gb.")


def _bytes(preprocessing: Preprocessing) -> int:
    return preprocessing.size**2 * 3
