"""The lives of all models that are served, and the folder in which they outlast the service."""

from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from time import monotonic
from typing import Final

from twofold.bundle.score_quantiles import score_quantiles
from twofold.bundle.storage import Bundle
from twofold.core.errors import TwofoldError
from twofold.core.files import check_writable, write_errors
from twofold.core.folder_lock import hold_folder
from twofold.serving.served_life import ServedLife
from twofold.workflows.monitors import identity_of, monitors_of
from twofold.workflows.watch_life import WatchLife, training_digests
from twofold.workflows.watch_state import new_state, read_state

SAVE_SECONDS: Final = 60.0
"""The most seconds of a life that are lost where the process is killed."""

_DIGITS: Final = 16  # of an identity, in the name of a file

Tell = Callable[..., None]
"""Gets the name of an event, and its fields by keyword."""


class ServedLives:
    """The lives of models by name. Those in a `folder` are kept in files, one for each model that had the name; it is locked
    until `close`. Of each model one image in `interval` seconds counts; with 0 all do.

    Raises UsageError where the folder cannot be written, or another process holds it.
    """

    def __init__(self, folder: Path | None = None, interval: float = 0, clock: Callable[[], float] = monotonic) -> None:
        self.folder, self._interval, self._clock = folder, interval, clock
        self._due, self._faults = clock() + SAVE_SECONDS, set[str]()
        self._lives: dict[str, tuple[str, ServedLife]] = {}
        self._folder_lock = ExitStack()
        if folder is not None:
            check_writable(folder / "lock")
            with write_errors(folder):
                folder.mkdir(parents=True, exist_ok=True)
            self._folder_lock.enter_context(hold_folder(folder))

    def open(self, name: str, bundle: Bundle) -> ServedLife:
        """The life of a model. It goes on where only the rule was replaced, or where the folder has its file.

        Raises BundleError where the bundle cannot be watched, DataError or UsageError where its file cannot be used.
        """
        monitors, _ = monitors_of(bundle, score_quantiles(bundle))
        identity = identity_of(bundle, monitors)
        before, life = self._lives.get(name, ("", None))
        if life is None or before != identity:
            if life is not None:
                with suppress(TwofoldError):  # of a model that is replaced: only its last minute is at stake
                    life.save()
            path = None if self.folder is None else self.folder / f"{name}-{identity[:_DIGITS]}.json"
            state = new_state(identity, monitors) if path is None else read_state(path, identity, monitors)
            life = ServedLife(WatchLife(monitors, training_digests(bundle), state), path, self._interval, self._clock)
            self._lives[name] = identity, life
        return life

    def tend(self, tell: Tell) -> None:
        """Tells of each alarm once, as `alarm`, and writes what has changed every minute. Call it now and then."""
        for name, (_, life) in list(self._lives.items()):
            for reading in life.new_alarms():
                tell("alarm", model=name, measure=reading.name, image=reading.alarm)
        if self._clock() >= self._due:
            self.save(tell)
            self._due = self._clock() + SAVE_SECONDS

    def save(self, tell: Tell) -> None:
        """Writes what has changed. Tells why that is not possible, as `watch-state`, once for each reason."""
        faults = set()
        for _, life in list(self._lives.values()):
            try:
                life.save()
            except TwofoldError as error:
                faults.add(str(error).replace("`", ""))
        for sentence in sorted(faults - self._faults):
            tell("watch-state", error=sentence)
        self._faults = faults

    def close(self, tell: Tell) -> None:
        """Writes what has changed, and releases the folder."""
        self.save(tell)
        self._folder_lock.close()
