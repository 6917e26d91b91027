"""The file list of DATA. DATA is a folder or an archive with one sub-folder per class, a flat folder, or a table."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath
from typing import Final

from twofold.core.errors import DataError, UsageError
from twofold.core.notes import Note, count_text
from twofold.core.options import DataOptions
from twofold.data.archives import is_archive, is_archived_folder
from twofold.data.classes import choose_classes, choose_positive
from twofold.data.decisions_file import read_decisions
from twofold.data.folders import JUNK_SENTENCE, Skip, archive_skips, entries, is_folder, is_junk, parquet_files, walk
from twofold.data.review_decisions import ReviewDecisions
from twofold.data.reviewed_labels import hash_files, review_labels
from twofold.data.split_folders import check_not_nested, plan_splits, shared_folders, splits_below, splits_of
from twofold.data.split_names import split_kind
from twofold.data.tables import find_table, read_split

SKIP_NOTES: Final = {
    "junk": ("hidden or system file", "hidden or system files"),
    "loop": ("link to a folder that contains it", "links to folders that contain them"),
    "unreadable": ("folder that cannot be listed", "folders that cannot be listed"),
    "outside-classes": ("file outside the class folders", "files outside the class folders"),
    "no-label": ("file whose name does not match `label_pattern`", "files whose names do not match `label_pattern`"),
    "unlabelled": ("row without a label, for a reason", "rows without a label, for a reason"),
    "link": ("link inside an archive", "links inside an archive"),
    "device": ("device, pipe or sparse file inside an archive", "devices, pipes or sparse files inside an archive"),
    "unsafe-name": ("file whose name leads out of the archive", "files whose names lead out of the archive"),
    "too-deep": ("file more than 100 folders deep", "files more than 100 folders deep"),
    "same-name": ("member of an archive with a duplicate name", "members of an archive with duplicate names"),
    "other-class": ("file of another class", "files of other classes"),
    "excluded": ("file excluded in review", "files excluded in review"),
    "no-features": ("file without saved features", "files without saved features"),
}
"""What is skipped, by code: one, and several."""


@dataclass(frozen=True, slots=True)
class LabelledFile:
    """A file with its class, and its group where DATA gives one. Each group stays in one fold."""

    path: Path
    label: str
    group: str | None = None


@dataclass(frozen=True, slots=True)
class FileList:
    """The labelled files of DATA, before any is opened."""

    files: tuple[LabelledFile, ...] = field(repr=False)
    skips: tuple[Skip, ...] = field(repr=False)
    classes: tuple[str, str]  # in the sorted order of the labels
    positive: str
    notes: tuple[Note, ...] = field(repr=False)
    distinct: frozenset[tuple[str, str]] = field(default=frozenset(), repr=False)
    """Pairs of SHA-256, each sorted, of images that are no duplicates, as a person decided."""

    @property
    def paths(self) -> list[Path]:
        """The path of each file."""
        return [file.path for file in self.files]

    @property
    def negative_and_positive(self) -> tuple[str, str]:
        """(negative, positive)"""
        first, second = self.classes
        return (first, second) if second == self.positive else (second, first)


@dataclass(slots=True)
class _Entries:
    files: list[LabelledFile] = field(default_factory=list)
    skips: list[Skip] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)  # classes without a file
    notes: list[Note] = field(default_factory=list)


def list_labelled_files(
    data: Path,
    options: DataOptions,
    *,
    positive: str | None = None,
    model_classes: Sequence[str] = (),
    opened: bool = True,
) -> FileList:
    """The files of the two classes, in sorted order or in the order of the table, and the skipped paths.

    `model_classes` are the classes of the model to be tested, if there is one. Where no file is `opened` later, a table may name
    files that are not there. Raises DataError where DATA does not have two classes with files, UsageError where an option does
    not fit it.
    """
    collection = _collect_entries(data, options, model_classes, opened=opened)
    counts = dict.fromkeys(collection.empty, 0) | Counter(file.label for file in collection.files)
    unlabelled = sum(skip.code in ("outside-classes", "no-label") for skip in collection.skips)
    classes = choose_classes(counts, options, str(data), unlabelled, model_classes)
    files = tuple(file for file in collection.files if file.label in classes)
    other_classes = [
        Skip(file.path, "other-class", f"Its class is {file.label!r}.")
        for file in collection.files
        if file.label not in classes
    ]
    positive = choose_positive(classes, positive)
    file_list = FileList(files, (*collection.skips, *other_classes), classes, positive, tuple(collection.notes))
    if options.decisions is not None:
        file_list = with_decisions(file_list, hash_files(file_list.paths), read_decisions(options.decisions))
    return replace(file_list, notes=(*file_list.notes, *_notes(file_list.skips)))


def with_decisions(file_list: FileList, hashes: Sequence[str | None], decisions: ReviewDecisions) -> FileList:
    """The file list with the labels of a review, without the files that were excluded there; `hashes` are the SHA-256 of its
    files."""
    labels = [file.label for file in file_list.files]
    reviewed = review_labels(hashes, labels, decisions, file_list.classes)
    files = tuple(
        replace(file, label=label)
        for number, (file, label) in enumerate(zip(file_list.files, reviewed.labels, strict=True))
        if number not in reviewed.excluded
    )
    excluded = [
        Skip(file_list.files[number].path, "excluded", "It was excluded in review.")
        for number in sorted(reviewed.excluded)
    ]
    notes = (*file_list.notes, *reviewed.notes)
    return replace(
        file_list, files=files, skips=(*file_list.skips, *excluded), notes=notes, distinct=decisions.distinct
    )


def find_splits(data: Path) -> list[Path]:
    """The folders of a dataset's splits, training splits first; empty where DATA holds classes."""
    return splits_of(_find_class_folders(data, _Entries()))


