"""Progress of long work, reported to a function that the caller gives."""

import threading
from collections.abc import Callable, Iterable, Iterator
from queue import SimpleQueue
from typing import Any

from twofold.core.files import LIMIT, check_size

Progress = Callable[[Iterable[Any], int, str], Iterable[Any]]
"""(stream, length, description) -> the same stream, with a progress bar for example."""


def no_progress(stream: Iterable[Any], length: int, what: str) -> Iterable[Any]:
    """The stream, without progress."""
    return stream


_MEGABYTE = 1_000_000


def run_with_progress_bar(work: Callable[[type], str], what: str, progress: Progress, *, limit: int = LIMIT) -> str:
    """The result of `work`, or its error. `work` runs in a thread and takes a progress bar class, as libraries do.

    Raises DataError if the bar's total exceeds the limit. On that or any other error the next update of the bar stops the thread.
    """
    sizes: SimpleQueue[int | None] = SimpleQueue()
    stop = threading.Event()
    result: list[str | BaseException] = []

    def run() -> None:
        try:
            result.append(work(_progress_bar(sizes, stop)))
        except BaseException as error:
            result.append(error)
        sizes.put(None)

    threading.Thread(target=run, daemon=True).start()  # Ctrl-C does not wait for it; the next run resumes the download
    try:
        total = sizes.get()
        if total is not None:
            check_size(what, total, limit)
            for _ in progress(_megabytes(sizes), -(-total // _MEGABYTE), f"{what}, MB"):
                pass
    finally:
        stop.set()
    (outcome,) = result
    if isinstance(outcome, BaseException):
        raise outcome
    return outcome


def _megabytes(sizes: "SimpleQueue[int | None]") -> Iterator[int]:
    """The count of megabytes, as it grows, until the queue has None."""
    received = count = 0
    while (size := sizes.get()) is not None:
        received += size
        while received >= (count + 1) * _MEGABYTE:
            count += 1
            yield count
    if received > count * _MEGABYTE:
        yield count + 1


class _StoppedError(Exception):
    """Nobody waits for the download any more."""


def _progress_bar(sizes: "SimpleQueue[int | None]", stop: threading.Event) -> type:
    """A tqdm class that draws nothing: its bars put the size of the file, then of each chunk, into the queue.

    Once `stop` is set, updates raise an error, which ends the download.
    """
    from tqdm import tqdm

    class QueueBar(tqdm):  # type: ignore[misc]  # tqdm has no types
        def __init__(self, *_: Any, total: int | None = None, **__: Any) -> None:
            super().__init__(total=total, disable=True)
            sizes.put(total or 0)

        def update(self, n: float | None = 1) -> None:
            if stop.is_set():
                raise _StoppedError
            sizes.put(int(n or 0))

        def update_transfer(self, n: float) -> None:
            """Without this method, huggingface_hub makes a second bar for the same bytes."""

    return QueueBar
