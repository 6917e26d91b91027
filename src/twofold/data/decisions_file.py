"""The decisions file: review decisions as CSV, appended line by line, so that neither two writers nor a killed one lose any."""

import errno
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex
from threading import Lock
from typing import Final

from twofold.core.errors import DataError
from twofold.core.files import check_writable_file, reason, write_errors
from twofold.data.review_decisions import HEADER, ReviewDecision, ReviewDecisions, line_of, parse_line

_FLAGS: Final = os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


def read_decisions(file: Path) -> ReviewDecisions:
    """The review decisions of a file. Damaged lines, as the last one of a killed process, are counted and skipped.

    Raises DataError where there is no such file, or where it is not a decisions file.
    """
    try:
        data = file.read_bytes()
    except OSError as error:
        raise DataError(
            f"{file} cannot be read ({reason(error)}): give the decisions file that review writes."
        ) from error
    return _parse(data, file)


def _parse(data: bytes, file: Path) -> ReviewDecisions:
    decisions = ReviewDecisions()
    _add_lines(decisions, data[_header_length(data, file) :])
    return decisions


def _header_length(data: bytes, file: Path) -> int:
    """The bytes of the first line. DataError where it is not that of a decisions file; one that was cut is none yet."""
    first, _, rest = data.partition(b"\n")
    header = HEADER.encode().rstrip()
    if first.removeprefix(b"\xef\xbb\xbf").rstrip() == header:
        return len(data) - len(rest)
    if HEADER.encode().startswith(data):
        return len(data)
    raise DataError(f"{file} is not a decisions file: its first line must be {header.decode()}.")


def _add_lines(decisions: ReviewDecisions, data: bytes) -> None:
    for line in data.decode("utf-8", "replace").split("\n"):
        if not line.strip():
            continue
        decision = parse_line(line.rstrip("\r"))
        if decision is None:
            decisions.damaged += 1
        else:
            decisions.add(decision)


class DecisionsFile:
    """A decisions file that is written to. `decisions` are those that hold, of all processes that write to it.

    Any number of threads and processes may append at once. Raises DataError or UsageError where the file is another one or
    cannot be written.
    """

    def __init__(self, path: Path) -> None:
        check_writable_file(path)
        self.path = path
        self.session = token_hex(4)
        self.decisions = read_decisions(path) if path.exists() else ReviewDecisions()
        self._read = path.stat().st_size if path.exists() else 0
        self._lock = Lock()
        self._last_time = ""

    def append(self, decisions: Sequence[ReviewDecision]) -> None:
        """Writes the decisions, in one call that returns once they are on the disk. Raises TwofoldError where that fails."""
        with self._lock, write_errors(self.path), self._open() as number:
            data = self._beginning(number) + b"".join(map(line_of, decisions))
            if os.write(number, data) != len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(number)
            self._take_new(number)

    def refresh(self) -> None:
        """Takes what other processes have appended."""
        with self._lock, suppress(OSError), self.path.open("rb") as file:
            self._take_new(file.fileno())

    def now(self) -> str:
        """The time in UTC, later than any that was given before."""
        with self._lock:
            time = datetime.now(UTC)
            while (text := time.isoformat(timespec="microseconds")) <= self._last_time:
                time += datetime.resolution
            self._last_time = text
            return text

    @contextmanager
    def _open(self) -> Iterator[int]:
        """The descriptor of the file, locked against other processes where the system has locks."""
        number = os.open(self.path, _FLAGS, 0o666)
        try:
            with suppress(ImportError, OSError):
                import fcntl

                fcntl.flock(number, fcntl.LOCK_EX)
            yield number
        finally:
            os.close(number)

    def _take_new(self, number: int) -> None:
        """Takes the complete lines that were appended since, by any process; where the file has become shorter, all of it."""
        size = os.fstat(number).st_size
        if size < self._read:
            self._read, self.decisions = 0, ReviewDecisions()
        os.lseek(number, self._read, os.SEEK_SET)
        data = os.read(number, size - self._read)
        data = data[: data.rfind(b"\n") + 1]
        start = _header_length(data, self.path) if self._read == 0 and data else 0
        _add_lines(self.decisions, data[start:])
        self._read += len(data)

    def _beginning(self, number: int) -> bytes:
        """What comes before the new lines: the header of a new file, or the end of a line that a killed process has left."""
        size = os.fstat(number).st_size
        os.lseek(number, 0, os.SEEK_SET)
        first = os.read(number, len(HEADER))
        if len(first) < len(HEADER) and HEADER.encode().startswith(first):
            os.ftruncate(number, 0)
            self._read = 0
            return HEADER.encode()
        os.lseek(number, size - 1, os.SEEK_SET)
        return b"" if os.read(number, 1) == b"\n" else b"\r\n"
