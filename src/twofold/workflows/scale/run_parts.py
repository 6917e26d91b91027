"""A run into a folder of parts: plan, compute what is not finished, look for further paths."""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from twofold.core.errors import DataError
from twofold.core.notes import Note
from twofold.core.options import EngineName
from twofold.core.progress import Progress
from twofold.workflows.scale.engines.local_engine import LocalEngine
from twofold.workflows.scale.engines.ray_engine import RayEngine
from twofold.workflows.scale.engines.worker import Job, PartDone
from twofold.workflows.scale.output_folder import open_output
from twofold.workflows.scale.part_files import finished_parts, is_whole, part_name
from twofold.workflows.scale.plan import PART, Part, new_lines, plan_files, read_parts, write_plan
from twofold.workflows.scale.row_format import RowComputer, RowFormat
from twofold.workflows.scale.sources.path_list import check_sources, list_paths
from twofold.workflows.scale.sources.remote_files import is_remote


class PartEngine(Protocol):
    """What computes parts: each is yielded once it is on the disk, in any order."""

    def run(self, parts: Sequence[Part]) -> Iterator[PartDone]: ...


_ENGINES: Final[Mapping[EngineName, Callable[[Job], AbstractContextManager[PartEngine]]]] = {
    "local": LocalEngine,
    "ray": RayEngine,
}


@dataclass(frozen=True, slots=True)
class PartsResult:
    """What a run did: the number of `images` and `parts` in the folder, how many parts were `finished_before`, and for the images
    of this run their number for each reason, None for those with a label, and the notes on them."""

    folder: Path
    images: int
    parts: int
    finished_before: int
    reasons: Mapping[str | None, int]
    notes: tuple[Note, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """The result as a JSON record."""
        reasons = {reason: count for reason, count in sorted(self.reasons.items(), key=str) if reason is not None}
        return {
            "folder": str(self.folder),
            "images": self.images,
            "parts": self.parts,
            "finished_before": self.finished_before,
            "labelled": self.reasons.get(None, 0),
            "reasons": reasons,
            "notes": [asdict(note) for note in self.notes],
        }


def compute_parts(
    sources: Sequence[str],
    out: Path,
    open_computer: Callable[[], AbstractContextManager[RowComputer[Any]]],
    row_format: RowFormat[Any],
    model: str,
    record: Mapping[str, Any],
    engine: EngineName,
    progress: Progress,
    *,
    threads: int | None = None,
) -> PartsResult:
    """Computes a row for each image of the sources into the folder `out`, and only those that are not finished there.

    `open_computer` is called in each worker, `model` is the SHA-256 of what it opens, and `record` is what the rows depend on.
    The paths are listed once, and are the plan. A later run first computes the rest of the plan, then lists the sources again:
    further paths become further parts, and paths that are gone stay as rows. Raises what `list_paths` and `open_output` raise.
    """
    check_sources(sources)
    relative = any(not os.path.isabs(source) and not is_remote(source) for source in sources)
    record = {**record, "working_folder": str(Path.cwd()) if relative else None}
    with (
        open_output(out, record) as folder,
        _ENGINES[engine](Job(open_computer, row_format, model, folder.resolve(), threads)) as running,
    ):
        planned_before = bool(plan_files(out))
        if not planned_before:
            write_plan(out, list_paths(sources))
        parts = read_parts(out, model)
        unfinished = unfinished_parts(parts, folder, row_format)
        finished_before = len(parts) - len(unfinished)
        reasons: Counter[str | None] = Counter()
        notes: dict[Note, None] = {}
        _compute(running, unfinished, progress, reasons, notes)
        if planned_before and (new := new_lines(out, list_paths(sources))):
            write_plan(out, new)
            further = read_parts(out, model)[len(parts) :]
            _compute(running, further, progress, reasons, notes)
            parts += further
    return PartsResult(out, sum(part.count for part in parts), len(parts), finished_before, reasons, tuple(notes))


def _compute(
    engine: PartEngine,
    parts: Sequence[Part],
    progress: Progress,
    reasons: "Counter[str | None]",
    notes: dict[Note, None],
) -> None:
    """Computes the parts, counts the reasons, and adds the notes, each once."""
    finished: Iterable[PartDone] = progress(engine.run(parts), len(parts), f"parts of {PART} images") if parts else ()
    for part in finished:
        reasons.update(part.reasons)
        notes |= dict.fromkeys(part.notes)


def unfinished_parts(parts: Sequence[Part], folder: Path, row_format: RowFormat[Any]) -> list[Part]:
    """The parts without a whole file. Raises DataError where the folder has files that are of no part."""
    names = finished_parts(folder)
    foreign = sorted(names.difference(part_name(part.digest) for part in parts))
    if foreign:
        raise DataError(
            f"{folder} holds files that are of no part of its plan ({', '.join(foreign[:3])}): move them, or give another folder."
        )
    return [
        part
        for part in parts
        if part_name(part.digest) not in names or not is_whole(folder, part.digest, part.count, row_format)
    ]
