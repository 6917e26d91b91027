"""The labelled dataset of a folder with features: its labels come from DATA, everything else from the parts."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
from numpy.typing import NDArray

from twofold.core.errors import DataError
from twofold.core.notes import Note, count_text
from twofold.core.progress import Progress
from twofold.data import SMALL, FileList, ReadError, ReviewDecisions, Skip, with_decisions
from twofold.dataset.labelled import LabelledDataset
from twofold.duplicates import Fingerprints, find_duplicates
from twofold.embedding import FeatureTable, Metadata
from twofold.workflows.scale.feature_folder import FeatureFolder, key_of_file
from twofold.workflows.scale.feature_rows import FEATURES, features_of
from twofold.workflows.scale.fingerprint_columns import fingerprint_fields, metadata_of, thumbnails_of
from twofold.workflows.scale.mapped_array import mapped_array

_THUMBNAIL: Final = "thumbnail"
_MAX_NAMED: Final = 3
_UNREAD: Final = "It could not be read when its features were to be computed."


@dataclass(frozen=True, slots=True)
class ImageRow:
    """Where the row of a labelled file is, and what it has; a read error instead of metadata."""

    part: int
    row: int
    metadata: Metadata | None = field(repr=False)
    read_error: ReadError | None = None


def labelled_parts(
    file_list: FileList,
    folder: FeatureFolder,
    scratch: Path,
    progress: Progress,
    decisions: ReviewDecisions | None = None,
) -> LabelledDataset:
    """The dataset of the labelled files that have a row in the folder; its features and thumbnails lie in files of `scratch`.

    Features are float16 (used, d). Images without label conflicts come first, so that those of a fit are one range. Raises
    DataError where no file has a row, or a part cannot be read.
    """
    file_list, rows = _with_rows(file_list, _find_rows(file_list, folder, progress), folder)
    if decisions is not None:
        file_list, rows = _reviewed(file_list, rows, decisions)
    plain = LabelledDataset(file_list, _table(rows), file_list.negative_and_positive, ())
    file_list, rows = _conflicts_last(plain, rows)
    features, thumbnails = _read_arrays(rows, folder, scratch, progress)
    moments = folder.bundle.model.backbone.preprocessing.moments
    table = replace(_table(rows), features=features, thumbnails=thumbnails, moments=moments)
    keys = [(row.metadata.sha256, row.metadata.pixel_key) for row in rows if row.metadata is not None]
    duplicates = find_duplicates(Fingerprints(keys, thumbnails))
    return LabelledDataset(file_list, table, file_list.negative_and_positive, tuple(duplicates))


def _find_rows(file_list: FileList, folder: FeatureFolder, progress: Progress) -> list[ImageRow | None]:
    """The row of each file, None where it has none."""
    numbers = {key_of_file(file.path): number for number, file in enumerate(file_list.files)}
    rows: list[ImageRow | None] = [None] * len(file_list.files)
    columns = ["path", "reason", *(name for name in fingerprint_fields() if name != _THUMBNAIL)]
    tables = progress(folder.tables(columns), len(folder.parts), "labelled rows")
    for part, table in enumerate(tables):
        keys = map(folder.key, table["path"].to_pylist())
        labelled = {row: number for row, key in enumerate(keys) if (number := numbers.pop(key, None)) is not None}
        if labelled:
            plain = table.take(list(labelled)).to_pydict()
            for (row, number), reason, metadata in zip(
                labelled.items(), plain["reason"], metadata_of(plain), strict=True
            ):
                error = ReadError(cast(Any, reason), _UNREAD) if metadata is None else None
                rows[number] = ImageRow(part, row, metadata, error)
    return rows


def _with_rows(
    file_list: FileList, rows: Sequence[ImageRow | None], folder: FeatureFolder
) -> tuple[FileList, list[ImageRow]]:
    """The files that have a row, and their rows; a note says how many have none."""
    paths = [str(file.path) for file, row in zip(file_list.files, rows, strict=True) if row is None]
    if len(paths) == len(rows):
        raise DataError(
            f"None of the {count_text(len(rows), 'labelled file')} has features in {folder.path}, such as {paths[0]}: give "
            "labels of images that were predicted into it, under the same paths."
        )
    files = tuple(file for file, row in zip(file_list.files, rows, strict=True) if row is not None)
    if not paths:
        return file_list, [row for row in rows if row is not None]
    text = f"Skipped {count_text(len(paths), 'file')} without saved features, such as {', '.join(paths[:_MAX_NAMED])}."
    skips = [Skip(Path(path), "no-features", f"It has no features in {folder.path}.") for path in paths]
    notes = (*file_list.notes, Note("skipped-no-features", text))
    file_list = replace(file_list, files=files, skips=(*file_list.skips, *skips), notes=notes)
    return file_list, [row for row in rows if row is not None]


def _reviewed(
    file_list: FileList, rows: Sequence[ImageRow], decisions: ReviewDecisions
) -> tuple[FileList, list[ImageRow]]:
    """The files with the labels of a review, without those that were excluded, and the rows of these."""
    by_path = dict(zip(file_list.paths, rows, strict=True))
    hashes = [None if row.metadata is None else row.metadata.sha256 for row in rows]
    file_list = with_decisions(file_list, hashes, decisions)
    return file_list, [by_path[path] for path in file_list.paths]


def _table(rows: Sequence[ImageRow]) -> FeatureTable:
    """The feature table of the rows without features and thumbnails."""
    used = sum(row.metadata is not None for row in rows)
    arrays = np.empty((used, 0), np.float32), np.empty((0, SMALL, SMALL, 3), np.uint8)
    return FeatureTable(tuple(row.metadata for row in rows), tuple(row.read_error for row in rows), *arrays)


def _conflicts_last(dataset: LabelledDataset, rows: Sequence[ImageRow]) -> tuple[FileList, list[ImageRow]]:
    """The file list and its rows with those first that are used and without label conflicts."""
    used, valid = dataset.table.used, dataset.valid
    unused = np.setdiff1d(np.arange(len(rows)), used)
    order = np.concatenate([used[valid], used[~valid], unused]).tolist()
    files = tuple(dataset.file_list.files[number] for number in order)
    return replace(dataset.file_list, files=files), [rows[number] for number in order]


def _read_arrays(
    rows: Sequence[ImageRow], folder: FeatureFolder, scratch: Path, progress: Progress
) -> tuple[NDArray[np.float16], NDArray[np.uint8]]:
    """Features (used, d) and thumbnails (used, SMALL, SMALL, 3) of the usable rows, in their order."""
    usable = [row for row in rows if row.metadata is not None]
    if not usable:
        return np.empty((0, folder.width), np.float16), np.empty((0, SMALL, SMALL, 3), np.uint8)
    places = np.array([(row.part, row.row) for row in usable], np.int64)
    features = mapped_array(scratch, (len(usable), folder.width), np.float16)
    thumbnails = mapped_array(scratch, (len(usable), SMALL, SMALL, 3), np.uint8)
    order = np.argsort(places[:, 0], kind="stable")
    parts, starts = np.unique(places[order, 0], return_index=True)
    groups = zip(parts.tolist(), np.split(order, starts[1:]), strict=True)
    for part, targets in progress(groups, len(parts), "features"):
        table: Any = folder.table(part, [FEATURES, _THUMBNAIL]).take(places[targets, 1])
        features[targets] = features_of(table[FEATURES])
        thumbnails[targets] = thumbnails_of(table[_THUMBNAIL])
    return features, thumbnails
