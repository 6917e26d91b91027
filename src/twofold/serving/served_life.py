"""The watch over a model that is served: a life to which any thread adds images."""

from collections.abc import Callable, Sequence
from math import inf
from pathlib import Path
from threading import Lock
from time import monotonic

from twofold.bundle.model import Prediction
from twofold.embedding import FeatureRow
from twofold.workflows.image_measures import measure_images
from twofold.workflows.monitor_reading import Reading
from twofold.workflows.watch_life import WatchLife
from twofold.workflows.watch_state import write_state


class ServedLife:
    """A life that is kept in the file at `path`; with None it ends with the service.

    With an `interval` in seconds of the `clock`, one image in this time is counted: images of one scene are not independent.
    """

    def __init__(
        self, life: WatchLife, path: Path | None, interval: float = 0, clock: Callable[[], float] = monotonic
    ) -> None:
        self._life, self._path, self._interval, self._clock = life, path, interval, clock
        self._due = -inf
        self._lock = Lock()
        self._unsaved = False
        self._alarms = set[str]()  # that are in the log

    def add(self, rows: Sequence[FeatureRow], predictions: Sequence[Prediction]) -> None:
        """Counts images with these feature rows and predictions."""
        if self._interval:
            with self._lock:
                if self._clock() < self._due:
                    return
                self._due = self._clock() + self._interval
            rows, predictions = rows[:1], predictions[:1]
        batch = measure_images(rows, predictions)
        with self._lock:
            self._life.add(batch)
            self._unsaved = True

    @property
    def images(self) -> int:
        """The images that were counted since the life began."""
        return self._life.images

    @property
    def readings(self) -> tuple[Reading, ...]:
        """What the monitors say."""
        with self._lock:
            return self._life.readings

    def new_alarms(self) -> list[Reading]:
        """The readings with an alarm that this has not returned before."""
        new = [each for each in self.readings if each.alarm is not None and each.name not in self._alarms]
        self._alarms.update(each.name for each in new)
        return new

    def save(self) -> None:
        """Writes the state, whole or not at all, where it has changed. Raises TwofoldError where that fails."""
        if self._path is None or not self._unsaved:
            return
        with self._lock:
            state, self._unsaved = self._life.state, False
        try:
            write_state(self._path, state)
        except BaseException:
            self._unsaved = True
            raise
