"""The audit of any number of files: a row for each in a folder of parts, and the duplicates among them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from twofold.core.errors import UsageError
from twofold.core.hints import require
from twofold.core.options import EngineName, RuntimeOptions
from twofold.core.parallel import available_processors
from twofold.core.progress import Progress
from twofold.data import ReadError, find_table, open_grey
from twofold.duplicates import FullImages, GreyImage
from twofold.embedding import read_content
from twofold.workflows.scale.duplicate_groups import DuplicateSummary, summarize
from twofold.workflows.scale.part_duplicates import find_part_duplicates, write_pairs
from twofold.workflows.scale.part_files import PARTS
from twofold.workflows.scale.plan import read_parts
from twofold.workflows.scale.run_parts import PartsResult, compute_parts
from twofold.workflows.scale.scan_rows import ImageScanner, ScanFormat
from twofold.workflows.scale.scanned_parts import ScannedParts
from twofold.workflows.scale.sources.object_reader import ObjectReader

DUPLICATES: Final = "duplicates.parquet"


@dataclass(frozen=True, slots=True)
class PartsAudit:
    """The run that made the parts, the number of images that could not be read for each reason, and the duplicates."""

    run: PartsResult
    read_errors: dict[str, int]
    duplicates: DuplicateSummary

    def as_json(self) -> dict[str, Any]:
        """The audit as a JSON record."""
        run = self.run.as_json()
        return {
            **{name: run[name] for name in ("folder", "images", "parts", "finished_before")},
            "read_errors": self.read_errors,
            **self.duplicates.as_json(),
            "notes": run["notes"],
        }


def audit_parts(
    data: str, out: Path, engine: EngineName, runtime_options: RuntimeOptions, progress: Progress
) -> PartsAudit:
    """Scans the images of DATA into the folder `out`, without labels and without a network; see `compute_parts`.

    The parts are kept. The duplicates are computed from all of them at the end of each run, in this process, and candidates are
    opened again.
    """
    require("A run with an engine", "pyarrow", extra="scale")
    if find_table(Path(data)) is not None:
        raise UsageError(
            f"{data} is a table with labels, which `engine` does not read: give folders, or a text or Parquet list of paths."
        )
    scanner = ImageScanner(runtime_options)
    model, record, threads = scanner.digest(), scanner.record(), runtime_options.threads
    run = compute_parts([data], out, scanner, ScanFormat(), model, record, engine, progress, threads=threads)
    return PartsAudit(run, *audit_finished_parts(out, model, runtime_options, progress))


def audit_finished_parts(
    out: Path, model: str, options: RuntimeOptions, progress: Progress
) -> tuple[dict[str, int], DuplicateSummary]:
    """The number of images that could not be read for each reason, and the duplicates, which are written, too. All parts of the
    plan in `out` are finished."""
    parts = ScannedParts(out / PARTS, read_parts(out, model), progress)
    keys = parts.keys()
    with ObjectReader() as reader:
        duplicates = find_part_duplicates(parts, keys, _full_images(parts, reader, options), out)
    paths = parts.paths()
    write_pairs(duplicates, paths, out / DUPLICATES)
    return keys.read_errors, summarize(duplicates, paths)


def _full_images(parts: ScannedParts, reader: ObjectReader, options: RuntimeOptions) -> FullImages:
    """The images of the plan at full size, read again by their paths."""

    def load(row: int) -> GreyImage | None:
        source = reader.read(parts.path(row))
        content = source if isinstance(source, ReadError) else read_content(source)
        if isinstance(content, ReadError):
            return None
        grey = open_grey(content.source, max_pixels=options.max_pixels)
        return None if isinstance(grey, ReadError) else GreyImage(grey[0], grey[1] or None)

    return FullImages(load, options.threads or available_processors())
