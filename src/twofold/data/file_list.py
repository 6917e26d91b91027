"""DATA to paths and labels: a folder or an archive with one sub-folder a class, a table, or a flat folder with a pattern."""

import re
import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Final

from twofold.core.errors import DataError, UsageError
from twofold.core.notes import Note
from twofold.core.options import DataOptions
from twofold.data.archives import is_archive, is_archived_folder
from twofold.data.classes import choose_classes, choose_positive
from twofold.data.folders import LEFTOVER, Skip, archive_skips, entries, is_folder, is_junk, parquet_files, walk
from twofold.data.split_folders import commands, refuse_nested, shared_folders, splits_below, splits_of, typed
from twofold.data.split_names import split_kind
from twofold.data.tables import find_table, read_split

_PASSED_OVER: Final = {
    "junk": "Skipped as hidden or left behind by a program: {count}, such as {example}.",
    "loop": "Skipped as links that lead back to a folder they lie in: {count}, such as {example}.",
    "unreadable": "Skipped as folders that cannot be listed: {count}, such as {example}.",
    "outside-classes": "Skipped as files beside the class folders: {count}, such as {example}.",
    "no-label": "Skipped as files whose names do not match `label_pattern`: {count}, such as {example}.",
    "link": "Left out as links inside an archive, which are never followed: {count}, such as {example}.",
    "device": "Left out as devices, pipes or sparse files inside an archive: {count}, such as {example}.",
    "unsafe-name": "Left out as names that lead out of the archive: {count}, such as {example}.",
    "too-deep": "Left out as more than 100 folders deep: {count}, such as {example}.",
    "same-name": "Left out as members of which the archive has another of the same name: {count}, such as {example}.",
    "other-class": "Left out as files of other classes: {count}, such as {example}.",
}


@dataclass(frozen=True, slots=True)
class LabelledFile:
    """A file that is to be a picture of its class; items of one group are never parted."""

    path: Path
    label: str
    group: str | None = None


@dataclass(frozen=True, slots=True)
class FileList:
    """What DATA holds, before any file is opened."""

    files: tuple[LabelledFile, ...] = field(repr=False)
    skips: tuple[Skip, ...] = field(repr=False)
    classes: tuple[str, str]  # in alphabetical order
    positive: str
    notes: tuple[Note, ...] = field(repr=False)

    @property
    def paths(self) -> list[Path]:
        """One for each file."""
        return [file.path for file in self.files]

    @property
    def ordered(self) -> tuple[str, str]:
        """(negative, positive)"""
        first, second = self.classes
        return (first, second) if second == self.positive else (second, first)


@dataclass(slots=True)
class _Found:
    files: list[LabelledFile] = field(default_factory=list)
    skips: list[Skip] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)  # classes without a file
    notes: list[Note] = field(default_factory=list)


def list_labelled_files(
    data: Path, options: DataOptions, *, positive: str | None = None, wanted: Sequence[str] = ()
) -> FileList:
    """Every file of the two classes, in sorted order (a table's own order), and what was passed over; `wanted` are the classes
    of the model that is to answer for them, if there is one.

    Raises DataError where DATA does not have two classes with files, UsageError where an option does not fit it.
    """
    found = _find(data, options, wanted)
    counts = dict.fromkeys(found.empty, 0) | Counter(item.label for item in found.files)
    loose = sum(skip.code in ("outside-classes", "no-label") for skip in found.skips)
    classes = choose_classes(counts, options, str(data), loose, wanted)
    items = tuple(item for item in found.files if item.label in classes)
    others = [
        Skip(item.path, "other-class", f"Its class is {item.label!r}.")
        for item in found.files
        if item.label not in classes
    ]
    skips = (*found.skips, *others)
    return FileList(items, skips, classes, choose_positive(classes, positive), (*found.notes, *_notes(skips)))


def find_parts(data: Path) -> list[Path]:
    """The folders of a data set's parts, those to train on first; none where DATA holds classes, not parts."""
    return splits_of(_step_in(data, _Found()))


def contents(data: Path) -> Iterator[tuple[PurePath, Path | Skip]]:
    """Every file of a folder or an archive, with its name below that; a Skip for what is passed over.

    Raises DataError where it is neither.
    """
    if not (data.is_dir() or is_archived_folder(data)):
        raise DataError(f"There is no folder or archive (zip, tar, Parquet) {data}: check the path.")
    roots = _roots(data)
    for root in roots:
        for met in (*walk(root), *archive_skips(root)):
            path = met.path if isinstance(met, Skip) else met
            name = PurePath(path.relative_to(root))
            yield (name if len(roots) == 1 else name.with_name(f"{root.stem}-{name.name}")), met


