"""A sample: pictures of known class, observed, with the fate of every file that was met."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from twofold.core.notes import Note
from twofold.core.options import DataOptions
from twofold.data import FileList, check_counts, check_same_classes, list_labelled_files
from twofold.dataset.folds import duplicate_groups
from twofold.duplicates import Duplicate, Fingerprints, Kind, find_duplicates
from twofold.embedding import Engine, FeatureTable, Runtime, Source


@dataclass(frozen=True, slots=True, eq=False)
class LabelledDataset:
    """`table` has a row for every item of `listing`; what follows has one for every usable picture, in that order."""

    file_list: FileList
    table: FeatureTable
    classes: tuple[str, str]  # (negative, positive)
    duplicates: tuple[Duplicate, ...] = field(repr=False)

    @property
    def paths(self) -> list[str]:
        return [str(self.file_list.files[row].path) for row in self.table.used]

    @property
    def labels(self) -> NDArray[np.int8]:
        """1 for the positive class, (used,)."""
        return np.array([self.file_list.files[row].label == self.classes[1] for row in self.table.used], np.int8)

    @property
    def names(self) -> NDArray[np.str_]:
        """The class of each, (used,)."""
        return np.asarray(self.classes, np.str_)[self.labels]

    @property
    def fingerprints(self) -> Fingerprints:
        """What tells copies."""
        return fingerprints_of(self.table)

    @property
    def valid_fingerprints(self) -> tuple[list[str], Fingerprints]:
        """Paths and sights of the pictures that count, to train or to test on: those of conflicts are kept out."""
        rows, paths, seen = np.flatnonzero(self.valid), self.paths, self.fingerprints
        features = None if seen.features is None else seen.features[rows]
        return [paths[row] for row in rows.tolist()], Fingerprints(
            [seen.keys[row] for row in rows.tolist()], seen.thumbnails[rows], features
        )

    @property
    def groups(self) -> NDArray[np.int64]:
        """Equal for copies, and for pictures that DATA says belong together, (used,).

        Near copies count, unless that leaves hardly any groups of a class: then its pictures are alike by nature.
        """
        return self._groups(near=not self._all_alike)

    @property
    def _all_alike(self) -> bool:
        if all(copy.kind != "near" for copy in self.duplicates):
            return False
        near, equal = (self._groups_of_class(near=near) for near in (True, False))
        return any(left < min(_FEWEST, max(_FOLDS, of / 2), of) for left, of in zip(near, equal, strict=True))

    def _groups_of_class(self, *, near: bool) -> list[int]:
        groups, labels = self._groups(near=near), self.labels
        return [len(np.unique(groups[labels == label])) for label in (0, 1)]

    def _groups(self, *, near: bool) -> NDArray[np.int64]:
        linked: dict[int, list[str]] = defaultdict(list)
        for number, copy in enumerate(self.duplicates if near else ()):  # equal ones have their keys in common
            linked[copy.first].append(f"copies {number}")
            linked[copy.second].append(f"copies {number}")
        given = [self.file_list.files[row].group for row in self.table.used]
        return duplicate_groups([(*keys, *linked[row]) for row, keys in enumerate(self.fingerprints.keys)], given)

    @property
    def valid(self) -> NDArray[np.bool_]:
        """False for pictures that DATA has under both labels, by their bytes or pixels: neither is believed, (used,)."""
        alike = duplicate_groups(self.fingerprints.keys, [None] * len(self.labels))
        least, most = np.ones(len(alike), np.int8), np.zeros(len(alike), np.int8)
        np.minimum.at(least, alike, self.labels)
        np.maximum.at(most, alike, self.labels)
        return np.asarray((least == most)[alike])

    @property
    def counts(self) -> dict[str, int]:
        """Pictures of each class that count, in alphabetical order."""
        labels = self.labels[self.valid]
        positive = int(labels.sum())
        return dict(sorted(zip(self.classes, (len(labels) - positive, positive), strict=True)))

    def check_counts(self, minimum: int) -> None:
        """DataError where a class has fewer usable pictures, with the reasons of those that are not."""
        rows = zip(self.file_list.files, self.table.read_errors, strict=True)
        refused = [f"{item.path}: {why.sentence}" for item, why in rows if why]
        both: dict[str, list[str]] = {name: [] for name in self.counts}
        for name, path, valid in zip(self.names.tolist(), self.paths, self.valid, strict=True):
            if not valid:
                both[name].append(path)
        check_counts(self.counts, minimum, refused=refused, both=both)

    def check_any(self) -> None:
        """DataError where no picture is left to test on: those of one class will do."""
        if not self.valid.any():
            self.check_counts(1)

    def as_json(self) -> dict[str, Any]:
        """The block "data"."""
        images, used = len(self.file_list.files) + len(self.file_list.skips), int(self.valid.sum())
        named = {"classes": sorted(self.classes), "positive": self.classes[1], "counts": self.counts}
        return {"images": images, "used": used, "skipped": images - used, **named}

    def notes(self) -> list[Note]:
        """What was assumed, skipped or corrected."""
        return [*self.file_list.notes, *self._refused(), *self._copies(), *self._conflicts()]

    def test_notes(self) -> list[Note]:
        """The same of pictures to test on, which nobody deals out."""
        told = self._told_copies()
        duplicates = [Note("duplicates", f"Copies of other pictures: {told}. Each counts.")] if told else []
        notes = [*self.file_list.notes, *self._refused(), *duplicates, *self._conflicts()]
        return [replace(note, text=f"Test pictures: {note.text}") for note in notes]

    def _refused(self) -> list[Note]:
        codes = Counter(read_error.code for read_error in self.table.read_errors if read_error is not None)
        told = ", ".join(f"{count} {code}" for code, count in sorted(codes.items()))
        text = f"Left out as no usable pictures: {told}."
        return [Note("files-refused", text)] if told else []

    def _told_copies(self) -> str:
        kinds = Counter({copy.second: copy.kind for copy in self.duplicates}.values())
        return ", ".join(f"{kinds[kind]} {words}" for kind, words in _KINDS.items() if kinds[kind])

    def _copies(self) -> list[Note]:
        told = self._told_copies()
        if not told:
            return []
        if not self._all_alike:
            return [Note("duplicates", f"Copies of other pictures: {told}. All that are alike stay together.")]
        text = (
            "Nearly alike pictures may be in different folds, because a class would be left with too few groups. If they show "
            "the same things, the scores are too good: list the pictures with a column group."
        )
        equal = Note("duplicates", f"Copies of other pictures: {told}. Equal ones stay together.")
        return [equal, Note("all-alike", text)]

    def _conflicts(self) -> list[Note]:
        apart = np.flatnonzero(~self.valid)
        if not len(apart):
            return []
        text = f"Under both labels, so left out: {len(apart)} files, such as {self.paths[apart[0]]}. Decide which label is right."
        return [Note("conflicts", text)]


# Groups that a class must keep for near copies to count, or half of those it has by equal ones, if that suffices for folds.
_FEWEST: Final = 10
_FOLDS: Final = 5
_KINDS: Final[dict[Kind, str]] = {"bytes": "by their bytes", "pixels": "by their pixels", "near": "nearly alike"}


def alphabetical(classes: tuple[str, str]) -> Note:
    """That nobody chose which of the (negative, positive) classes is the positive one."""
    text = (
        f"{classes[1]!r} counts as the positive class, because it comes second in the alphabet: precision, recall, specificity, "
        "F1 and average precision speak of it. Choose with `positive`."
    )
    return Note("positive-by-alphabet", text)


def fingerprints_of(table: FeatureTable) -> Fingerprints:
    """What tells copies among the usable pictures of a table."""
    metadata = [seen for seen in table.metadata if seen is not None]
    features = table.features if table.features.shape[1] else None
    return Fingerprints([(seen.sha256, seen.pixels) for seen in metadata], table.thumbnails, features)


def labelled_dataset(file_list: FileList, table: FeatureTable) -> LabelledDataset:
    """The sample of a listing whose items were observed, with the copies in it."""
    return LabelledDataset(file_list, table, file_list.ordered, tuple(find_duplicates(fingerprints_of(table))))


def list_for(classes: tuple[str, str], data: Path, options: DataOptions) -> FileList:
    """The pictures of DATA for a model of (negative, positive) classes, or of one of them; DataError where DATA has others."""
    file_list = list_labelled_files(data, options, wanted=classes)
    check_same_classes(classes, file_list.classes)
    return replace(file_list, positive=classes[1])


def embed_files(
    file_list: FileList, sources: Sequence[Source], engine: Engine, runtime: Runtime, *, what: str
) -> LabelledDataset:
    """The pictures of a listing, which are in `sources`, one for each item, observed."""
    table = runtime.embed(sources, engine, what=what)
    return labelled_dataset(file_list, table)
