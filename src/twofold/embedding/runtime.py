"""What a run may use of the machine: processors, and a folder to remember in."""

import os
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Final

from platformdirs import user_cache_path

from twofold.core.errors import TwofoldError
from twofold.core.files import reason
from twofold.core.notes import Note
from twofold.core.options import RuntimeOptions
from twofold.core.privacy import without_home
from twofold.core.progress import Progress, no_progress
from twofold.data import Ranges
from twofold.embedding.content import Source
from twofold.embedding.embed import embed
from twofold.embedding.engine import Engine
from twofold.embedding.feature_table import FeatureTable, collect_features
from twofold.embedding.intensity_scan import find_ranges
from twofold.embedding.probes import Probes
from twofold.embedding.scan import scan
from twofold.embedding.store import Store
from twofold.networks import Backbone


@dataclass(frozen=True, slots=True)
class Runtime:
    """`folder` keeps downloaded weights and, with `options.cache`, compiled networks and vectors.

    `notes` collects what went wrong there.
    """

    folder: Path
    options: RuntimeOptions = field(default_factory=RuntimeOptions)
    progress: Progress = no_progress
    notes: list[Note] = field(default_factory=list)

    def engine(self, backbone: Backbone, probes: Probes | None = None) -> Engine:
        """An engine for the backbone, whose fast arithmetic must give the logits of `probes`, where there are any."""
        compiled = self.folder / "compiled" if self.options.cache else None
        return Engine(backbone, threads=self.options.threads, cache=compiled, probes=probes)

    def embed(self, sources: Sequence[Source], engine: Engine, *, what: str = "images") -> FeatureTable:
        """The table of all sources, in their order."""
        with self._store() as store:
            observations = embed(sources, engine, store, max_pixels=self.options.max_pixels)
            with closing(observations) as stream:  # at an interruption, too, nothing is left running
                table = collect_features(self.progress(stream, len(sources), what), len(sources))
        self.notes.extend(note for note in engine.notes if note not in self.notes)
        return table

    def ranges(self, sources: Sequence[Source]) -> tuple[Ranges, list[Note]]:
        """Black and white for the sources that have more than eight bits, and notes that tell them."""
        threads, most = self.options.threads, self.options.max_pixels
        return find_ranges(sources, threads=threads, max_pixels=most, progress=self.progress)

    def scan(self, sources: Sequence[Source], ranges: Ranges | None = None, *, what: str = "images") -> FeatureTable:
        """The table of all sources, in their order, with vectors that hold no number; `ranges` are by default their own."""
        ranges = self.ranges(sources)[0] if ranges is None else ranges
        threads, most = self.options.threads, self.options.max_pixels
        observations = scan(sources, threads=threads, max_pixels=most, ranges=ranges)
        with closing(observations) as stream:
            return collect_features(self.progress(stream, len(sources), what), len(sources))

    @contextmanager
    def _store(self) -> Iterator[Store | None]:
        if not self.options.cache:
            yield None
            return
        path = self.folder / "vectors.sqlite"
        try:
            store = Store(path)
        except (sqlite3.Error, OSError) as error:
            self.notes.append(_unusable(path, str(error)))
            yield None
            return
        with store:
            yield store
        if store.fault is not None:
            self.notes.append(_unusable(path, store.fault))


def _unusable(path: Path, why: str) -> Note:
    text = f"The cache {path} cannot be used ({why}), so pictures were looked at anew."
    return Note("cache-unusable", f"{text} Delete that file, or pass --no-cache.")


_NOWHERE: Final = Path(os.devnull) / "twofold"  # no folder can be made there


def user_runtime(options: RuntimeOptions, progress: Progress = no_progress) -> Runtime:
    """What keeps all in the user's cache folder; where that cannot be used, a note says so, and nothing is kept.

    What has to be downloaded then goes into a temporary folder, which is gone when the process ends.
    """
    try:
        return Runtime(_cache_folder(), options, progress)
    except TwofoldError as error:
        note = Note(
            "cache-unusable", f"{error} So nothing is kept between runs: set XDG_CACHE_HOME to a folder of yours."
        )
        return Runtime(_temporary_folder(), replace(options, cache=False), progress, [note] if options.cache else [])


def _cache_folder() -> Path:
    """TwofoldError, a sentence, where it cannot be used."""
    try:
        folder = user_cache_path("twofold")
    except (RuntimeError, KeyError, OSError):
        raise TwofoldError("You have no home folder, and so no cache.") from None
    if not folder.is_absolute():  # made from a HOME or XDG_CACHE_HOME that is not, or from an unknown ~
        raise TwofoldError("You have no home folder with an absolute path, and so no cache.")
    try:
        # Where it is missing, whoever keeps something makes it.
        above = next(place for place in (folder, *folder.parents) if os.path.lexists(place))
        with tempfile.TemporaryFile(dir=above):
            return folder
    except OSError as error:
        raise TwofoldError(f"The cache {without_home(str(folder))} cannot be used ({reason(error)}).") from None


def _temporary_folder() -> Path:
    try:
        return Path(_temporary().name)
    except OSError:  # TMPDIR leads nowhere, either: only what needs a folder fails
        return _NOWHERE


@cache
def _temporary() -> tempfile.TemporaryDirectory[str]:
    """One for the process, so that what was downloaded is there the next time; gone when it ends."""
    return tempfile.TemporaryDirectory(prefix="twofold-", ignore_cleanup_errors=True)
