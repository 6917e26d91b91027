"""The seconds that the steps of a workflow take."""

import time
from collections.abc import Iterator, Mapping
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


def with_step(seconds: Mapping[str, float], step: str, since: float) -> dict[str, float]:
    """The seconds of a result with those of a step that came after it; the step began at `since` of `time.perf_counter`."""
    duration = round(time.perf_counter() - since, 3)
    steps = {name: value for name, value in seconds.items() if name != "total"}
    return {**steps, step: duration, "total": seconds["total"] + duration}
