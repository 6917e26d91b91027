"""split: a training and a test part of labelled images, as lists. Groups stay together, and no image is moved or copied."""

import csv
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from twofold.audit import MIN_IMAGES
from twofold.core.errors import UsageError
from twofold.core.files import check_replaceable, check_writable, write_errors
from twofold.core.notes import Note
from twofold.core.options import BackboneOptions, CrossValidationOptions, DataOptions
from twofold.core.timing import Clock
from twofold.data import list_labelled_files
from twofold.data.image_lists import check_cells, open_list
from twofold.dataset import split as assign_parts
from twofold.dataset.labelled import LabelledDataset, full_images, labelled_dataset
from twofold.embedding import Runtime
from twofold.workflows.audit import embed_list, scan_list

PARTS: Final = ("train", "test")
_HEADER: Final = "path,label"
_MAX_DEVIATION: Final = 0.2  # of the fraction of a class, relative: above it a note says so
_MAX_NAMED: Final = 5


@dataclass(frozen=True, slots=True, eq=False)
class SplitResult:
    """The files written, and for each part its number of images of each class and of groups."""

    dataset: LabelledDataset
    files: dict[str, Path]  # by part
    counts: dict[str, dict[str, int]]  # by part and class
    groups: dict[str, int]  # by part
    seconds: dict[str, float]
    notes: tuple[Note, ...] = field(repr=False)

    def as_json(self) -> dict[str, Any]:
        """The result as JSON."""
        parts = {
            part: {"file": str(self.files[part]), "counts": self.counts[part], "groups": self.groups[part]}
            for part in PARTS
        }
        return {
            "data": self.dataset.as_json(),
            **parts,
            "seconds": self.seconds,
            "notes": [asdict(note) for note in self.notes],
        }


def split(
    data: Path,
    out: Path,
    fraction: float,
    options: DataOptions,
    runtime: Runtime,
    *,
    seed: int = 0,
    quick: bool = False,
    force: bool = False,
) -> SplitResult:
    """Writes train.csv and test.csv into the folder `out`: a test part of this fraction of each class, and the rest.

    Duplicates, images that show the same object, and images of one group in DATA are in one part. With `quick` no network is
    used, and cropped or slightly rotated duplicates are not detected. Raises UsageError for an illegal fraction and where the
    files cannot be written or exist and `force` is False; DataError where a part would lack a class.
    """
    _check_fraction(fraction)
    CrossValidationOptions(seed=seed)  # refuses an illegal seed
    files = {part: out / f"{part}.csv" for part in PARTS}
    _check_output(out, files, force=force)
    clock = Clock()
    dataset, embedding_notes = _read(data, options, runtime, clock, quick=quick)
    dataset.check_counts(2)
    rows, what = np.flatnonzero(dataset.valid), "a training and a test part"
    in_test = assign_parts(dataset.names[rows], dataset.groups[rows], fraction, seed, what=what, option="test")
    part_rows = dict(zip(PARTS, (rows[~in_test], rows[in_test]), strict=True))
    _write(dataset, part_rows, files)
    counts = {part: _count(dataset, part_rows[part]) for part in PARTS}
    notes = (*_data_notes(dataset), *_part_notes(dataset, counts, fraction), *embedding_notes)
    group_counts = {part: len(np.unique(dataset.groups[part_rows[part]])) for part in PARTS}
    return SplitResult(replace(dataset, images=None), files, counts, group_counts, clock.seconds(), notes)


def _check_fraction(fraction: float) -> None:
    if not 0 < fraction < 1:
        raise UsageError(
            f"`test` must be a fraction between 0 and 1, got {fraction:g}; a quarter of the images is written 0.25."
        )


def _check_output(out: Path, files: Mapping[str, Path], *, force: bool) -> None:
    """Raises UsageError where the files cannot be written. Call it before long work."""
    if out.exists() and not out.is_dir():
        raise UsageError(f"`out` must be a folder for two lists, but {out} is a file; give another path.")
    for file in files.values():
        check_writable(file)
        if out.is_dir():
            check_replaceable(file, _HEADER, "list of images", force=force)


