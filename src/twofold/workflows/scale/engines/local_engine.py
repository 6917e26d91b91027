"""The local engine: parts are computed in a worker process, so that an image that ends it costs a retry, not the run."""

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from types import TracebackType
from typing import Any, Final, Self

from twofold.core.errors import TwofoldError
from twofold.core.notes import count_text
from twofold.workflows.scale.engines.interrupts import held_interrupts
from twofold.workflows.scale.engines.worker import READY, ImageDone, ImageStarted, Job, PartDone, PartTask, run_worker
from twofold.workflows.scale.plan import Part
from twofold.workflows.scale.row_format import PartRow
from twofold.workflows.scale.sources.temporary_folder import remove_abandoned

CRASHED: Final = "crashed"
_DEATHS: Final = 2  # of workers at one image: then it is given up
_MAX_DEATHS: Final = 8  # of workers at one part and at no image
_MAX_STARTS: Final = 3  # of workers that end before they are ready
_MAX_CRASHES: Final = 8  # images given up one after the other, with none in between that was answered


class LocalEngine:
    """Computes parts, one after the other, in one worker process that uses all threads. A context manager, which ends it."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._process: BaseProcess | None = None
        self._connection: Connection[Any, Any] | None = None
        self._crashes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()
        remove_abandoned()  # a worker that was killed had copies of archives

    def run(self, parts: Iterable[Part]) -> Iterator[PartDone]:
        """Computes the parts, and yields each once it is on the disk. Raises TwofoldError where the worker cannot begin,
        the parts cannot be written, or one image after the other ends the worker."""
        for part in parts:
            yield self.compute(part.digest, part.paths())

    def compute(self, digest: str, paths: list[str]) -> PartDone:
        """Computes one part: as a stream and, where that ends the worker, one image at a time."""
        rows: dict[int, PartRow] = {}
        deaths: Counter[int | None] = Counter()  # by the number of the image, None where it is not known
        one_at_a_time = False
        while True:
            outcome = self._attempt(PartTask(digest, paths, one_at_a_time, rows), rows)
            if isinstance(outcome, PartDone):
                return outcome
            code, one_at_a_time = self._stop(), True
            deaths[outcome] += 1
            if outcome is None and deaths[None] == _MAX_DEATHS:
                raise TwofoldError(
                    f"The worker process ended {_MAX_DEATHS} times at the same part (exit code {code}), and not at an "
                    "image: there may be too little memory; nothing that is finished is lost."
                )
            if outcome is not None and deaths[outcome] == _DEATHS:
                rows[outcome] = self._job.row_format.unanswered(paths[outcome], CRASHED)
                self._count_crash(paths[outcome])

    def _attempt(self, task: PartTask, rows: dict[int, PartRow]) -> PartDone | int | None:
        """The finished part; or, where the worker has ended, the number of the image it was at, None where that is not known."""
        number: int | None = None
        connection = self._connection or self._start()
        try:
            connection.send(task)
            while True:
                match connection.recv():
                    case PartDone() as done:
                        self._crashes = self._crashes if task.one_at_a_time else 0
                        return done
                    case ImageStarted(number=number):
                        pass
                    case ImageDone(number=done_number, row=row):
                        rows[done_number], number, self._crashes = row, None, 0
                    case TwofoldError() as error:
                        raise error
        except (EOFError, OSError):
            return number

    def _start(self) -> "Connection[Any, Any]":
        """The connection to a new worker that has opened its computer."""
        # A forked process would have the locks of this one's threads, and none to free them.
        context = get_context("spawn")
        for _ in range(_MAX_STARTS):
            with held_interrupts():
                self._connection, end = context.Pipe()
                process = context.Process(target=run_worker, args=(end, self._job), daemon=True)
                process.start()
                self._process = process
                end.close()  # else the end of the worker would not be seen
            with suppress(EOFError, OSError):
                message = self._connection.recv()
                if isinstance(message, TwofoldError):
                    raise message
                assert message == READY
                return self._connection
            code = self._stop()
        why = "there may be too little memory" if code is None or code < 0 else "what it printed says why"
        raise TwofoldError(
            f"The worker process ended {_MAX_STARTS} times before it was ready (exit code {code}): {why}; nothing that is "
            "finished is lost."
        )

    def _count_crash(self, path: str) -> None:
        self._crashes += 1
        if self._crashes == _MAX_CRASHES:
            raise TwofoldError(
                f"{count_text(_MAX_CRASHES, 'image')} in a row ended the worker process, the last was {path}: there may be too "
                "little memory; nothing that is finished is lost."
            )

    def _stop(self) -> int | None:
        """Ends the worker, and returns its exit code. Parts are whole or absent, so it may be killed at any moment."""
        process, connection = self._process, self._connection
        self._process = self._connection = None
        if connection is not None:
            connection.close()
        if process is None:
            return None
        process.join(0.2)  # an idle worker ends by itself
        process.kill()
        process.join()
        code = process.exitcode
        process.close()
        return code