def _find(data: Path, options: DataOptions, wanted: Sequence[str]) -> _Found:
    if is_folder(data) or (data.is_file() and is_archive(data)):
        found = _Found()
        for root in _roots(data):
            if options.label_pattern:
                _by_name(root, options.label_pattern, found)
            else:
                _by_folder(root, options, found, wanted)
            found.skips += archive_skips(root)
        return found
    table = find_table(data)
    if table is None and not data.exists():
        raise DataError(
            f"There is no {data}: give a folder with one sub-folder for each class, an archive of such, or a CSV file."
        )
    if options.label_pattern:
        raise UsageError(f"`label_pattern` is for a folder, and {data} is a file: leave it out.")
    if table is None:
        raise DataError(
            f"{data} is neither a folder, an archive (zip, tar, Parquet) nor a CSV file: list the pictures in a CSV file."
        )
    return _Found([LabelledFile(*row) for row in read_split(*table)])


def _roots(data: Path) -> list[Path]:
    """The folder or archive itself; where a folder holds Parquet files and nothing else, these, as parts of one whole."""
    inside = parquet_files(data)
    if len({split_kind(path.stem) for path in inside} - {None}) > 1:
        raise DataError(f"{data} holds Parquet files of several splits: put those of each into a folder of its own.")
    return inside or [data]


def _by_folder(data: Path, options: DataOptions, found: _Found, wanted: Sequence[str]) -> None:
    folders = _step_in(data, found, wanted)
    _refuse_splits(folders, options)
    files: dict[Path, list[Path]] = {}
    for folder in folders:
        listed = list(_listed(folder, options))
        found.skips += [met for met in listed if isinstance(met, Skip)]
        files[folder] = [met for met in listed if isinstance(met, Path)]
        found.files += [LabelledFile(path, folder.name) for path in files[folder]]
        if not files[folder]:
            found.empty.append(folder.name)
    chosen = {folder: files[folder] for folder in folders if options.classes is None or folder.name in options.classes}
    refuse_nested(chosen)
    if shared := shared_folders(chosen):
        found.notes.append(
            Note(
                "shared-folders",
                f"All class folders of {folders[0].parent} hold the same folders ({', '.join(shared)}), each taken for a part of "
                f"its class: if these are the classes, give one of the folders around them, as {folders[0]}.",
            )
        )


def _listed(folder: Path, options: DataOptions) -> Iterator[Path | Skip]:
    """What lies in a class folder; one that cannot be listed stops all, unless --classes leaves it out."""
    try:
        yield from walk(folder)
    except DataError as error:
        if options.classes is None or folder.name in options.classes:
            raise
        yield Skip(folder, "unreadable", str(error))


def _step_in(data: Path, found: _Found, wanted: Sequence[str] = ()) -> list[Path]:
    """The class folders: those of DATA, or where that holds a single folder of folders, those in there, and so on."""
    folders = _class_folders(data, found)
    while len(folders) == 1 and any(is_folder(path) and not is_junk(path) for path in entries(folders[0])):
        if folders[0].name in wanted:  # a batch of one class
            break
        folders = _class_folders(folders[0], found)
    return folders


def _class_folders(folder: Path, found: _Found) -> list[Path]:
    folders = []
    for path in entries(folder):
        if is_junk(path):
            found.skips.append(Skip(path, "junk", LEFTOVER))
        elif is_folder(path):
            folders.append(path)
        else:
            found.skips.append(
                Skip(path, "outside-classes", "It lies beside the class folders, so that it has no label.")
            )
    return folders


def _refuse_splits(folders: list[Path], options: DataOptions) -> None:
    """Raise a DataError if the folders are the splits of a data set and --classes names none of them."""
    splits = splits_of(folders)
    named = options.classes is not None and set(options.classes) <= {folder.name for folder in folders}
    if splits and not named:
        raise DataError(f"{_held(splits)}, not classes: {typed(commands(splits))}; or name two classes with `classes`.")


def _held(splits: list[Path]) -> str:
    return f"{splits[0].parent} holds splits ({', '.join(split.name for split in splits)})"


def _by_name(data: Path, given: str, found: _Found) -> None:
    pattern, first = _compile(given), len(found.files)
    for path in walk(data):
        if isinstance(path, Skip):
            found.skips.append(path)
        elif (match := pattern.search(path.name)) and match[1]:
            found.files.append(LabelledFile(path, match[1]))
        else:
            found.skips.append(Skip(path, "no-label", "Its name does not match `label_pattern`."))
    if splits := splits_below(data, [item.path for item in found.files[first:]]):
        steps = commands(splits, f" `label_pattern` {shlex.quote(given)}", labelled=True)
        raise DataError(f"{_held(splits)}, which would be taken for one: {typed(steps)}.")


def _compile(pattern: str) -> re.Pattern[str]:
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise UsageError(f"`label_pattern` {pattern!r} is no regular expression ({error}): try '(cat|dog)'.") from error
    if not compiled.groups:
        raise UsageError(f"`label_pattern` {pattern!r} has no group: put the class in brackets, as in '(cat|dog)'.")
    return compiled


def _notes(skips: tuple[Skip, ...]) -> tuple[Note, ...]:
    """One note for every reason there was to pass over a path."""
    counts = Counter(skip.code for skip in skips)
    first = {skip.code: skip.path for skip in reversed(skips)}
    return tuple(
        Note(f"skipped-{code}", _PASSED_OVER[code].format(count=count, example=first[code]))
        for code, count in counts.items()
    )
