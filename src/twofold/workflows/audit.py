"""Labelled pictures -> what is wrong with them, without a model being made."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from twofold.audit import LEAST, Against, Audit, audit_sample, fit_learning_curve, folds_of, look_for_shortcuts
from twofold.audit.leakage import find_leakage
from twofold.core.errors import DataError, UsageError
from twofold.core.notes import Note
from twofold.core.options import BackboneOptions, DataOptions, DecisionOptions
from twofold.core.timing import Clock
from twofold.data import (
    FileList,
    LabelledFile,
    Ranges,
    find_table,
    is_archive,
    list_files,
    list_labelled_files,
    read_split,
    read_table,
    walk,
)
from twofold.dataset.labelled import LabelledDataset, labelled_dataset, list_for
from twofold.decision import fit_head
from twofold.duplicates import index_fingerprints
from twofold.embedding import FeatureTable, Runtime, Source
from twofold.networks import choose_dtype, load_backbone, offered_dtypes, ranged

Observe = Callable[[Sequence[Source], str], FeatureTable]


@dataclass(frozen=True, slots=True, eq=False)
class AuditResult:
    """An audit, and what it took."""

    audit: Audit
    seconds: dict[str, float]
    notes: tuple[Note, ...] = field(repr=False)

    def as_json(self) -> dict[str, Any]:
        """The blocks that `audit --json` prints."""
        return {
            "data": self.audit.dataset.as_json(),
            **self.audit.as_json(),
            "seconds": self.seconds,
            "notes": [asdict(note) for note in self.notes],
        }


def audit(
    data: Path,
    image: DataOptions,
    network: BackboneOptions,
    decision: DecisionOptions,
    runtime: Runtime,
    *,
    against: Path | None = None,
    quick: bool = False,
) -> AuditResult:
    """What is wrong with the labelled pictures of DATA, and which of them are `against`, too.

    With `quick` no network looks at them: labels are not judged, and cropped or slightly turned copies are not found.
    Raises DataError where DATA does not hold two classes of pictures.
    """
    clock = Clock()
    file_list = list_labelled_files(data, image)
    others = None if against is None else _others(against, file_list, image)
    with clock("embed"):
        ranges, range_notes = runtime.ranges([item.path for item in file_list.files])
    embed = _without_network(runtime, ranges) if quick else _with_network(network, runtime, ranges)
    with clock("embed"):
        table = embed([item.path for item in file_list.files], "images")
        theirs = None if others is None else embed([item.path for item in others.files], "others")
    with clock("duplicates"):
        dataset = labelled_dataset(file_list, table)
        common = None if others is None or theirs is None else _common(dataset, others, theirs)
    with clock("labels"):
        found = _judged(dataset, decision, common)
    notes = (*range_notes, *found.notes(), *_refused(others, theirs), *runtime.notes)
    return AuditResult(found, clock.seconds(), notes)


def _with_network(options: BackboneOptions, runtime: Runtime, ranges: Ranges) -> Observe:
    dtype = choose_dtype(options, offered_dtypes(options.backbone))
    engine = runtime.engine(
        ranged(load_backbone(options, dtype, cache=runtime.folder, progress=runtime.progress), ranges)
    )
    return lambda sources, what: runtime.embed(sources, engine, what=what)


def _without_network(runtime: Runtime, ranges: Ranges) -> Observe:
    return lambda sources, what: runtime.scan(sources, ranges, what=what)


def _others(against: Path, file_list: FileList, options: DataOptions) -> FileList:
    """The pictures of OTHER as they would be tested on; where it has other classes or none, all of them, as they come."""
    try:
        return list_for(file_list.ordered, against, options)
    except (DataError, UsageError):
        paths = _pictures(against)
    items = tuple(LabelledFile(path, file_list.positive) for path in paths)  # of one class there are no conflicts
    return FileList(items, (), file_list.classes, file_list.positive, ())


def _pictures(against: Path) -> list[Path]:
    """The pictures of OTHER, whatever their classes; a list of them is read as one."""
    if table := find_table(against):
        file, split = table
        return [path for path, *_ in (read_split(file, split) if split else read_table(file))]
    if not (against.exists() or is_archive(against)):
        raise DataError(f"There is no {against}: check the path.")
    files = [met for met in walk(against) if isinstance(met, Path)] if is_archive(against) else list_files([against])
    if not files or files == [against]:
        raise DataError(f"{against} holds no pictures: name a folder, an archive or a CSV file with path,label.")
    return files


def _common(dataset: LabelledDataset, others: FileList, theirs: FeatureTable) -> Against:
    other = LabelledDataset(others, theirs, others.ordered, ())
    own = find_leakage(dataset, index_fingerprints(*other.valid_fingerprints))
    return Against(
        tuple(own.values()), tuple(find_leakage(other, index_fingerprints(*dataset.valid_fingerprints)).values())
    )


def _refused(others: FileList | None, theirs: FeatureTable | None) -> list[Note]:
    counts = Counter(read_error.code for read_error in (theirs.read_errors if theirs else ()) if read_error is not None)
    told = ", ".join(f"{count} {code}" for code, count in sorted(counts.items()))
    text = f"Some files given with --against are no usable pictures, and nothing was compared with them: {told}."
    skipped = [replace(note, text=f"--against: {note.text}") for note in (others.notes if others else ())]
    return [*skipped, *([Note("against-refused", text)] if told else [])]


def _judged(dataset: LabelledDataset, options: DecisionOptions, against: Against | None) -> Audit:
    """With suspects and what more pictures would bring, where there are vectors and enough pictures to fit a head on."""
    rows = np.flatnonzero(dataset.valid)
    if min(dataset.counts.values()) < LEAST:
        return Audit(dataset, rows, None, None, against=against)
    if not dataset.table.features.size:
        return Audit(dataset, rows, None, look_for_shortcuts(dataset, options), against=against)
    parts = folds_of(dataset, rows, options)
    if parts is None:
        return Audit(dataset, rows, None, None, against=against)
    features, labels = dataset.table.features[rows], dataset.labels[rows]
    head = fit_head(features, labels, parts)
    learning_curve = fit_learning_curve(features, labels, parts, head.logits, head.C, dataset.classes)
    return audit_sample(dataset, rows, head.logits, options, learning_curve=learning_curve, against=against)
