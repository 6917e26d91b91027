"""Networks that are learned from scratch: on a folder of pictures, on the shared photographs, and for their memory."""

import csv
import hashlib
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
from courses import Given
from measure import Figures

from twofold.core.options import DataOptions, RuntimeOptions
from twofold.data import LabelledFile, list_labelled_files
from twofold.dataset import split
from twofold.dataset.labelled import LabelledDataset, labelled_dataset
from twofold.embedding import Runtime

TEST, VALIDATION = 0.1, 0.2222  # of all pictures; of those that are left: 20% of all
FEW = 150  # of each class


def collection(given: Given, name: str, images: Path, recipe: str, size: int, limit: int | None) -> Figures:
    """The long run: a tenth of the pictures held out, a fifth to stop and calibrate by, learned from the rest."""
    train, test = parted(given, images, limit)
    options = ["--test", str(test), "--mode", "scratch", "--recipe", recipe, "--image-size", str(size)]
    drawn = given.work / f"{name}.figures"
    done = given.train(name, train, *options, "--validation", str(VALIDATION), *given.more, "--figures", str(drawn))
    given.keep(name, given.bundle(name) / "history.csv", drawn / "curves.svg")
    return done


def photographs(given: Given, name: str) -> Figures:
    """The classic network at 96 px on the shared photographs."""
    options = ["--test", str(given.data / "test"), "--mode", "scratch", "--image-size", "96"]
    return given.train(name, given.data / "train", *options, *given.more)


def few(given: Given, name: str, dtype: str) -> Figures:
    """One epoch of the classic network at 200 px in batches of 128, on few pictures: for the memory that it takes."""
    items = list_labelled_files(given.data / "train", DataOptions()).items
    of_class = {label: [item for item in items if item.label == label] for label in {item.label for item in items}}
    write_list(given.work / "few.csv", (item for part in of_class.values() for item in part[:FEW]))
    options = ["--mode", "scratch", "--image-size", "200", "--batch-size", "128", "--epochs", "1"]
    return given.train(name, given.work / "few.csv", *options, "--dtype", dtype)


def parted(given: Given, images: Path, limit: int | None) -> tuple[Path, Path]:
    """Lists of the usable pictures, train.csv and test.csv, written once: copies are all in one."""
    folder = given.work / hashlib.sha256(f"{images.resolve()} {limit}".encode()).hexdigest()[:8]
    train, test = folder / "train.csv", folder / "test.csv"
    if test.exists():
        return train, test
    sample = _decoded(given, images, limit)
    held = split(sample.labels, sample.groups, TEST)
    items = [sample.file_list.items[row] for row in sample.table.used]
    folder.mkdir(exist_ok=True)
    for file, part in ((train, ~held), (test, held)):
        write_list(file, (items[row] for row in np.flatnonzero(part)))
    return train, test


def write_list(file: Path, items: Iterable[LabelledFile]) -> None:
    with file.open("w", encoding="utf-8", newline="") as text:
        rows = csv.writer(text)
        rows.writerow(("path", "label"))
        rows.writerows((item.path.resolve(), item.label) for item in items)


def _decoded(given: Given, images: Path, limit: int | None) -> LabelledDataset:
    """The pictures of a folder, or so many of them spread over it, without vectors."""
    file_list = list_labelled_files(images, DataOptions())
    file_list = replace(
        file_list, files=file_list.files[:: max(1, len(file_list.files) // (limit or len(file_list.files)))]
    )
    runtime = Runtime(given.work, RuntimeOptions(cache=False))
    return labelled_dataset(file_list, runtime.scan([item.path for item in file_list.items], what="images"))