def contents(data: Path) -> Iterator[tuple[PurePath, Path | Skip]]:
    """Every file of a folder or an archive, with its name inside; a Skip for each skipped path.

    Raises DataError where it is neither.
    """
    if not (data.is_dir() or is_archived_folder(data)):
        raise DataError(f"There is no folder or archive (zip, tar, Parquet) {data}: check the path.")
    roots = _roots(data)
    for root in roots:
        for entry in (*walk(root), *archive_skips(root)):
            path = entry.path if isinstance(entry, Skip) else entry
            name = PurePath(path.relative_to(root))
            yield (name if len(roots) == 1 else name.with_name(f"{root.stem}-{name.name}")), entry


def _collect_entries(data: Path, options: DataOptions, model_classes: Sequence[str], *, opened: bool) -> _Entries:
    if is_folder(data) or (data.is_file() and is_archive(data)):
        collection = _Entries()
        for root in _roots(data):
            if options.label_pattern:
                _add_by_name(root, options.label_pattern, collection)
            else:
                _add_by_folder(root, options, collection, model_classes)
            collection.skips += archive_skips(root)
        return collection
    table = find_table(data)
    if table is None and not data.exists():
        raise DataError(
            f"There is no {data}: give a folder with one sub-folder per class, an archive of one, or a CSV file."
        )
    if options.label_pattern:
        raise UsageError(f"`label_pattern` is for a folder, but {data} is a file: leave it out.")
    if table is None:
        raise DataError(
            f"{data} is neither a folder, an archive (zip, tar, Parquet) nor a CSV file: list the images in a CSV file."
        )
    rows, skips = read_split(*table, opened=opened)
    return _Entries([LabelledFile(*row) for row in rows], skips)


def _roots(data: Path) -> list[Path]:
    """The folder or archive itself, or the Parquet files of a folder that holds nothing else."""
    files = parquet_files(data)
    if len({split_kind(path.stem) for path in files} - {None}) > 1:
        raise DataError(f"{data} holds Parquet files of several splits: put each split into its own folder.")
    return files or [data]


