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

from twofold.data import Look, Note, Picture, Refusal, Square
from twofold.embedding import (
    LOOK,
    Content,
    Facts,
    Machine,
    Source,
    ahead,
    available_processors,
    look_at,
    read_content,
)
from twofold.errors import DataError
from twofold.learning.squarefile import PART, Fate, SquareFile, check_space, make_room, read_fates, write_fates
from twofold.writing import alone

R = TypeVar("R")

_AHEAD = 8  # pictures in flight for each thread


@dataclass(frozen=True, slots=True, eq=False)
class Again:
    """A picture that is decoded each time it is taken, and the hash of what it was at first."""

    source: Source
    sha256: str
    max_pixels: int

    def look(self, square: Square) -> Picture:
        content = read_content(self.source)
        if isinstance(content, Content) and content.sha256 != self.sha256:
            content = Refusal("changed", "Its bytes are others than before.")
        seen = look_at(content, square, max_pixels=self.max_pixels) if isinstance(content, Content) else content
        if isinstance(seen, Refusal):
            name = self.source if isinstance(self.source, Path) else "A picture handed over in memory"
            raise DataError(f"{name} changed while it was learned from, so start again: {seen.sentence}")
        return seen[1].square


@dataclass(frozen=True, slots=True, eq=False)
class Pixels:
    """`facts` and `refusals` have a row for every source, as in a Table; `take` gives squares of the usable ones.

    It can be handed to other processes, which then read the same file.
    """

    facts: tuple[Facts | None, ...] = field(repr=False)
    refusals: tuple[Refusal | None, ...] = field(repr=False)
    square: Square
    kept: SquareFile | NDArray[np.uint8] = field(repr=False)  # the first of the usable
    rest: tuple[Again, ...] = field(default=(), repr=False)  # the others
    threads: int | None = None  # that decode them

    @property
    def used(self) -> NDArray[np.intp]:
        """Rows of the usable sources, (used,)."""
        return np.array([row for row, facts in enumerate(self.facts) if facts is not None], dtype=np.intp)

    def take(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Squares of these usable pictures, (n, size, size, 3); a row is 0 for the first of them.

        Raises DataError where one has to be decoded anew and is not what it was.
        """
        beyond = rows >= len(self.kept)
        if not beyond.any():
            return self.kept[rows]
        squares = np.empty((len(rows), self.square.size, self.square.size, 3), np.uint8)
        squares[~beyond] = self.kept[rows[~beyond]]
        again = [self.rest[row - len(self.kept)] for row in rows[beyond]]
        with ThreadPoolExecutor(self.threads or available_processors()) as pool:
            squares[beyond] = list(pool.map(lambda one: one.look(self.square), again))
        return squares


def hold(squares: NDArray[np.uint8]) -> Pixels:
    """Squares (n, size, size, 3) that are decoded already, held in memory."""
    job = _Job(tuple(squares), Square(squares.shape[1], "stretch"), Machine(Path(os.devnull)), 0)
    return replace(job.in_no_file(), kept=squares, rest=())


@contextmanager
def decoded(sources: Sequence[Source], square: Square, machine: Machine, *, limit: int) -> Iterator[Pixels]:
    """The sources decoded and kept in the machine's folder, so that the next time the same files are read, not decoded.

    At most `limit` bytes of squares are kept there; pictures beyond that are decoded each time they are taken, which a note
    says. Where the machine is not to remember they are in a temporary file, gone when the block ends; where that cannot be
    written, all are decoded each time, which another note says.
    """
    job = _Job(tuple(sources), square, machine, min(len(sources), limit // _bytes(square)))
    with ExitStack() as stack:
        pixels = job.kept_in(machine.folder / "pixels", limit) if machine.options.cache else None
        if pixels is None:
            pixels = job.in_file(stack)
        if len(pixels.kept) + len(pixels.rest) > job.room:
            machine.notes.append(_beyond(len(pixels.rest), len(pixels.kept), limit))
        yield pixels


@dataclass(frozen=True, slots=True, eq=False)
class _Job:
    sources: tuple[Source, ...]
    square: Square
    machine: Machine
    room: int  # squares that may be kept

    def kept_in(self, folder: Path, limit: int) -> Pixels | None:
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

    def in_file(self, stack: ExitStack) -> Pixels:
        """Decoded into a file that goes with the stack, or where that cannot be written, each time anew."""
        try:
            folder = Path(stack.enter_context(TemporaryDirectory(prefix="twofold-", ignore_cleanup_errors=True)))
            check_space(folder, self.room * _bytes(self.square))
            return self._written(folder / "pixels.u8")[0]
        except OSError as error:
            stack.close()
            self._tell(
                "The folder for temporary files", error, "pictures are decoded in each epoch: set TMPDIR to another"
            )
            return self.in_no_file()

    def in_no_file(self) -> Pixels:
        """Each decoded when it is taken."""
        fates = [fate for _, fate in replace(self, room=0)._decode(io.BytesIO())]
        return self._pixels(fates, np.empty((0, self.square.size, self.square.size, 3), np.uint8))

    def _found(self, folder: Path) -> Pixels | None:
        if not any(folder.glob("*.json")):
            return None
        names = list(self._each(_name, "reading"))
        known = read_fates(folder / self._file(names), len(self.sources), self.square.size, self.room)
        return None if known is None else self._pixels(*known)

    def _added(self, folder: Path, limit: int) -> Pixels:
        make_room(folder, self.room * _bytes(self.square), limit)
        part = folder / f"pixels{PART}"
        try:
            pixels, names, fates = self._written(part)
            path = folder / self._file(names)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
        write_fates(path, fates)
        return replace(pixels, kept=SquareFile(path, len(pixels.kept), self.square.size))

    def _written(self, path: Path) -> tuple[Pixels, list[str], list[Fate]]:
        with path.open("wb") as file:
            names, fates = zip(*self._decode(file), strict=True) if self.sources else ((), ())
            count = file.tell() // _bytes(self.square)
        return self._pixels(list(fates), SquareFile(path, count, self.square.size)), list(names), list(fates)

    def _decode(self, file: BinaryIO) -> Iterator[tuple[str, Fate]]:
        """Name and fate of every source; the first `room` usable squares go into the file."""
        count = 0
        for name, seen in self._each(self._look, "decoding"):
            if isinstance(seen, Refusal):
                yield name, seen
                continue
            if count < self.room:
                file.write(seen[1].square.data)
                count += 1
            yield name, seen[0]

    def _look(self, source: Source) -> tuple[str, tuple[Facts, Look] | Refusal]:
        content = read_content(source)
        if isinstance(content, Refusal):
            return content.code, content
        return content.sha256, look_at(content, self.square, max_pixels=self.machine.options.max_pixels)

    def _each(self, function: Callable[[Source], R], what: str) -> Iterator[R]:
        """What the function makes of each source, in order, by all threads."""
        threads = self.machine.options.threads or available_processors()
        pool = ThreadPoolExecutor(threads, thread_name_prefix="decode")
        try:
            yield from self.machine.watch(
                ahead(pool, function, self.sources, _AHEAD * threads), len(self.sources), what
            )
        finally:
            pool.shutdown(cancel_futures=True)

    def _pixels(self, fates: list[Fate], kept: SquareFile | NDArray[np.uint8]) -> Pixels:
        facts = tuple(fate if isinstance(fate, Facts) else None for fate in fates)
        refusals = tuple(fate if isinstance(fate, Refusal) else None for fate in fates)
        most = self.machine.options.max_pixels
        rest = [Again(source, seen.sha256, most) for source, seen in zip(self.sources, facts, strict=True) if seen]
        return Pixels(facts, refusals, self.square, kept, tuple(rest[len(kept) :]), self.machine.options.threads)

    def _file(self, names: list[str]) -> str:
        """The name of a file of these squares: other for other contents, their order, or what is made of them."""
        made = [LOOK, asdict(self.square), self.machine.options.max_pixels, self.room, names]
        return hashlib.sha256(json.dumps(made, sort_keys=True).encode()).hexdigest()[:32] + ".u8"

    def _tell(self, what: str, error: OSError, so: str) -> None:
        text = f"{what} cannot be used ({error.strerror or error}), so {so}."
        self.machine.notes.append(Note("cache-unusable", text))


def _name(source: Source) -> str:
    content = read_content(source)
    return content.code if isinstance(content, Refusal) else content.sha256


def _beyond(rest: int, kept: int, limit: int) -> Note:
    text = f"{rest} of {rest + kept} decoded pictures do not fit into {limit / 1e9:g} GB and are decoded in every epoch"
    return Note("pixels-beyond-limit", f"{text}: raise --pixels-gb.")


def _bytes(square: Square) -> int:
    return square.size**2 * 3
