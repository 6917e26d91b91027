"""The runtime: the threads, the cache folder and the progress of a run."""

import os
import sqlite3
import tempfile
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Final

from twofold.core.errors import TwofoldError
from twofold.core.files import reason
from twofold.core.notes import Note
from twofold.core.options import RuntimeOptions
from twofold.core.privacy import without_home
from twofold.core.progress import Progress, no_progress
from twofold.data import IntensityRanges, Preprocessing
from twofold.embedding.content import Source
from twofold.embedding.embed import embed_counted
from twofold.embedding.engine import Engine
from twofold.embedding.feature_table import FeatureRow, FeatureTable, collect_features
from twofold.embedding.intensity_scan import find_ranges
from twofold.embedding.probes import Probes
from twofold.embedding.scan import scan
from twofold.embedding.store import Store
from twofold.networks import Backbone


@dataclass(frozen=True, slots=True)
class Runtime:
    """The runtime of a workflow. `folder` is the cache of downloaded weights and, with `options.cache`, of compiled networks and
    feature rows.

    `notes` are from the creation of the runtime. Every table starts with them; later notes are in the tables only.
    `on_embedded` is called for each chunk of feature rows, with the number of those that were not in the cache.
    """

    folder: Path
    options: RuntimeOptions = field(default_factory=RuntimeOptions)
    progress: Progress = no_progress
    notes: tuple[Note, ...] = ()
    on_embedded: Callable[[Sequence[FeatureRow], int, Preprocessing], None] | None = None

    def engine(self, backbone: Backbone, probes: Probes | None = None) -> Engine:
        """An engine for the backbone. Where `probes` are given, a fast dtype is used only if it reproduces their logits."""
        compiled = self.folder / "compiled" if self.options.cache else None
        return Engine(backbone, threads=self.options.threads, cache=compiled, probes=probes)

    def embed_rows(self, sources: Sequence[Source], engine: Engine, *, what: str) -> list[FeatureRow]:
        """The feature rows of all sources, in their order."""
        with closing(self.embed_chunks(sources, engine, lambda note: None)) as chunks:
            return list(self.progress((row for chunk in chunks for row in chunk), len(sources), what))

    def embed(
        self,
        sources: Sequence[Source],
        engine: Engine,
        *,
        what: str = "images",
        known: Mapping[int, FeatureRow] = MappingProxyType({}),
    ) -> FeatureTable:
        """The feature table of all sources, in their order; `known` has the rows that exist already, by source number."""
        notes = list(self.notes)
        # No threads are left after an interruption, either.
        unknown = [source for number, source in enumerate(sources) if number not in known]
        with closing(self.embed_chunks(unknown, engine, notes.append)) as chunks:
            new = (row for chunk in chunks for row in chunk)
            rows = self.progress(_merge(known, new, len(sources)), len(sources), what)
            preprocessing = engine.backbone.preprocessing
            table = collect_features(rows, len(sources), preprocessing.pool)
        return replace(table, notes=(*notes, *engine.notes), moments=preprocessing.moments)

    def embed_chunks(
        self, sources: Iterable[Source], engine: Engine, add_note: Callable[[Note], None]
    ) -> Generator[list[FeatureRow]]:
        """The feature rows of all sources, up to 64 at a time; `add_note` is called where the cache cannot be used."""
        with (
            self._store(add_note) as store,
            closing(embed_counted(sources, engine, store, max_pixels=self.options.max_pixels)) as chunks,
        ):
            for rows, new in chunks:
                if self.on_embedded is not None:
                    self.on_embedded(rows, new, engine.backbone.preprocessing)
                yield rows

    def ranges(self, sources: Sequence[Source]) -> tuple[IntensityRanges, list[Note]]:
        """The intensity ranges of the sources that have more than eight bits, and notes that state them."""
        threads, max_pixels = self.options.threads, self.options.max_pixels
        return find_ranges(sources, threads=threads, max_pixels=max_pixels, progress=self.progress)

    def scan(
        self, sources: Sequence[Source], ranges: IntensityRanges | None = None, *, what: str = "images"
    ) -> FeatureTable:
        """The feature table of all sources, in their order, with no features; `ranges` are by default those of the sources."""
        ranges = self.ranges(sources)[0] if ranges is None else ranges
        threads, max_pixels = self.options.threads, self.options.max_pixels
        with closing(scan(sources, threads=threads, max_pixels=max_pixels, ranges=ranges)) as rows:
            table = collect_features(self.progress(rows, len(sources), what), len(sources))
        return replace(table, notes=self.notes)

    @contextmanager
    def _store(self, add_note: Callable[[Note], None]) -> Iterator[Store | None]:
        if not self.options.cache:
            yield None
            return
        path = self.folder / "features.sqlite"
        try:
            store = Store(path)
        except (sqlite3.Error, OSError) as error:
            add_note(_unusable(path, str(error)))
            yield None
            return
        with store:
            yield store
        if store.fault is not None:
            add_note(_unusable(path, store.fault))


def _merge(known: Mapping[int, FeatureRow], new: Iterator[FeatureRow], count: int) -> Iterator[FeatureRow]:
    """`count` rows in order: the known ones, and the new ones in between."""
    for number in range(count):
        yield known[number] if number in known else next(new)
    yield from new  # nothing more, but its end reports on the cache


def _unusable(path: Path, fault: str) -> Note:
    text = f"The cache {path} cannot be used ({fault}), so images were embedded again."
    return Note("cache-unusable", f"{text} Delete that file, or use `cache=False`.")


_NOWHERE: Final = Path(os.devnull) / "twofold"  # where no folder can be created


def cached_runtime(
    find_folder: Callable[[], Path], options: RuntimeOptions, progress: Progress = no_progress
) -> Runtime:
    """The runtime with the cache folder that `find_folder` returns: only the faces read the environment.

    Where that folder cannot be used, nothing is cached, and a note says so. Downloads then go into a temporary folder, which is
    deleted when the process ends.
    """
    try:
        return Runtime(_check_folder(find_folder), options, progress)
    except TwofoldError as error:
        advice = "set XDG_CACHE_HOME to a folder that you can write to"
        note = Note("cache-unusable", f"{error} Nothing is kept between runs: {advice}.")
        return Runtime(_temporary_folder(), replace(options, cache=False), progress, (note,) if options.cache else ())


def _check_folder(find_folder: Callable[[], Path]) -> Path:
    """The cache folder. TwofoldError where it cannot be used."""
    try:
        folder = find_folder()
    except (RuntimeError, KeyError, OSError):
        raise TwofoldError("There is no home folder for a cache.") from None
    if not folder.is_absolute():  # as the user's home may be, or an unknown ~user
        raise TwofoldError("There is no home folder with an absolute path for a cache.")
    try:
        # Where it is missing, the first to store something creates it.
        existing = next(path for path in (folder, *folder.parents) if os.path.lexists(path))
        with tempfile.TemporaryFile(dir=existing):
            return folder
    except OSError as error:
        raise TwofoldError(f"The cache {without_home(str(folder))} cannot be used ({reason(error)}).") from None


def _temporary_folder() -> Path:
    try:
        return Path(_temporary().name)
    except OSError:  # no temporary files either: only code that needs a folder fails
        return _NOWHERE


@cache
def _temporary() -> tempfile.TemporaryDirectory[str]:
    """One folder for the process, so that nothing is downloaded twice; deleted when the process ends."""
    return tempfile.TemporaryDirectory(prefix="twofold-", ignore_cleanup_errors=True)