def _add_by_folder(data: Path, options: DataOptions, collection: _Entries, model_classes: Sequence[str]) -> None:
    folders = _find_class_folders(data, collection, model_classes)
    _check_splits(folders, options)
    files: dict[Path, list[Path]] = {}
    for folder in folders:
        folder_entries = list(_walk_class(folder, options))
        collection.skips += [entry for entry in folder_entries if isinstance(entry, Skip)]
        files[folder] = [entry for entry in folder_entries if isinstance(entry, Path)]
        collection.files += [LabelledFile(path, folder.name) for path in files[folder]]
        if not files[folder]:
            collection.empty.append(folder.name)
    classes = {folder: files[folder] for folder in folders if options.classes is None or folder.name in options.classes}
    check_not_nested(classes)
    if shared_names := shared_folders(classes):
        collection.notes.append(
            Note(
                "shared-folders",
                f"All class folders of {folders[0].parent} have the same sub-folders ({', '.join(shared_names)}). If these are "
                f"the classes, give one of the folders around them, as {folders[0]}.",
            )
        )


def _walk_class(folder: Path, options: DataOptions) -> Iterator[Path | Skip]:
    """The entries of a class folder. Raises DataError where it cannot be listed, unless `classes` excludes it."""
    try:
        yield from walk(folder)
    except DataError as error:
        if options.classes is None or folder.name in options.classes:
            raise
        yield Skip(folder, "unreadable", str(error))


def _find_class_folders(data: Path, collection: _Entries, model_classes: Sequence[str] = ()) -> list[Path]:
    """The class folders: those of DATA or, where that holds a single folder of folders, those inside it, and so on."""
    folders = _class_folders(data, collection)
    while len(folders) == 1 and any(is_folder(path) and not is_junk(path) for path in entries(folders[0])):
        if folders[0].name in model_classes:  # a batch of one class
            break
        folders = _class_folders(folders[0], collection)
    return folders


def _class_folders(folder: Path, collection: _Entries) -> list[Path]:
    folders = []
    for path in entries(folder):
        if is_junk(path):
            collection.skips.append(Skip(path, "junk", JUNK_SENTENCE))
        elif is_folder(path):
            folders.append(path)
        else:
            collection.skips.append(Skip(path, "outside-classes", "It is outside the class folders and has no label."))
    return folders


def _check_splits(folders: list[Path], options: DataOptions) -> None:
    """Raises DataError where the folders are splits, unless `classes` names them."""
    splits = splits_of(folders)
    explicit = options.classes is not None and set(options.classes) <= {folder.name for folder in folders}
    if splits and not explicit:
        raise DataError(
            f"{_describe(splits)}, not classes: {plan_splits(splits)}; or choose two classes with `classes`."
        )


def _describe(splits: list[Path]) -> str:
    return f"{splits[0].parent} holds splits ({', '.join(split.name for split in splits)})"


def _add_by_name(data: Path, label_pattern: str, collection: _Entries) -> None:
    pattern, first = _compile_pattern(label_pattern), len(collection.files)
    for path in walk(data):
        if isinstance(path, Skip):
            collection.skips.append(path)
        elif (match := pattern.search(path.name)) and match[1]:
            collection.files.append(LabelledFile(path, match[1]))
        else:
            collection.skips.append(Skip(path, "no-label", "Its name does not match `label_pattern`."))
    if splits := splits_below(data, [file.path for file in collection.files[first:]]):
        plan = plan_splits(splits, labelled=True)
        raise DataError(
            f"{_describe(splits)}, which would be mixed: {plan}, each with `label_pattern={label_pattern!r}`."
        )


def _compile_pattern(pattern: str) -> re.Pattern[str]:
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise UsageError(
            f"`label_pattern` {pattern!r} is not a regular expression ({error}): try '(cat|dog)'."
        ) from error
    if not expression.groups:
        raise UsageError(f"`label_pattern` {pattern!r} has no group: put the class in brackets, as in '(cat|dog)'.")
    return expression


def _notes(skips: tuple[Skip, ...]) -> tuple[Note, ...]:
    """One note for each reason to skip a path."""
    counts = Counter(skip.code for skip in skips)
    first = {skip.code: skip.path for skip in reversed(skips)}
    return tuple(
        Note(f"skipped-{code}", f"Skipped {count_text(count, *SKIP_NOTES[code])}, such as {first[code]}.")
        for code, count in counts.items()
    )
