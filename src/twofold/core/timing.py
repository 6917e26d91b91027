"""The seconds that the steps of a workflow take."""

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Clock:
    """Seconds per step, and in total since the clock was created."""

    def __init__(self) -> None:
        self._start = time.perf_counter()
        self._seconds = {"embed": 0.0, "fit": 0.0}

    @contextmanager
    def __call__(self, step: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self._seconds[step] = self._seconds.get(step, 0.0) + time.perf_counter() - start

    def seconds(self) -> dict[str, float]:
        steps = {**self._seconds, "total": time.perf_counter() - self._start}
        return {step: round(seconds, 3) for step, seconds in steps.items()}
