"""The queue in front of the networks. Images wait in it; each thread takes a whole batch or one image, without a delay.

Threads belong to the queue: one more than the networks have inference requests, which decodes while the others compute.
"""

import asyncio
import sys
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice, takewhile
from math import ceil, prod
from threading import Condition, Thread
from time import perf_counter
from typing import Final, Protocol

from twofold.bundle.model import Prediction
from twofold.data import read_size
from twofold.embedding import Source

SLOW_PIXELS: Final = 4_000_000
"""Images with more pixels are a batch of their own: their decoding holds up no other image."""


class BatchPredictor(Protocol):
    """What computes a batch: a model that is served."""

    @property
    def batch(self) -> int:
        """The number of images that are computed together at best."""
        ...

    def predict_batch(self, sources: Sequence[Source]) -> list[Prediction]:
        """The predictions of a few images."""
        ...


@dataclass(frozen=True, slots=True)
class JobResult:
    """A prediction, with the seconds that the image waited and that its batch was computed."""

    prediction: Prediction
    queue_seconds: float
    compute_seconds: float


@dataclass(slots=True, eq=False)
class ImageJob:
    """An image that waits for a prediction, which `result` gets in the event loop."""

    model: BatchPredictor
    source: Source
    result: asyncio.Future[JobResult]
    submitted: float = field(default_factory=perf_counter)


class FullQueueError(Exception):
    """There is no place for so many images. `seconds` is when there may be one."""

    def __init__(self, seconds: float) -> None:
        super().__init__("The queue is full.")
        self.seconds = seconds


class BatchQueue:
    """A queue for at most `capacity` images that wait, and the threads that compute them. `submit` and `drop` are called in the
    event loop that `start` was called in."""

    def __init__(self, threads: int, capacity: int) -> None:
        self.capacity = capacity
        self._count = threads
        self._jobs: deque[ImageJob] = deque()
        self._changed = Condition()
        self._stopping = False
        self._threads: list[Thread] = []
        self._image_seconds = 0.02  # of one thread, a running mean
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> None:
        """Starts the threads. Results are set in the running event loop."""
        self._loop = asyncio.get_running_loop()
        self._threads = [Thread(target=self._work, name=f"batch-{n}", daemon=True) for n in range(self._count)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Ends the threads after their batches; what still waits is not computed."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    @property
    def waiting(self) -> int:
        """The number of images that wait."""
        return len(self._jobs)

    def check_space(self, count: int = 1) -> None:
        """Raises FullQueueError where there is no place for so many images."""
        if len(self._jobs) + count > self.capacity:
            raise FullQueueError(len(self._jobs) * self._image_seconds / self._count)

    def submit(self, model: BatchPredictor, sources: Sequence[Source]) -> list[ImageJob]:
        """Lets the images wait, all of them or none. Raises FullQueueError where there is no place."""
        assert self._loop is not None
        jobs = [ImageJob(model, source, self._loop.create_future()) for source in sources]
        with self._changed:
            self.check_space(len(jobs))
            self._jobs.extend(jobs)
            self._changed.notify(len(jobs))
        return jobs

    def drop(self, jobs: Sequence[ImageJob]) -> None:
        """Gives up the images: those that wait free their places, and results of the others are thrown away."""
        with self._changed:
            for job in jobs:
                if job in self._jobs:
                    self._jobs.remove(job)
        for job in jobs:
            job.result.cancel()

    def _work(self) -> None:
        while batch := self._take():
            start = perf_counter()
            try:
                outcome: list[Prediction] | Exception = batch[0].model.predict_batch([job.source for job in batch])
            except Exception as error:  # whatever it is: the requests get it, and the thread goes on
                outcome = error
            seconds = perf_counter() - start
            self._image_seconds += 0.05 * (seconds / len(batch) - self._image_seconds)
            assert self._loop is not None
            self._loop.call_soon_threadsafe(_deliver, batch, outcome, start, seconds)

    def _take(self) -> list[ImageJob]:
        """The next batch: a full one of one model where this thread's part of what waits has so many images, else one image.

        Empty at the end.
        """
        with self._changed:
            while not self._jobs and not self._stopping:
                self._changed.wait()
            if self._stopping:
                return []
            model = self._jobs[0].model
            share = min(model.batch, ceil(len(self._jobs) / self._count))
            batch = list(takewhile(lambda job: job.model is model, islice(self._jobs, share)))
            if len(batch) < model.batch:  # together they would take as long, and be answered later
                batch = batch[:1]
            for _ in batch:
                self._jobs.popleft()
        if len(batch) == 1:
            return batch
        slow = [job for job in batch if _is_slow(job)]  # without the lock, because headers are read
        quick = [job for job in batch if job not in slow]
        batch, later = (quick, slow) if quick else (slow[:1], slow[1:])
        with self._changed:
            self._jobs.extendleft(reversed(later))
            self._changed.notify(len(later))
        return batch


def _is_slow(job: ImageJob) -> bool:
    size = read_size(job.source, sys.maxsize) if isinstance(job.source, bytes) else None
    return size is not None and prod(size) > SLOW_PIXELS


def _deliver(batch: Sequence[ImageJob], outcome: list[Prediction] | Exception, start: float, seconds: float) -> None:
    for number, job in enumerate(batch):
        if job.result.done():  # given up
            continue
        if isinstance(outcome, Exception):
            job.result.set_exception(outcome)
        else:
            job.result.set_result(JobResult(outcome[number], start - job.submitted, seconds))
