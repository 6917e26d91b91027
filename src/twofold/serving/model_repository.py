"""The models that are served, by name, and their replacement while they are in use."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from threading import Event, Thread
from typing import Final

from twofold.bundle.model import Prediction
from twofold.bundle.storage import Bundle, load_bundle
from twofold.core.errors import TwofoldError, UsageError
from twofold.embedding import Runtime, Source
from twofold.serving.served_life import ServedLife
from twofold.serving.served_lives import ServedLives, Tell
from twofold.workflows.explain import Explainer
from twofold.workflows.predict import Predictor

POLL_SECONDS: Final = 1.0

FileState = tuple[int, int, int]
"""Inode, time of modification in ns, and size of a file."""


@dataclass(frozen=True, eq=False)
class ServedModel:
    """A bundle that is served, under a `name`. Requests keep the one that they began with.

    It has a `life`, or `not_watched` says why it has none.
    """

    name: str
    bundle: Bundle = field(repr=False)
    predictor: Predictor = field(repr=False)
    life: ServedLife | None = field(default=None, repr=False)
    not_watched: str = ""

    @cached_property
    def version(self) -> str:
        """The beginning of the hash of bundle.json: another one for every other model."""
        return str(self.bundle.record["sha256"])[:16]

    @cached_property
    def batch(self) -> int:
        """The number of images that are computed together at best."""
        return self.predictor.batch

    @cached_property
    def explainer(self) -> Explainer:
        """The explainer; its network is compiled at the first explanation."""
        return Explainer(self.bundle, self.predictor.runtime)

    def predict_batch(self, sources: Sequence[Source]) -> list[Prediction]:
        """The predictions of a few images, which are watched; computed in the thread of the caller."""
        return self.predictor.predict_batch(sources, None if self.life is None else self.life.add)


@dataclass(frozen=True, slots=True)
class Reload:
    """A bundle that was replaced: its new `model`, or the `error` for which the old one stays."""

    name: str
    model: ServedModel | None
    error: str = ""


class ModelRepository:
    """The models of bundles by name, and their lives. `load` reads them, `warm` compiles their networks; then `watch` replaces a
    model whenever its bundle was replaced.
    """

    def __init__(self, paths: Mapping[str, Path], runtime: Runtime, lives: ServedLives | None = None) -> None:
        self._paths, self._runtime, self._lives = dict(paths), runtime, lives or ServedLives()
        self._tell: Tell = lambda event, **fields: None
        self._models: dict[str, ServedModel] = {}
        self._states: dict[str, FileState | None] = {}
        self._stopping = Event()
        self._thread: Thread | None = None
        self.ready = False

    @property
    def names(self) -> list[str]:
        """The names, in the order given."""
        return list(self._paths)

    def get(self, name: str) -> ServedModel | None:
        """The model of this name as it is now."""
        return self._models.get(name)

    def load(self) -> None:
        """Reads all bundles. Raises BundleError where one cannot be used, and where lives are kept TwofoldError where one cannot
        be watched."""
        for name in self._paths:
            self._models[name] = self._with_life(self._load(name))

    def warm(self) -> None:
        """Compiles all networks. Raises BundleError where one cannot be run."""
        for model in list(self._models.values()):
            model.predictor.warm()
        self.ready = True

    def watch(self, on_reload: Callable[[Reload], None], tell: Tell) -> None:
        """Looks for replaced bundles and tends the lives every second, in a thread, until `close`. `tell` gets their events."""
        self._tell = tell

        def run() -> None:
            while not self._stopping.wait(POLL_SECONDS):
                for reload in self.refresh():
                    on_reload(reload)
                self._lives.tend(tell)

        self._thread = Thread(target=run, name="reload", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ends the thread of `watch`, and keeps the lives as they are then."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
        self._lives.close(self._tell)

    def refresh(self) -> list[Reload]:
        """Replaces the models whose bundles were replaced; a bundle that cannot be used leaves the old model in place."""
        changed = [name for name in self._paths if _file_state(self._paths[name]) != self._states[name]]
        return [self._reload(name) for name in changed]

    def _reload(self, name: str) -> Reload:
        try:
            model = self._load(name)
            model.predictor.warm()
            model = self._with_life(model)
        except Exception as error:  # whatever it is: the old model goes on, and so does the watch
            return Reload(name, None, str(error))
        self._models[name] = model
        return Reload(name, model)

    def _load(self, name: str) -> ServedModel:
        path = self._paths[name]
        self._states[name] = _file_state(path)  # before it is read: what is written meanwhile is read again
        bundle = load_bundle(path)
        return ServedModel(name, bundle, Predictor(bundle, self._runtime))

    def _with_life(self, model: ServedModel) -> ServedModel:
        """The model with its life, or why it is not watched, which is no reason not to serve it."""
        try:
            return replace(model, life=self._lives.open(model.name, model.bundle))
        except TwofoldError as error:
            if not self.ready and self._lives.folder is not None:  # at the start there is somebody to mend it
                raise
            return replace(model, not_watched=str(error))


def _file_state(path: Path) -> FileState | None:
    """The state of bundle.json, which is written last; None where it is missing."""
    try:
        status = (path / "bundle.json").stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


def name_bundles(words: Sequence[str]) -> dict[str, Path]:
    """The bundles by name, from PATH or NAME=PATH; without a name it is that of the folder, without its suffix.

    Raises UsageError where a name occurs twice, or cannot be a part of an address.

    >>> name_bundles(["models/pets.twofold", "cells=/srv/solar.twofold"])
    {'pets': PosixPath('models/pets.twofold'), 'cells': PosixPath('/srv/solar.twofold')}
    """
    paths: dict[str, Path] = {}
    for word in words:
        given, separator, rest = word.partition("=")
        is_named = bool(separator) and "/" not in given
        path = Path(rest if is_named else word)
        name = given if is_named else path.absolute().name.removesuffix(".twofold")
        if not name or not all(character.isalnum() or character in "-_." for character in name):
            raise UsageError(f"{name!r} cannot be the name of a model: give NAME=PATH, with letters, digits, - and _.")
        if name in paths:
            raise UsageError(f"Two bundles have the name {name}: give one of them another, as NAME=PATH.")
        paths[name] = path
    return paths
