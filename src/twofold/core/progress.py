"""How somebody can see long work pass, without the work knowing who."""

import threading
from collections.abc import Callable, Iterable, Iterator
from queue import SimpleQueue
from typing import Any

from twofold.core.limits import LIMIT, check_size

Progress = Callable[[Iterable[Any], int, str], Iterable[Any]]
"""Wraps a stream so that somebody can see it pass: (stream, length, what it is) -> the same stream."""


def no_progress(stream: Iterable[Any], length: int, what: str) -> Iterable[Any]:
    """The stream as it is."""
    return stream


_MEGABYTE = 1_000_000


def pushed_progress(work: Callable[[type], str], what: str, progress: Progress, *, limit: int = LIMIT) -> str:
    """What `work` returns or raises; it runs beside, and is given the class of the bar to push into.

    Raises DataError where what comes is larger than the limit; the work ends with the process then.
    """
    told: SimpleQueue[int | None] = SimpleQueue()
    result: list[str | BaseException] = []

    def run() -> None:
        try:
            result.append(work(_bar(told)))
        except BaseException as error:
            result.append(error)
        told.put(None)

    threading.Thread(target=run, daemon=True).start()  # Ctrl-C does not wait for it; what came is taken up again
    total = told.get()
    if total is not None:
        check_size(what, total, limit)
        for _ in progress(_megabytes(told), -(-total // _MEGABYTE), f"{what}, MB"):
            pass
    (outcome,) = result
    if isinstance(outcome, BaseException):
        raise outcome
    return outcome


def _megabytes(told: "SimpleQueue[int | None]") -> Iterator[int]:
    """Counts megabytes until None comes."""
    came = shown = 0
    while (size := told.get()) is not None:
        came += size
        while came >= (shown + 1) * _MEGABYTE:
            shown += 1
            yield shown
    if came > shown * _MEGABYTE:
        yield shown + 1


def _bar(told: "SimpleQueue[int | None]") -> type:
    """A progress bar that shows nothing: it tells the size of the file, then of each piece that comes."""
    from tqdm import tqdm

    class Bar(tqdm):  # type: ignore[misc]  # tqdm has no types
        def __init__(self, *_: Any, total: int | None = None, **__: Any) -> None:
            super().__init__(total=total, disable=True)
            told.put(total or 0)

        def update(self, n: float | None = 1) -> None:
            told.put(int(n or 0))

        def update_transfer(self, n: float) -> None:
            """Having this keeps the hub from making a second bar for the same bytes."""

    return Bar
