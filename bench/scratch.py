"""Networks trained from scratch: on a folder of images, on the shared photographs, and for their memory."""

import csv
import hashlib
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
from courses import Setup
from measure import Figures

from twofold.core.options import DataOptions, RuntimeOptions
from twofold.data import LabelledFile, list_labelled_files
from twofold.dataset import split
from twofold.dataset.labelled import LabelledDataset, labelled_dataset
from twofold.embedding import Runtime

TEST, VALIDATION = 0.1, 0.2222  # of all images; of the remaining ones, which is 20% of all
FEW = 150  # images of each class


def collection(setup: Setup, name: str, images: Path, recipe: str, size: int, limit: int | None) -> Figures:
    """The long run: a tenth of the images for testing, a fifth for validation and calibration, the rest for training."""
    train, test = split_lists(setup, images, limit)
    options = ["--test", str(test), "--mode", "scratch", "--recipe", recipe, "--image-size", str(size)]
    figures = setup.work / f"{name}.figures"
    result = setup.train(name, train, *options, "--validation", str(VALIDATION), *setup.more, "--figures", str(figures))
    setup.keep(name, setup.bundle(name) / "history.csv", figures / "curves.svg")
    return result


def photographs(setup: Setup, name: str) -> Figures:
    """The classic network at 96 px on the shared photographs."""
    options = ["--test", str(setup.data / "test"), "--mode", "scratch", "--image-size", "96"]
    return setup.train(name, setup.data / "train", *options, *setup.more)


def few(setup: Setup, name: str, dtype: str) -> Figures:
    """One epoch of the classic network at 200 px in batches of 128, on few images, for its peak memory."""
    files = list_labelled_files(setup.data / "train", DataOptions()).files
    labels = {file.label for file in files}
    by_class = {label: [file for file in files if file.label == label] for label in labels}
    write_list(setup.work / "few.csv", (file for members in by_class.values() for file in members[:FEW]))
    options = ["--mode", "scratch", "--image-size", "200", "--batch-size", "128", "--epochs", "1"]
    return setup.train(name, setup.work / "few.csv", *options, "--dtype", dtype)


def split_lists(setup: Setup, images: Path, limit: int | None) -> tuple[Path, Path]:
    """Lists of the usable images, train.csv and test.csv, written once; duplicates are in the same one."""
    folder = setup.work / hashlib.sha256(f"{images.resolve()} {limit}".encode()).hexdigest()[:8]
    train, test = folder / "train.csv", folder / "test.csv"
    if test.exists():
        return train, test
    dataset = _scan(setup, images, limit)
    test_mask = split(dataset.labels, dataset.groups, TEST)
    files = [dataset.file_list.files[row] for row in dataset.table.used]
    folder.mkdir(exist_ok=True)
    for path, mask in ((train, ~test_mask), (test, test_mask)):
        write_list(path, (files[row] for row in np.flatnonzero(mask)))
    return train, test


def write_list(path: Path, files: Iterable[LabelledFile]) -> None:
    with path.open("w", encoding="utf-8", newline="") as text:
        rows = csv.writer(text)
        rows.writerow(("path", "label"))
        rows.writerows((file.path.resolve(), file.label) for file in files)


def _scan(setup: Setup, images: Path, limit: int | None) -> LabelledDataset:
    """The images of a folder, or about `limit` of them at even steps, without features."""
    file_list = list_labelled_files(images, DataOptions())
    step = max(1, len(file_list.files) // (limit or len(file_list.files)))
    file_list = replace(file_list, files=file_list.files[::step])
    runtime = Runtime(setup.work, RuntimeOptions(cache=False))
    return labelled_dataset(file_list, runtime.scan([file.path for file in file_list.files], what="images"))
