"""audit: the problems of labelled images, found without a model."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from twofold.audit import MIN_IMAGES, Against, Audit, assign_folds, audit_dataset, audit_shortcuts, fit_learning_curve
from twofold.audit.leakage import find_leakage
from twofold.core.errors import DataError, UsageError
from twofold.core.notes import Note, count_text
from twofold.core.options import BackboneOptions, CrossValidationOptions, DataOptions
from twofold.core.timing import Clock
from twofold.data import (
    FileList,
    IntensityRanges,
    LabelledFile,
    find_table,
    is_archive,
    list_files,
    list_labelled_files,
    read_split,
    read_table,
    walk,
)
from twofold.dataset.labelled import LabelledDataset, full_images, labelled_dataset, list_test_files
from twofold.decision import fit_head
from twofold.duplicates import FullImages, index_fingerprints
from twofold.embedding import FeatureTable, Runtime, Source
from twofold.networks import choose_dtype, load_backbone, offered_dtypes, with_intensity_ranges
from twofold.workflows.crops import choose_crops
from twofold.workflows.views import note_smallest_detail

Embed = Callable[[Sequence[Source], str], FeatureTable]
"""(sources, their name in the progress bar) -> their feature table."""


@dataclass(frozen=True, slots=True, eq=False)
class AuditResult:
    """The audit, the seconds it took, and its notes."""

    audit: Audit
    seconds: dict[str, float]
    notes: tuple[Note, ...] = field(repr=False)

    def as_json(self) -> dict[str, Any]:
        """The audit as JSON."""
        return {
            "data": self.audit.dataset.as_json(),
            **self.audit.as_json(),
            "seconds": self.seconds,
            "notes": [asdict(note) for note in self.notes],
        }


def audit(
    data: Path,
    data_options: DataOptions,
    network: BackboneOptions,
    cross_validation: CrossValidationOptions,
    runtime: Runtime,
    *,
    against: Path | None = None,
    quick: bool = False,
) -> AuditResult:
    """The audit of the labelled images in DATA, with the duplicates between them and the images of `against`.

    With `quick` no network is used: labels are not checked, and cropped or slightly rotated duplicates are not detected. Raises
    DataError where DATA does not hold two classes of images.
    """
    clock = Clock()
    file_list = list_labelled_files(data, data_options)
    other_list = None if against is None else _list_other(against, file_list, data_options)
    with clock("embed"):
        ranges, range_notes = runtime.ranges(file_list.paths)
    with clock("embed"):
        if quick:
            table, embed, crop_mode_notes = scan_list(file_list, runtime, ranges)
        else:
            table, embed, crop_mode_notes = embed_list(file_list, network, cross_validation, runtime, ranges)
        other_table = None if other_list is None else embed(other_list.paths, "other images")
    with clock("duplicates"):
        dataset = labelled_dataset(file_list, table, full_images(file_list.paths, table, runtime, ranges))
        pairs = None
        if other_list is not None and other_table is not None:
            other_images = full_images(other_list.paths, other_table, runtime, ranges)
            pairs = _compare(dataset, other_list, other_table, other_images)
    with clock("labels"):
        result = _audit_labelled(dataset, cross_validation, pairs)
    embedding_notes = dict.fromkeys((*table.notes, *(other_table.notes if other_table else ())))
    notes = (*range_notes, *crop_mode_notes, *result.notes(), *_other_notes(other_list, other_table), *embedding_notes)
    return AuditResult(result, clock.seconds(), notes)


def embed_list(
    file_list: FileList,
    options: BackboneOptions,
    cross_validation: CrossValidationOptions,
    runtime: Runtime,
    ranges: IntensityRanges,
) -> tuple[FeatureTable, Embed, tuple[Note, ...]]:
    """The feature table of the list with the crops that `train` would choose, and how other images are embedded."""
    dtype = choose_dtype(options, offered_dtypes(options.backbone))
    backbone = load_backbone(options, dtype, cache=runtime.folder, progress=runtime.progress)
    backbone, folds, seed = with_intensity_ranges(backbone, ranges), cross_validation.folds, cross_validation.seed
    choice, sample = choose_crops(file_list, file_list.paths, backbone, options, runtime, folds, seed)
    engine = runtime.engine(choice.apply(backbone))
    known = {} if sample is None else sample.rows_for(engine.backbone)
    table = runtime.embed(file_list.paths, engine, known=known)
    notes = (*choice.notes(), *note_smallest_detail(table.metadata, engine.backbone.preprocessing))
    return table, lambda sources, name: runtime.embed(sources, engine, what=name), notes


def scan_list(
    file_list: FileList, runtime: Runtime, ranges: IntensityRanges
) -> tuple[FeatureTable, Embed, tuple[Note, ...]]:
    """The same without a network: tables without features."""
    table = runtime.scan(file_list.paths, ranges)
    return table, lambda sources, name: runtime.scan(sources, ranges, what=name), ()


def _list_other(against: Path, file_list: FileList, options: DataOptions) -> FileList:
    """The images of OTHER as a test set; where OTHER has other classes or none, all its images in listed order."""
    try:
        return list_test_files(file_list.negative_and_positive, against, options)
    except (DataError, UsageError):
        paths = _list_images(against)
    files = tuple(LabelledFile(path, file_list.positive) for path in paths)  # of one class: no label conflicts
    return FileList(files, (), file_list.classes, file_list.positive, ())


def _list_images(against: Path) -> list[Path]:
    """The images of OTHER; a CSV file of paths is read as a list."""
    if table := find_table(against):
        file, split = table
        return [path for path, *_ in (read_split(file, split)[0] if split else read_table(file))]
    if not (against.exists() or is_archive(against)):
        raise DataError(f"There is no {against}: check the path.")
    entries = walk(against) if is_archive(against) else list_files([against])
    files = [entry for entry in entries if isinstance(entry, Path)]
    if not files or files == [against]:
        raise DataError(f"{against} holds no images: give a folder, an archive or a CSV file with path,label.")
    return files


def _compare(dataset: LabelledDataset, other_list: FileList, other_table: FeatureTable, images: FullImages) -> Against:
    other_dataset = LabelledDataset(other_list, other_table, other_list.negative_and_positive, (), images)
    forward = find_leakage(dataset, index_fingerprints(*other_dataset.usable_fingerprints), other_dataset)
    backward = find_leakage(other_dataset, index_fingerprints(*dataset.usable_fingerprints), dataset)
    return Against(tuple(forward.values()), tuple(backward.values()))


def _other_notes(other_list: FileList | None, other_table: FeatureTable | None) -> list[Note]:
    read_errors = () if other_table is None else other_table.read_errors
    codes = Counter(error.code for error in read_errors if error is not None)
    counts = ", ".join(f"{count} {code}" for code, count in sorted(codes.items()))
    text = f"`against`: skipped {count_text(codes.total(), 'unreadable file')}: {counts}."
    skips = [replace(note, text=f"`against`: {note.text}") for note in (other_list.notes if other_list else ())]
    return [*skips, *([Note("against-skipped", text)] if codes else [])]


def _audit_labelled(dataset: LabelledDataset, options: CrossValidationOptions, against: Against | None) -> Audit:
    """The audit; with label issues and the learning curve where there are features and enough images to fit a head."""
    rows = np.flatnonzero(dataset.valid)
    enough = min(dataset.counts.values()) >= MIN_IMAGES
    folds = assign_folds(dataset, options.folds, options.seed) if enough else None
    if folds is None or not dataset.table.features.size:
        return Audit(dataset, rows, None, audit_shortcuts(dataset, folds), against=against)
    features, labels = dataset.table.features[rows], dataset.labels[rows]
    head = fit_head(features, labels, folds)
    learning_curve = fit_learning_curve(features, labels, folds, head.logits, head.C, dataset.classes)
    return audit_dataset(dataset, rows, head.logits, folds, learning_curve=learning_curve, against=against)
