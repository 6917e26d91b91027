"""Where the time goes."""

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Clock:
    """Seconds by what they were spent on, and in total since it was made."""

    def __init__(self) -> None:
        self._start = time.perf_counter()
        self._spent = {"embed": 0.0, "fit": 0.0}

    @contextmanager
    def __call__(self, what: str) -> Iterator[None]:
        begun = time.perf_counter()
        yield
        self._spent[what] = self._spent.get(what, 0.0) + time.perf_counter() - begun

    def seconds(self) -> dict[str, float]:
        whole = {**self._spent, "total": time.perf_counter() - self._start}
        return {what: round(seconds, 3) for what, seconds in whole.items()}
