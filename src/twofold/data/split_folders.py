"""The splits of a data set as folders."""

import os
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from functools import reduce
from pathlib import Path
from typing import Final

from twofold.core.errors import DataError
from twofold.data.folders import entries, is_folder, is_junk, parquet_files
from twofold.data.split_names import are_splits, other_words, same_subject, split_kind

_IMAGES: Final = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".avif"}


def splits_of(folders: Sequence[Path]) -> list[Path]:
    """Of the folders those that are splits, the ones to train on first; none where all are classes.

    They are told by their names and, where these may be those of classes, by the folders in them, which are the same.
    """
    train = [folder for folder in folders if split_kind(folder.name) == "train"]
    held_out = [folder for folder in folders if split_kind(folder.name) == "held-out"]
    others = [folder for folder in folders if split_kind(folder.name) is None]
    if are_splits(folder.name for folder in folders):
        return train + held_out
    if train and held_out:
        return train + held_out if any(_common(train) & _inside(folder) for folder in held_out) else []
    return _train_alone(train, others) if train else _held_out_alone(held_out, others)


def commands(splits: Sequence[Path], more: str = "", *, labelled: bool = False) -> list[str]:
    """What to type next: to train on the first and, where another is for testing, to evaluate on that, or where it has no labels,
    to predict. `more` are options that reading them takes; `labelled` says that all have labels."""
    classes = _inside(splits[0])
    held_out = [split for split in splits[1:] if split_kind(split.name) == "held-out"]
    ready = [split for split in held_out if labelled or classes & _inside(split) or parquet_files(split)]
    steps = [f"twofold train {shlex.quote(str(splits[0]))}{more} --out NAME.twofold"]
    if ready:
        steps.append(f"twofold evaluate NAME.twofold {shlex.quote(str(ready[0]))}{more}")
    elif held_out:
        steps.append(f"twofold predict NAME.twofold {shlex.quote(str(held_out[0]))}")
    return steps


def typed(steps: Iterable[str]) -> str:
    """The commands in a sentence."""
    quoted = [f"`{step}`" if "'" in step else f"'{step}'" for step in steps]
    return f"type {', then '.join(quoted)}"


def splits_below(root: Path, files: Iterable[Path]) -> list[Path]:
    """The splits that the files lie in, somewhere below the root, the ones to train on first; none where they lie in none."""
    below: dict[str, set[str]] = {}  # of text, because paths are slow where there are a million folders
    for folder in {os.path.dirname(file) for file in files}:
        while folder != str(root):
            above, name = os.path.split(folder)
            if name in below.setdefault(above, set()):
                break
            below[above].add(name)
            folder = above
    for folder, names in sorted(below.items()):
        if len(names) > 1 and are_splits(names):
            named = sorted(name for name in names if split_kind(name))
            return [Path(folder, name) for kind in ("train", "held-out") for name in named if split_kind(name) == kind]
    return []


def refuse_nested(files: Mapping[Path, Sequence[Path]]) -> None:
    """DataError where class folders, given with the files in them, hold splits, as in cats/train and cats/test."""
    found = {folder: splits_below(folder, inside) for folder, inside in files.items()}
    shown = next((splits for splits in found.values() if splits), None)
    if shown is None:
        return
    names = [split.name for split in shown]
    regular = all(splits == [folder / name for name in names] for folder, splits in found.items())
    steps = _rearranged(list(found), names) if regular else []
    what = typed(steps) if steps else "make a folder for each split, with the classes in it, as train/cats"
    raise DataError(
        f"The class folders hold splits ({', '.join(map(str, shown))}), which would be taken for one: {what}."
    )


def shared_folders(files: Mapping[Path, Sequence[Path]]) -> list[str]:
    """The names of the folders that all class folders hold, where they hold nothing else, and these may be the classes."""
    inside = {
        folder: {place[len(str(folder)) + 1 :].partition(os.sep)[0] for place in set(map(os.path.dirname, paths))}
        for folder, paths in files.items()
    }
    first = next(iter(inside.values()), set[str]())
    same = len(inside) > 1 and all(names == first for names in inside.values()) and "" not in first
    return sorted(first) if same and _several(first) else []


def _train_alone(train: list[Path], others: list[Path]) -> list[Path]:
    """Splits none of which is called as for testing: others have the same folders, or none have any."""
    if len(train) + len(others) < 2 or not _several(_common(train)):
        return []
    same = [folder for folder in others if _inside(folder) & _common(train)]
    if same or not others:
        return train + same
    return [] if any(map(_inside, others)) or any(other_words(folder.name) for folder in train) else train


def _held_out_alone(held_out: list[Path], others: list[Path]) -> list[Path]:
    """The same where none is called as to train on; one that is called valid may be the class beside invalid."""
    if len(held_out) + len(others) < 2 or not held_out or not same_subject([folder.name for folder in held_out]):
        return []
    called = all(not other_words(folder.name) and folder.name.lower() != "valid" for folder in held_out)
    return others + held_out if (called or not others) and _several(_common([*held_out, *others])) else []


def _common(folders: Sequence[Path]) -> frozenset[str]:
    """The names of folders that are in all of these."""
    return reduce(frozenset.intersection, map(_inside, folders))


def _several(names: Iterable[str]) -> bool:
    """Whether they can be classes: what differs by a number alone, as 1 and 2, is a series."""
    return len({re.sub(r"\d+", "", name) for name in names}) > 1


def _inside(folder: Path) -> frozenset[str]:
    """The names of the folders in it, or in the only folder in it, and so on; none where images lie beside them."""
    folders = _folders(folder)
    while len(folders) == 1 and (deeper := _folders(folders[0])):
        folders = deeper
    return frozenset(path.name.casefold() for path in folders)


def _folders(folder: Path) -> list[Path]:
    try:
        found = [path for path in entries(folder) if not is_junk(path)]
    except DataError:  # told when it is listed
        return []
    if any(path.suffix.lower() in _IMAGES and not is_folder(path) for path in found):
        return []
    return [path for path in found if is_folder(path)]


def _rearranged(classes: Sequence[Path], splits: Sequence[str]) -> list[str]:
    """What to type where every class holds the same splits, the one to train on first."""
    data, steps = classes[0].parent, []
    if not os.path.isdir(data):
        steps.append(f"twofold fetch {shlex.quote(str(data))} --out FOLDER")
        data = Path("FOLDER")
    names = " ".join(map(shlex.quote, (folder.name for folder in classes)))
    steps.append(
        f'for split in {" ".join(map(shlex.quote, splits))}; do mkdir -p SPLITS/"$split"; for class in {names}; do '
        f'cp -r {shlex.quote(str(data))}/"$class/$split" SPLITS/"$split/$class"; done; done'
    )
    other = next(name for name in splits if split_kind(name) == "held-out")
    steps.append(f"twofold train {shlex.quote(f'SPLITS/{splits[0]}')} --out NAME.twofold")
    steps.append(f"twofold evaluate NAME.twofold {shlex.quote(f'SPLITS/{other}')}")
    return steps
