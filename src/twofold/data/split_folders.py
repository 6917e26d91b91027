"""The splits of a data set as folders."""

import os
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Final

from twofold.core.errors import DataError
from twofold.data.folders import entries, is_folder, is_junk, parquet_files
from twofold.data.split_names import are_splits, other_words, same_subject, split_kind

_IMAGES: Final = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".avif"}


def splits_of(folders: Sequence[Path]) -> list[Path]:
    """The folders that are splits, those to train on first; none where all are classes.

    Splits are recognised by their names and, where these may be class names, by having the same sub-folders.
    """
    train = [folder for folder in folders if split_kind(folder.name) == "train"]
    held_out = [folder for folder in folders if split_kind(folder.name) == "held-out"]
    rest = [folder for folder in folders if split_kind(folder.name) is None]
    if are_splits(folder.name for folder in folders):
        return train + held_out
    if train and held_out:
        return train + held_out if any(_common(train) & _subfolders(folder) for folder in held_out) else []
    return _train_alone(train, rest) if train else _held_out_alone(held_out, rest)


@dataclass(frozen=True, slots=True)
class SplitPlan:
    """Which split to train on, and which to evaluate on or, where that has no labels, to predict."""

    train: Path
    evaluate: Path | None = None
    predict: Path | None = None

    def __str__(self) -> str:
        """In words."""
        if self.evaluate is not None:
            return f"train on {self.train} and evaluate on {self.evaluate}"
        return f"train on {self.train}" + (f" and predict {self.predict}" if self.predict is not None else "")


def plan_splits(splits: Sequence[Path], *, labelled: bool = False) -> SplitPlan:
    """The plan for these splits, the one to train on first. `labelled` says that all of them have labels."""
    classes = _subfolders(splits[0])
    held_out = [split for split in splits[1:] if split_kind(split.name) == "held-out"]
    test = [split for split in held_out if labelled or classes & _subfolders(split) or parquet_files(split)]
    if test:
        return SplitPlan(splits[0], evaluate=test[0])
    return SplitPlan(splits[0], predict=held_out[0] if held_out else None)


def splits_below(root: Path, files: Iterable[Path]) -> list[Path]:
    """The splits below the root that hold the files, those to train on first; none where there are none."""
    below: dict[str, set[str]] = {}  # text, because Path is slow for a million folders
    for folder in {os.path.dirname(file) for file in files}:
        while folder != str(root):
            above, name = os.path.split(folder)
            if name in below.setdefault(above, set()):
                break
            below[above].add(name)
            folder = above
    for folder, names in sorted(below.items()):
        if len(names) > 1 and are_splits(names):
            split_names = sorted(name for name in names if split_kind(name))
            return [
                Path(folder, name) for kind in ("train", "held-out") for name in split_names if split_kind(name) == kind
            ]
    return []


def refuse_nested(files: Mapping[Path, Sequence[Path]]) -> None:
    """DataError where class folders, given with the files in them, hold splits, as in cats/train and cats/test."""
    splits = {folder: splits_below(folder, paths) for folder, paths in files.items()}
    example = next((paths for paths in splits.values() if paths), None)
    if example is None:
        return
    names = [split.name for split in example]
    regular = all(paths == [folder / name for name in names] for folder, paths in splits.items())
    advice = "make a folder for each split, with the classes in it, as train/cats"
    if regular:
        advice = _rearrangement(list(splits), names)
    raise DataError(
        f"The class folders hold splits ({', '.join(map(str, example))}), which would become one: {advice}."
    )


def shared_folders(files: Mapping[Path, Sequence[Path]]) -> list[str]:
    """The names of sub-folders that all class folders have, where they have nothing else and these may be the classes."""
    inside = {
        folder: {place[len(str(folder)) + 1 :].partition(os.sep)[0] for place in set(map(os.path.dirname, paths))}
        for folder, paths in files.items()
    }
    first = next(iter(inside.values()), set[str]())
    same = len(inside) > 1 and all(names == first for names in inside.values()) and "" not in first
    return sorted(first) if same and _several(first) else []


def _train_alone(train: list[Path], rest: list[Path]) -> list[Path]:
    """Splits none of which is called as for testing: rest have the same folders, or none have any."""
    if len(train) + len(rest) < 2 or not _several(_common(train)):
        return []
    same = [folder for folder in rest if _subfolders(folder) & _common(train)]
    if same or not rest:
        return train + same
    return [] if any(map(_subfolders, rest)) or any(other_words(folder.name) for folder in train) else train


def _held_out_alone(held_out: list[Path], rest: list[Path]) -> list[Path]:
    """The same without a name for training. A folder called valid may be the class beside invalid."""
    if len(held_out) + len(rest) < 2 or not held_out or not same_subject([folder.name for folder in held_out]):
        return []
    plain = all(not other_words(folder.name) and folder.name.lower() != "valid" for folder in held_out)
    return rest + held_out if (plain or not rest) and _several(_common([*held_out, *rest])) else []


def _common(folders: Sequence[Path]) -> frozenset[str]:
    """The names of sub-folders that all of these have."""
    return reduce(frozenset.intersection, map(_subfolders, folders))


def _several(names: Iterable[str]) -> bool:
    """Whether they can be classes: names that differ by a number only, as 1 and 2, are a series."""
    return len({re.sub(r"\d+", "", name) for name in names}) > 1


def _subfolders(folder: Path) -> frozenset[str]:
    """The names of its sub-folders, or of those of its only sub-folder, and so on; none where images lie beside them."""
    folders = _folders(folder)
    while len(folders) == 1 and (deeper := _folders(folders[0])):
        folders = deeper
    return frozenset(path.name.casefold() for path in folders)


def _folders(folder: Path) -> list[Path]:
    try:
        paths = [path for path in entries(folder) if not is_junk(path)]
    except DataError:  # raised when it is listed
        return []
    if any(path.suffix.lower() in _IMAGES and not is_folder(path) for path in paths):
        return []
    return [path for path in paths if is_folder(path)]


def _rearrangement(classes: Sequence[Path], splits: Sequence[str]) -> str:
    """How to rearrange class folders that hold the same splits, the one to train on first."""
    data, first = classes[0].parent, ""
    if not os.path.isdir(data):
        first = f"unpack {data} into a folder DATA, then "
        data = Path("DATA")
    names = " ".join(map(shlex.quote, (folder.name for folder in classes)))
    test = next(name for name in splits if split_kind(name) == "held-out")
    plan = SplitPlan(Path("SPLITS", splits[0]), evaluate=Path("SPLITS", test))
    return (
        f'{first}run: for split in {" ".join(map(shlex.quote, splits))}; do mkdir -p SPLITS/"$split"; for class in {names}; do '
        f'cp -r {shlex.quote(str(data))}/"$class/$split" SPLITS/"$split/$class"; done; done; then {plan}'
    )