def _read(
    data: Path, options: DataOptions, runtime: Runtime, clock: Clock, *, quick: bool
) -> tuple[LabelledDataset, tuple[Note, ...]]:
    """The labelled images with their duplicates, as `audit` finds them."""
    file_list = list_labelled_files(data, options)
    with clock("embed"):
        ranges, range_notes = runtime.ranges(file_list.paths)
        if quick:
            table, _, notes = scan_list(file_list, runtime, ranges)
        else:
            table, _, notes = embed_list(file_list, BackboneOptions(), CrossValidationOptions(), runtime, ranges)
    with clock("duplicates"):
        dataset = labelled_dataset(file_list, table, full_images(file_list.paths, table, runtime, ranges))
    return dataset, (*range_notes, *notes, *table.notes)


def _count(dataset: LabelledDataset, rows: NDArray[np.intp]) -> dict[str, int]:
    counts = Counter(dataset.names[rows].tolist())
    return {name: counts[name] for name in sorted(dataset.classes)}


def _write(dataset: LabelledDataset, part_rows: Mapping[str, NDArray[np.intp]], files: Mapping[str, Path]) -> None:
    """Writes the list of each part, both or none. A group has a name where it has several images, or is given in DATA."""
    folder = files["train"].parent
    names = _group_names(dataset)
    paths = [_listed_path(path, folder) for path in dataset.paths]
    rows = np.concatenate(list(part_rows.values())).tolist()
    check_cells([*dataset.classes, *filter(None, names), *(paths[row] for row in rows)])
    columns = ("path", "label", "group") if any(names[row] for row in rows) else ("path", "label")
    with write_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with open_list(files["train"]) as train, open_list(files["test"]) as test:
        for part, file in zip(PARTS, (train, test), strict=True):
            # With csv's default line ends: with others, a name with a carriage return is not quoted.
            writer = csv.writer(file)
            writer.writerow(columns)
            cells = ((paths[row], dataset.names[row], names[row]) for row in part_rows[part].tolist())
            writer.writerows(row[: len(columns)] for row in cells)


def _listed_path(path: str, folder: Path) -> str:
    """The path relative to the folder of the list where it is below, so that both may be moved together; else absolute."""
    absolute, root = os.path.abspath(path), os.path.abspath(folder)
    return os.path.relpath(absolute, root) if absolute.startswith(root.rstrip(os.sep) + os.sep) else absolute


def _group_names(dataset: LabelledDataset) -> list[str]:
    """The name of the group of each usable image: that in DATA, or a numbered one; empty for an image that is alone."""
    given = [dataset.file_list.files[row].group for row in dataset.table.used.tolist()]
    groups = dataset.groups.tolist()
    sizes, prefix = Counter(groups), "duplicates-"
    while any(name is not None and name.startswith(prefix) for name in given):
        prefix += "-"
    first: dict[int, str] = {}
    for group, name in zip(groups, given, strict=True):
        if name is not None:
            first.setdefault(group, name)  # images of one given group are always in one group
    return [first.get(group) or (f"{prefix}{group}" if sizes[group] > 1 else "") for group in groups]


def _data_notes(dataset: LabelledDataset) -> list[Note]:
    """What was skipped, and which duplicates are kept together."""
    notes = [note for note in dataset.notes() if note.code not in ("duplicates", "near-duplicates-across-folds")]
    counts = dataset.duplicate_counts()
    if counts and dataset.keeps_near_duplicates_apart:
        text = (
            f"{counts}. Only exact duplicates are kept in one part, because with near ones a class would have too few groups. If "
            "near duplicates show the same objects, scores of the test part are too high: give a CSV file with a column 'group'."
        )
        notes.append(Note("near-duplicates-across-parts", text))
    elif counts:
        notes.append(Note("duplicates", f"{counts}. Each group of them is in one part."))
    return notes


def _part_notes(dataset: LabelledDataset, counts: Mapping[str, Mapping[str, int]], fraction: float) -> list[Note]:
    """What is odd about the parts: too few images to train on, or a fraction that large groups do not allow."""
    notes = []
    few = [f"{count} {name}" for name, count in counts["train"].items() if count < MIN_IMAGES]
    if few:
        text = f"The training part has only {' and '.join(few)}; training needs at least {MIN_IMAGES} images of each class."
        notes.append(Note("few-images-to-train", text))
    fractions = {name: counts["test"][name] / count for name, count in dataset.counts.items()}
    odd = [
        f"{100 * actual:.0f}% of {name}"
        for name, actual in fractions.items()
        if abs(actual - fraction) > max(_MAX_DEVIATION * fraction, 1 / dataset.counts[name])
    ]
    if odd:
        text = (
            f"The test part has {' and '.join(odd)} instead of {100 * fraction:g}%, because groups are kept together."
        )
        notes.append(Note("uneven-parts", text))
    return notes
