"""The worker process: it computes one part after the other for the process that started it."""

import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from multiprocessing import parent_process
from multiprocessing.connection import Connection, wait
from pathlib import Path
from threading import Thread
from typing import Any, Final

from twofold.core.errors import TwofoldError
from twofold.core.notes import Note
from twofold.core.parallel import prefetch
from twofold.data import ReadError
from twofold.workflows.scale.part_files import write_part
from twofold.workflows.scale.row_format import PartRow, RowComputer, RowFormat
from twofold.workflows.scale.sources.object_reader import ObjectReader
from twofold.workflows.scale.sources.remote_files import is_remote

READY: Final = "ready"
_READERS: Final = 8  # threads that wait for a bucket


@dataclass(frozen=True, slots=True)
class Job:
    """What a worker is started with. `open_computer` is called in its process, so it must be picklable.

    `model` is the SHA-256 of what computes the rows, such as a bundle; `folder` is where the parts go; `threads` is the number of
    threads of the computer, None for one per processor.
    """

    open_computer: Callable[[], AbstractContextManager[RowComputer[Any]]]
    row_format: RowFormat[Any]
    model: str
    folder: Path
    threads: int | None = None


@dataclass(frozen=True, slots=True)
class PartTask:
    """The work on a part. One at a time, the worker says which image it is at; `known` are rows from earlier attempts."""

    digest: str
    paths: Sequence[str]
    one_at_a_time: bool = False
    known: Mapping[int, PartRow] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ImageStarted:
    """The worker is at this image of the part."""

    number: int


@dataclass(frozen=True, slots=True)
class ImageDone:
    """The row of an image of the part."""

    number: int
    row: PartRow


@dataclass(frozen=True, slots=True)
class PartDone:
    """The part is on the disk; the number of its images for each reason, None for images with a label."""

    digest: str
    reasons: Mapping[str | None, int]
    notes: tuple[Note, ...]


def run_worker(connection: "Connection[Any, Any]", job: Job) -> None:
    """The life of a worker process: tasks come in, messages go out, until the other end is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the process that started this one, which ends it
    Thread(target=_end_with_parent, daemon=True).start()
    try:
        with job.open_computer() as computer, ObjectReader() as reader:
            connection.send(READY)
            while True:
                task: PartTask = connection.recv()
                rows = list(_rows(computer, job.row_format, reader, task, connection.send))
                write_part(job.folder, task.digest, rows, job.row_format, job.model)
                connection.send(PartDone(task.digest, Counter(row.reason for row in rows), computer.notes))
    except TwofoldError as error:
        connection.send(error)
    except (EOFError, ConnectionError):  # the other end is closed
        return


def _rows(
    computer: RowComputer[PartRow],
    row_format: RowFormat[Any],
    reader: ObjectReader,
    task: PartTask,
    tell: Callable[[Any], None],
) -> Iterator[PartRow]:
    if not task.one_at_a_time:
        yield from _compute_rows(computer, row_format, reader, task.paths)
        if remote := list(filter(is_remote, task.paths)):
            reader.check(remote[-1], len(remote))  # a part may have fewer objects than `read` waits for
        return
    for number, path in enumerate(task.paths):
        if number not in task.known:
            tell(ImageStarted(number))
            (row,) = _compute_rows(computer, row_format, reader, [path])
            tell(ImageDone(number, row))
            yield row
        else:
            yield task.known[number]


def _compute_rows(
    computer: RowComputer[PartRow], row_format: RowFormat[Any], reader: ObjectReader, paths: Sequence[str]
) -> Iterator[PartRow]:
    """The rows of the paths, in their order. Objects in buckets are read here, some ahead of the computer."""
    if not any(map(is_remote, paths)):
        yield from computer.stream(map(Path, paths))
        return
    errors: dict[int, ReadError] = {}

    def sources() -> Iterator[Path | bytes]:
        with ThreadPoolExecutor(_READERS, thread_name_prefix="read") as pool:
            for number, source in enumerate(prefetch(pool, reader.read, paths, 2 * _READERS)):
                if isinstance(source, ReadError):
                    errors[number] = source
                else:
                    yield source

    remaining = iter(list(computer.stream(sources())))
    for number, path in enumerate(paths):
        error = errors.get(number)
        if error is not None:
            yield row_format.unanswered(path, error.code, error)
        else:
            yield row_format.at(next(remaining), path)


def _end_with_parent() -> None:
    """Ends this process, in the middle of an image too, when the one that started it has ended."""
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
