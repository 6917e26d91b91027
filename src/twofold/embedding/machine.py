"""What a run may use of the machine: processors, and a folder to remember in."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from twofold.data import Note, Ranges
from twofold.embedding.backbone import Backbone
from twofold.embedding.content import Source
from twofold.embedding.depth import find_ranges
from twofold.embedding.engine import Engine
from twofold.embedding.examine import examine
from twofold.embedding.observe import observe
from twofold.embedding.probes import Probes
from twofold.embedding.store import Store
from twofold.embedding.table import Table, tabulate
from twofold.embedding.watch import Watch, unwatched
from twofold.options import EngineOptions


@dataclass(frozen=True, slots=True)
class Machine:
    """`folder` keeps downloaded weights and, with `options.cache`, compiled networks and vectors.

    `notes` collects what went wrong there.
    """

    folder: Path
    options: EngineOptions = field(default_factory=EngineOptions)
    watch: Watch = unwatched
    notes: list[Note] = field(default_factory=list)

    def engine(self, backbone: Backbone, probes: Probes | None = None) -> Engine:
        """An engine for the backbone, whose fast arithmetic must give the logits of `probes`, where there are any."""
        compiled = self.folder / "compiled" if self.options.cache else None
        return Engine(backbone, threads=self.options.threads, cache=compiled, probes=probes)

    def observe(self, sources: Sequence[Source], engine: Engine, *, what: str = "pictures") -> Table:
        """The table of all sources, in their order."""
        with self._store() as store:
            observations = observe(sources, engine, store, max_pixels=self.options.max_pixels)
            with closing(observations) as stream:  # at an interruption, too, nothing is left running
                table = tabulate(self.watch(stream, len(sources), what), len(sources))
        self.notes.extend(note for note in engine.notes if note not in self.notes)
        return table

    def ranges(self, sources: Sequence[Source]) -> tuple[Ranges, list[Note]]:
        """Black and white for the sources that have more than eight bits, and notes that tell them."""
        threads, most = self.options.threads, self.options.max_pixels
        return find_ranges(sources, threads=threads, max_pixels=most, watch=self.watch)

    def examine(self, sources: Sequence[Source], ranges: Ranges | None = None, *, what: str = "pictures") -> Table:
        """The table of all sources, in their order, with vectors that hold no number; `ranges` are by default their own."""
        ranges = self.ranges(sources)[0] if ranges is None else ranges
        threads, most = self.options.threads, self.options.max_pixels
        observations = examine(sources, threads=threads, max_pixels=most, ranges=ranges)
        with closing(observations) as stream:
            return tabulate(self.watch(stream, len(sources), what), len(sources))

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
