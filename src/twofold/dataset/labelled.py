"""The labelled dataset: the feature table of labelled files, with their duplicates, groups and label conflicts."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from twofold.core.arrays import take_rows
from twofold.core.notes import Note, count_text
from twofold.core.options import DataOptions
from twofold.core.parallel import available_processors
from twofold.data import (
    NO_RANGES,
    FileList,
    IntensityRanges,
    ReadError,
    check_counts,
    check_same_classes,
    list_labelled_files,
    open_grey,
)
from twofold.dataset.folds import duplicate_groups, join_groups
from twofold.duplicates import Duplicate, DuplicateKind, Fingerprints, FullImages, GreyImage, Keys, find_duplicates
from twofold.embedding import Engine, FeatureTable, Runtime, Source, read_content

# Near duplicates share a group unless a class would have fewer groups than this, or than half of its groups by exact duplicates.
_MIN_GROUPS: Final = 10
_MIN_FOLDS: Final = 5
_KINDS: Final[dict[DuplicateKind, str]] = {"exact": "exact", "pixels": "with equal pixels", "near": "near"}


@dataclass(frozen=True, eq=False)
class LabelledDataset:
    """A labelled dataset. `table` has one row per file of `file_list`; the columns below have one entry per usable image, in that
    order.

    Each column is computed once.
    """

    file_list: FileList
    table: FeatureTable
    classes: tuple[str, str]  # (negative, positive)
    duplicates: tuple[Duplicate, ...] = field(repr=False)
    images: FullImages | None = field(default=None, repr=False)  # the usable images, where they can be read again

    @cached_property
    def paths(self) -> list[str]:
        """The path of each image, (used,)."""
        files = self.file_list.files
        return [str(files[row].path) for row in self.table.used.tolist()]

    @cached_property
    def labels(self) -> NDArray[np.int8]:
        """1 for the positive class, (used,)."""
        positive = self.classes[1]
        return np.array([self.file_list.files[row].label == positive for row in self.table.used.tolist()], np.int8)

    @cached_property
    def names(self) -> NDArray[np.str_]:
        """The class of each image, (used,)."""
        return np.asarray(self.classes, np.str_)[self.labels]

    @cached_property
    def fingerprints(self) -> Fingerprints:
        """The fingerprints of the images, by which duplicates are detected."""
        return fingerprints_of(self.table)

    @cached_property
    def usable_fingerprints(self) -> tuple[list[str], Fingerprints]:
        """Paths and fingerprints of the images without label conflicts."""
        rows, fingerprints = np.flatnonzero(self.valid), self.fingerprints
        if len(rows) == len(self.paths):
            return self.paths, fingerprints
        features = None if fingerprints.features is None else take_rows(fingerprints.features, rows)
        keys = [fingerprints.keys[row] for row in rows.tolist()]
        return [self.paths[row] for row in rows.tolist()], Fingerprints(
            keys, take_rows(fingerprints.thumbnails, rows), features
        )

    @property
    def usable_images(self) -> FullImages | None:
        """The images without label conflicts at full size."""
        rows, images = np.flatnonzero(self.valid), self.images
        return None if images is None else FullImages(lambda row: images.load(int(rows[row])), images.threads)

    @cached_property
    def groups(self) -> NDArray[np.int64]:
        """The group of each image, (used,): the same for duplicates, for images of one scene, and for one group in DATA.

        Near duplicates and images of one scene share a group, unless a class would be left with hardly any groups: then its
        images are similar by nature.
        """
        return self._exact_groups if self.keeps_near_duplicates_apart else self._near_groups

    @cached_property
    def valid(self) -> NDArray[np.bool_]:
        """The mask of images without label conflicts, (used,): a conflict is equal bytes or pixels with both labels."""
        group = self._hash_groups
        lowest, highest = np.ones(len(group), np.int8), np.zeros(len(group), np.int8)
        np.minimum.at(lowest, group, self.labels)
        np.maximum.at(highest, group, self.labels)
        return np.asarray((lowest == highest)[group])

    @cached_property
    def counts(self) -> dict[str, int]:
        """Images of each class without label conflicts, in alphabetical order."""
        labels = self.labels[self.valid]
        positive = int(labels.sum())
        return dict(sorted(zip(self.classes, (len(labels) - positive, positive), strict=True)))

    @cached_property
    def keeps_near_duplicates_apart(self) -> bool:
        """Whether only exact duplicates share a group: with near ones a class would be left with too few groups."""
        if all(duplicate.kind in ("exact", "pixels") for duplicate in self.duplicates):
            return False
        near, exact = map(self._count_groups, (self._near_groups, self._exact_groups))
        return any(
            count < min(_MIN_GROUPS, max(_MIN_FOLDS, full / 2), full) for count, full in zip(near, exact, strict=True)
        )

    @cached_property
    def _hash_groups(self) -> NDArray[np.int64]:
        """The group of each image by equal bytes or pixels, (used,)."""
        return duplicate_groups(self.fingerprints.keys, [None] * len(self.labels))

    @cached_property
    def _exact_groups(self) -> NDArray[np.int64]:
        """The group of each image by equal bytes or pixels and by the groups of DATA, (used,)."""
        groups = [self.file_list.files[row].group for row in self.table.used.tolist()]
        if all(group is None for group in groups):
            return self._hash_groups
        return duplicate_groups(self.fingerprints.keys, groups)

    @cached_property
    def _near_groups(self) -> NDArray[np.int64]:
        return join_groups(self._exact_groups, ((pair.first, pair.second) for pair in self.duplicates))

    def _count_groups(self, groups: NDArray[np.int64]) -> list[int]:
        """The number of groups of each class."""
        return [len(np.unique(groups[self.labels == label])) for label in (0, 1)]

    def check_counts(self, minimum: int) -> None:
        """Raises DataError where a class has fewer than `minimum` usable images; it lists why others are not usable."""
        rows = zip(self.file_list.paths, self.table.read_errors, strict=True)
        errors = [f"{path}: {error.sentence}" for path, error in rows if error]
        conflicts: dict[str, list[str]] = {name: [] for name in self.counts}
        for row in np.flatnonzero(~self.valid).tolist():
            conflicts[str(self.names[row])].append(self.paths[row])
        check_counts(self.counts, minimum, errors=errors, conflicts=conflicts)

    def check_any(self) -> None:
        """Raises DataError where no valid image is left for a test; images of one class suffice."""
        if not self.valid.any():
            self.check_counts(1)

    def as_json(self) -> dict[str, Any]:
        """The block "data"."""
        files, used = len(self.file_list.files) + len(self.file_list.skips), int(self.valid.sum())
        classes = {"classes": sorted(self.classes), "positive": self.classes[1], "counts": self.counts}
        return {"files": files, "used": used, "skipped": files - used, **classes}

    def notes(self) -> list[Note]:
        """The notes: what was assumed, skipped or corrected."""
        return [*self.file_list.notes, *self._read_error_notes(), *self._duplicate_notes(), *self._conflict_notes()]

    def test_notes(self) -> list[Note]:
        """The notes on a test set, which has no folds."""
        counts = self.duplicate_counts()
        duplicates = [Note("duplicates", f"{counts}. All of them are evaluated.")] if counts else []
        notes = [*self.file_list.notes, *self._read_error_notes(), *duplicates, *self._conflict_notes()]
        return [replace(note, text=f"Test set: {note.text}") for note in notes]

    def _read_error_notes(self) -> list[Note]:
        codes = Counter(error.code for error in self.table.read_errors if error is not None)
        counts = ", ".join(f"{count} {code}" for code, count in sorted(codes.items()))
        files = count_text(codes.total(), "unreadable file")
        return [Note("files-skipped", f"Skipped {files}: {counts}.")] if codes else []

    def duplicate_counts(self) -> str:
        """How many images are duplicates of others, and how many show the same object as others; empty if none."""
        kinds = Counter({pair.second: pair.kind for pair in sorted(self.duplicates, key=_closest_last)}.values())
        counts = ", ".join(f"{kinds[kind]} {words}" for kind, words in _KINDS.items() if kinds[kind])
        scenes = kinds["same-scene"]
        texts = [f"Duplicates of other images: {counts}"] if counts else []
        texts += [f"Images that show the same object as another: {scenes}"] if scenes else []
        return ". ".join(texts)

    def _duplicate_notes(self) -> list[Note]:
        counts = self.duplicate_counts()
        if not counts:
            return []
        if not self.keeps_near_duplicates_apart:
            return [Note("duplicates", f"{counts}. Each group of them stays in one fold.")]
        text = (
            "Near duplicates may be in different folds, because a class would be left with too few groups. If they show the same "
            "objects, the scores are too high: give a CSV file with a column 'group'."
        )
        exact = Note("duplicates", f"{counts}. Exact duplicates stay in one fold.")
        return [exact, Note("near-duplicates-across-folds", text)]

    def _conflict_notes(self) -> list[Note]:
        rows = np.flatnonzero(~self.valid)
        if not len(rows):
            return []
        files = count_text(len(rows), "file")
        text = f"Skipped {files} with conflicting labels, such as {self.paths[rows[0]]}. Decide which label is correct."
        return [Note("conflicts", text)]


def alphabetical(classes: tuple[str, str]) -> Note:
    """The note that the positive class of `classes`, (negative, positive), is the default."""
    text = (
        f"{classes[1]!r} is the positive class, because it is second in alphabetical order. Precision, recall, specificity, F1 "
        "and average precision refer to it. Choose with `positive`."
    )
    return Note("positive-by-alphabet", text)


def _closest_last(pair: Duplicate) -> int:
    return -("exact", "pixels", "near", "same-scene").index(pair.kind)


def fingerprints_of(table: FeatureTable) -> Fingerprints:
    """The fingerprints of the usable images of a feature table."""
    keys = [(metadata.sha256, metadata.pixel_key) for metadata in table.metadata if metadata is not None]
    return Fingerprints(keys, table.thumbnails, table.image_features if table.features.shape[1] else None)


def labelled_dataset(file_list: FileList, table: FeatureTable, images: FullImages | None = None) -> LabelledDataset:
    """The dataset of a file list and its feature table, with its duplicates; `images` has its usable images at full size."""
    fingerprints = fingerprints_of(table)
    duplicates = without_distinct(find_duplicates(fingerprints, images), fingerprints.keys, file_list.distinct)
    return LabelledDataset(file_list, table, file_list.negative_and_positive, tuple(duplicates), images)


def without_distinct(
    duplicates: Iterable[Duplicate], keys: Keys, distinct: frozenset[tuple[str, str]], other_keys: Keys | None = None
) -> list[Duplicate]:
    """The pairs of images with these hashes, without those that a person called no duplicates. Equal pixels stay duplicates.

    `other_keys` are the hashes of the second image of each pair, where it is of another dataset.
    """
    others = keys if other_keys is None else other_keys
    pairs = ((pair, keys[pair.first][0], others[pair.second][0]) for pair in duplicates)
    return [
        pair
        for pair, first, second in pairs
        if pair.kind in ("exact", "pixels") or (min(first, second), max(first, second)) not in distinct
    ]


def full_images(
    sources: Sequence[Source], table: FeatureTable, runtime: Runtime, ranges: IntensityRanges = NO_RANGES
) -> FullImages:
    """The usable images of a feature table at full size, read again from their sources."""
    max_pixels = runtime.options.max_pixels

    def load(row: int) -> GreyImage | None:
        content = read_content(sources[int(table.used[row])])
        if isinstance(content, ReadError):
            return None
        grey = open_grey(content.source, max_pixels=max_pixels, ranges=ranges)
        return None if isinstance(grey, ReadError) else GreyImage(grey[0], grey[1] or None)

    return FullImages(load, runtime.options.threads or available_processors())


def list_test_files(classes: tuple[str, str], data: Path, options: DataOptions) -> FileList:
    """The labelled files of DATA for a model of these (negative, positive) classes, or of one of them.

    Raises DataError where DATA has other classes.
    """
    file_list = list_labelled_files(data, options, model_classes=classes)
    check_same_classes(classes, file_list.classes)
    return replace(file_list, positive=classes[1])


def embed_files(
    file_list: FileList, sources: Sequence[Source], engine: Engine, runtime: Runtime, *, what: str
) -> LabelledDataset:
    """The dataset of a file list whose images are `sources`, one for each file."""
    table = runtime.embed(sources, engine, what=what)
    return labelled_dataset(
        file_list, table, full_images(sources, table, runtime, engine.backbone.preprocessing.ranges)
    )
