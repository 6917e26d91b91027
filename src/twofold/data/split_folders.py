"""Splits of a dataset as folders: which folders are splits rather than classes, and which to train and evaluate on."""

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path

from twofold.core.errors import DataError
from twofold.data.folders import entries, is_folder, is_junk, parquet_files
from twofold.data.samples import IMAGES
from twofold.data.split_names import are_splits, other_words, same_subject, split_kind


def splits_of(folders: Sequence[Path]) -> list[Path]:
    """The folders that are splits, training splits first; empty where all are classes.

    Splits are recognised by their names and, where these could be names of classes, by having the same sub-folders.
    """
    train = [folder for folder in folders if split_kind(folder.name) == "train"]
    held_out = [folder for folder in folders if split_kind(folder.name) == "held-out"]
    unnamed = [folder for folder in folders if split_kind(folder.name) is None]
    if are_splits(folder.name for folder in folders):
        return train + held_out
    if train and held_out:
        return train + held_out if any(_common_subfolders(train) & _subfolders(folder) for folder in held_out) else []
    return _train_alone(train, unnamed) if train else _held_out_alone(held_out, unnamed)


@dataclass(frozen=True, slots=True)
class SplitPlan:
    """The split to train on, and the split to evaluate on or, where it has no labels, to predict."""

    train: Path
    evaluate: Path | None = None
    predict: Path | None = None

    def __str__(self) -> str:
        """The plan as a clause of a message."""
        if self.evaluate is not None:
            return f"train on {self.train} and evaluate on {self.evaluate}"
        return f"train on {self.train}" + (f" and predict {self.predict}" if self.predict is not None else "")


def plan_splits(splits: Sequence[Path], *, labelled: bool = False) -> SplitPlan:
    """The plan for these splits, whose first is the training split. `labelled` means that all of them have labels."""
    classes = _subfolders(splits[0])
    held_out = [split for split in splits[1:] if split_kind(split.name) == "held-out"]
    test = [split for split in held_out if labelled or classes & _subfolders(split) or parquet_files(split)]
    if test:
        return SplitPlan(splits[0], evaluate=test[0])
    return SplitPlan(splits[0], predict=held_out[0] if held_out else None)


def splits_below(root: Path, files: Iterable[Path]) -> list[Path]:
    """The splits below the root that have some of the files, training splits first; empty where there are none."""
    subfolders: dict[str, set[str]] = {}  # strings, because Path is slow for a million folders
    for folder in {os.path.dirname(file) for file in files}:
        while folder != str(root):
            parent, name = os.path.split(folder)
            if name in subfolders.setdefault(parent, set()):
                break
            subfolders[parent].add(name)
            folder = parent
    for folder, names in sorted(subfolders.items()):
        if len(names) > 1 and are_splits(names):
            split_names = sorted(name for name in names if split_kind(name))
            return [
                Path(folder, name) for kind in ("train", "held-out") for name in split_names if split_kind(name) == kind
            ]
    return []


def check_not_nested(files: Mapping[Path, Sequence[Path]]) -> None:
    """Raises DataError where class folders, given with the files in them, hold splits, as in cats/train and cats/test."""
    splits = {folder: splits_below(folder, paths) for folder, paths in files.items()}
    example = next((paths for paths in splits.values() if paths), None)
    if example is None:
        return
    data = next(iter(files)).parent
    unpack = "" if os.path.isdir(data) else f"unpack {data} and "
    raise DataError(
        f"The class folders hold splits ({', '.join(map(str, example))}), which would be mixed: {unpack}make a folder for each "
        "split with the classes in it, as in train/cats."
    )


def shared_folders(files: Mapping[Path, Sequence[Path]]) -> list[str]:
    """The sub-folders of each class folder, where these may be the real classes: all have the same ones, and no other files."""
    subfolders = {
        folder: {parent[len(str(folder)) + 1 :].partition(os.sep)[0] for parent in set(map(os.path.dirname, paths))}
        for folder, paths in files.items()
    }
    first = next(iter(subfolders.values()), set[str]())
    equal = len(subfolders) > 1 and all(names == first for names in subfolders.values()) and "" not in first
    return sorted(first) if equal and _may_be_classes(first) else []


def _train_alone(train: list[Path], unnamed: list[Path]) -> list[Path]:
    """The splits where no folder has the name of a held-out split: the other folders have the same sub-folders, or none."""
    if len(train) + len(unnamed) < 2 or not _may_be_classes(_common_subfolders(train)):
        return []
    similar = [folder for folder in unnamed if _subfolders(folder) & _common_subfolders(train)]
    if similar or not unnamed:
        return train + similar
    return [] if any(map(_subfolders, unnamed)) or any(other_words(folder.name) for folder in train) else train


def _held_out_alone(held_out: list[Path], unnamed: list[Path]) -> list[Path]:
    """The splits where no folder has the name of a training split. A folder "valid" may be a class, with "invalid" beside it."""
    if len(held_out) + len(unnamed) < 2 or not held_out or not same_subject([folder.name for folder in held_out]):
        return []
    plain = all(not other_words(folder.name) and folder.name.lower() != "valid" for folder in held_out)
    return (
        unnamed + held_out
        if (plain or not unnamed) and _may_be_classes(_common_subfolders([*held_out, *unnamed]))
        else []
    )


def _common_subfolders(folders: Sequence[Path]) -> frozenset[str]:
    """The names of the sub-folders that all of these folders have."""
    return reduce(frozenset.intersection, map(_subfolders, folders))


def _may_be_classes(names: Iterable[str]) -> bool:
    """Whether the names can be class names: two of them differ by more than a number, unlike 1 and 2."""
    return len({re.sub(r"\d+", "", name) for name in names}) > 1


def _subfolders(folder: Path) -> frozenset[str]:
    """The names of the sub-folders; of a single one its sub-folders, and so on. Empty where images are beside them."""
    folders = _folders(folder)
    while len(folders) == 1 and (subfolders := _folders(folders[0])):
        folders = subfolders
    return frozenset(path.name.casefold() for path in folders)


def _folders(folder: Path) -> list[Path]:
    try:
        paths = [path for path in entries(folder) if not is_junk(path)]
    except DataError:  # raised later, where the files of the folder are listed
        return []
    if any(path.suffix.lower() in IMAGES and not is_folder(path) for path in paths):
        return []
    return [path for path in paths if is_folder(path)]
