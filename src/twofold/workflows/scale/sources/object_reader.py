"""The bytes of objects in buckets. Reads that fail are tried again; a store that cannot be reached ends the run."""

import time
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Final, Self

from twofold.core.errors import DataError, TwofoldError
from twofold.core.privacy import public_address
from twofold.data import ReadError
from twofold.data.formats import MAX_BYTES
from twofold.workflows.scale.sources.archive_copies import ArchiveCopies, split_member
from twofold.workflows.scale.sources.remote_files import (
    bucket_of,
    first_line,
    is_remote,
    may_pass,
    open_remote,
    settings,
)

_PAUSES: Final = (1.0, 5.0)  # seconds between attempts; the client of S3 alone tries for 6 s each time
_MAX_FAILURES: Final = 16  # objects in a row


class ObjectReader:
    """Reads what paths and addresses name, for any number of threads. A context manager, which removes the copies of archives."""

    def __init__(self, pauses: Sequence[float] = _PAUSES, limit: int = MAX_BYTES) -> None:
        self._pauses = pauses
        self._limit = limit
        self._copies = ArchiveCopies()
        # Why each object could not be read, since the last one that was read or is not there.
        self._failures: list[str] = []
        self._lock = Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._copies.__exit__(kind, error, trace)

    def read(self, path: str) -> Path | bytes | ReadError:
        """What a predictor takes: the path itself or, for an address, the bytes of the object; or a read error.

        Raises DataError where one object after the other cannot be read because the store cannot be reached, and TwofoldError
        where an archive cannot be copied for want of room.
        """
        if not is_remote(path):
            return Path(path)
        error = self._read(path)
        if not isinstance(error, Exception):
            self._failures = []
            return error
        with self._lock:
            self._failures.append(first_line(error))
        self.check(path, _MAX_FAILURES)
        return ReadError("unreadable", f"The object cannot be read ({first_line(error)}): {settings(path)}.")

    def check(self, path: str, count: int) -> None:
        """Raises DataError where the last `count` objects could not be read, the last of them at `path`."""
        failures = self._failures
        if len(failures) >= count:
            raise DataError(
                f"{public_address(bucket_of(path))} cannot be read ({failures[-1]}): check the connection, and {settings(path)}; "
                "then run it again, nothing that is finished is lost."
            )

    def _read(self, address: str) -> bytes | ReadError | Exception:
        """The bytes or a read error; or, after the last attempt, the error of the client, which may have passed in an hour."""
        for pause in (*self._pauses, None):
            try:
                return self._read_once(address)
            except TwofoldError:
                raise
            except FileNotFoundError:
                return ReadError("missing", "There is no such object: check the address.")
            except Exception as error:  # each client has errors of its own
                if not may_pass(error):
                    return ReadError(
                        "unreadable", f"The object cannot be read ({first_line(error)}): {settings(address)}."
                    )
                if pause is None or len(self._failures) >= _MAX_FAILURES:
                    return error
                time.sleep(pause)
        raise AssertionError("the last attempt returns")

    def _read_once(self, address: str) -> bytes | ReadError:
        member = split_member(address)
        data = self._copies.read(*member, self._limit) if member else None
        if data is not None:
            return data
        with open_remote(address) as file:
            if file.size() > self._limit:
                return ReadError(
                    "too-large", f"It has {file.size():,} bytes, the limit is {self._limit:,}; make it smaller."
                )
            return bytes(file.read())
