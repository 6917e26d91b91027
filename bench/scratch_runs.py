"""Networks trained from scratch: on a folder of images, on the photographs, and for peak memory."""

import csv
import hashlib
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
from journal import Record
from training_runs import TrainingSetup

from twofold.core.options import DataOptions, RuntimeOptions
from twofold.data import LabelledFile, list_labelled_files
from twofold.dataset import split
from twofold.dataset.labelled import LabelledDataset, labelled_dataset
from twofold.embedding import Runtime

TEST, VALIDATION = 0.1, 0.2222  # of all images; of those without the test images, which is 20% of all
IMAGES_PER_CLASS = 150  # of the run for memory


def train_on_folder(setup: TrainingSetup, name: str, images: Path, recipe: str, size: int, limit: int | None) -> Record:
    """The long run: 10% of the images for testing, 20% for validation and calibration, 70% for training."""
    train, test = split_lists(setup, images, limit)
    options = ["--test", str(test), "--mode", "scratch", "--recipe", recipe, "--image-size", str(size)]
    figures_folder = setup.work / f"{name}.figures"
    options += ["--validation", str(VALIDATION), *setup.options, "--figures", str(figures_folder)]
    result = setup.train(name, train, *options)
    setup.copy_curves(name, setup.bundle(name) / "history.csv", figures_folder / "curves.svg")
    return result


def train_on_photographs(setup: TrainingSetup, name: str) -> Record:
    """The classic network at 96 px on the photographs."""
    options = ["--test", str(setup.data / "test"), "--mode", "scratch", "--image-size", "96"]
    return setup.train(name, setup.data / "train", *options, *setup.options)


def train_for_memory(setup: TrainingSetup, name: str, dtype: str) -> Record:
    """One epoch of the classic network at 200 px in batches of 128, on few images, for peak memory."""
    files = list_labelled_files(setup.data / "train", DataOptions()).files
    labels = {file.label for file in files}
    files_by_class = {label: [file for file in files if file.label == label] for label in labels}
    write_list(
        setup.work / "memory.csv",
        (file for class_files in files_by_class.values() for file in class_files[:IMAGES_PER_CLASS]),
    )
    options = ["--mode", "scratch", "--image-size", "200", "--batch-size", "128", "--epochs", "1"]
    return setup.train(name, setup.work / "memory.csv", *options, "--dtype", dtype)


def split_lists(setup: TrainingSetup, images: Path, limit: int | None) -> tuple[Path, Path]:
    """The files train.csv and test.csv with the usable images, written once. Duplicates are in the same file."""
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


def _scan(setup: TrainingSetup, images: Path, limit: int | None) -> LabelledDataset:
    """The images of a folder, or about `limit` of them at regular steps, without features."""
    file_list = list_labelled_files(images, DataOptions())
    step = max(1, len(file_list.files) // (limit or len(file_list.files)))
    file_list = replace(file_list, files=file_list.files[::step])
    runtime = Runtime(setup.work, RuntimeOptions(cache=False))
    return labelled_dataset(file_list, runtime.scan([file.path for file in file_list.files], what="images"))
