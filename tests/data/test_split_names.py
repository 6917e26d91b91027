"""Splits of a data set are never taken for its classes, nor for one."""

import re
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from twofold.core.errors import DataError
from twofold.core.options import DataOptions
from twofold.data import SplitPlan, find_splits, list_labelled_files, plan_splits
from twofold.data.split_names import split_kind

NONE = DataOptions()
PETS = ("cats/1.jpg", "dogs/1.jpg")


def make(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")
    return folder


def inside(*folders: str) -> list[str]:
    return [f"{folder}/{name}" for folder in folders for name in PETS]


def read_error(data: Path, options: DataOptions = NONE) -> str:
    with pytest.raises(DataError) as caught:
        list_labelled_files(data, options)
    return str(caught.value)


def classes(data: Path) -> tuple[str, str]:
    return list_labelled_files(data, NONE).classes


@pytest.mark.parametrize(
    ("train", "other"),
    [
        ("pets_train", "pets_test"),
        ("train_small", "validation_small"),
        ("1_train", "2_test"),
        ("train2017", "val2017"),
        ("Training Set", "Hold-out Set"),
        ("data-train", "data-valid"),
        ("trainval", "test"),
        ("TrainImages", "TestImages"),
        ("X_train", "X_test"),
        ("cats-dogs.training", "new eval"),
        ("dataset_train_final", "dev"),
    ],
)
def test_splits_with_longer_names_get_the_two_commands(train: str, other: str, tmp_path: Path) -> None:
    make(tmp_path, *inside(train, other))
    said = read_error(tmp_path)
    assert f"holds splits ({train}, {other}), not classes" in said
    assert f"train on {tmp_path}/{train} and evaluate on {tmp_path}/{other}" in said
    assert find_splits(tmp_path) == [tmp_path / train, tmp_path / other]
    assert list_labelled_files(tmp_path, DataOptions(classes=(train, other))).files  # who means it can have it


@pytest.mark.parametrize("kind", ["folder", "zip", "tar"])
def test_splits_whose_test_images_have_no_labels_lead_to_predict(kind: str, tmp_path: Path) -> None:
    names = ["seg_train/seg_train/sea/1.jpg", "seg_train/seg_train/street/1.jpg", "seg_pred/seg_pred/1.jpg"]
    data = make(tmp_path / "scenes", *names)
    if kind != "folder":
        data = Path(shutil.make_archive(str(tmp_path / "packed"), kind, data))
    said = read_error(data)
    assert f"train on {data}/seg_train and predict {data}/seg_pred" in said
    assert classes(data / "seg_train") == ("sea", "street")


def test_of_several_splits_one_with_labels_is_evaluated_on(tmp_path: Path) -> None:
    names = ["seg_train/seg_train/sea/1.jpg", "seg_train/seg_train/street/1.jpg", "seg_pred/seg_pred/1.jpg"]
    names += ["seg_test/seg_test/sea/1.jpg", "seg_test/seg_test/street/1.jpg"]
    make(tmp_path, *names)
    assert plan_splits(find_splits(tmp_path)) == SplitPlan(tmp_path / "seg_train", evaluate=tmp_path / "seg_test")
    assert "seg_test" in read_error(tmp_path)


@pytest.mark.parametrize(
    "names",
    [
        inside("train", "extra"),
        inside("pets_train", "more"),
        inside("train_a", "train_b"),
        [*inside("train"), "models/best.bin"],
        [*inside("train"), "images/1.jpg", "images/2.jpg"],
        inside("val", "test"),
        inside("images", "test"),
        inside("fold1", "fold2"),
        [*inside("train"), *inside("test"), "train/classes.txt", "test/readme.md"],
    ],
)
def test_splits_are_told_by_the_folders_in_them(names: list[str], tmp_path: Path) -> None:
    assert "not classes: train on" in read_error(make(tmp_path, *names))


@pytest.mark.parametrize(
    "names",
    [
        ["train/1.jpg", "bus/1.jpg"],
        ["train/1/1.jpg", "train/2/1.jpg", "bus/1/1.jpg", "bus/2/1.jpg"],
        ["train/steam/1.jpg", "train/electric/1.jpg", "bus/city/1.jpg", "bus/school/1.jpg"],
        ["trained/1/1.jpg", "trained/2/1.jpg", "untrained/1/1.jpg", "untrained/2/1.jpg"],
        ["trained/day/1.jpg", "trained/night/1.jpg", "untrained/day/1.jpg", "untrained/night/1.jpg"],
        ["test_passed/1.jpg", "test_failed/1.jpg"],
        ["test_passed/day/1.jpg", "test_passed/night/1.jpg", "test_failed/day/1.jpg", "test_failed/night/1.jpg"],
        ["valid/1.jpg", "invalid/1.jpg"],
        ["valid/day/1.jpg", "valid/night/1.jpg", "invalid/day/1.jpg", "invalid/night/1.jpg"],
        ["cats/1/1.jpg", "cats/2/1.jpg", "dogs/1/1.jpg", "dogs/2/1.jpg"],
        ["train station/1.jpg", "test track/1.jpg"],
        ["contest/1.jpg", "interval/1.jpg"],
        ["cats/test/1.jpg", "cats/2.jpg", "dogs/test/1.jpg"],
    ],
)
def test_classes_with_names_like_those_of_splits_stay_classes(names: list[str], tmp_path: Path) -> None:
    make(tmp_path, *names)
    assert classes(tmp_path) == tuple(sorted({name.partition("/")[0] for name in names}))


def test_splits_below_the_classes_are_never_taken_for_one(tmp_path: Path) -> None:
    make(tmp_path, *(f"{label}/{split}/1.jpg" for label in ("my cats", "dogs") for split in ("train", "test")))
    for options in (NONE, DataOptions(classes=("dogs", "my cats"))):
        said = read_error(tmp_path, options)
        assert f"The class folders hold splits ({tmp_path}/dogs/train, {tmp_path}/dogs/test)" in said
    (loop,) = re.findall("run: (.*); then", said)
    subprocess.run(["sh", "-c", loop], cwd=tmp_path, check=True)
    for split in ("train", "test"):
        assert classes(tmp_path / "SPLITS" / split) == ("dogs", "my cats")
    assert "train on SPLITS/train and evaluate on SPLITS/test" in said


@pytest.mark.parametrize(
    "names",
    [
        ["cats/train/1.jpg", "cats/val/1.jpg", "dogs/1.jpg"],
        ["cats/photos/Train/1.jpg", "cats/photos/Test/1.jpg", "dogs/photos/Train/1.jpg", "dogs/photos/Test/1.jpg"],
        ["cats/cats_train/1.jpg", "cats/cats_test/1.jpg", "dogs/dogs_train/1.jpg", "dogs/dogs_test/1.jpg"],
    ],
)
def test_splits_anywhere_below_the_classes_are_refused(names: list[str], tmp_path: Path) -> None:
    assert "make a folder for each split" in read_error(make(tmp_path, *names))


def test_splits_below_the_classes_of_an_archive_are_to_be_fetched_first(tmp_path: Path) -> None:
    make(tmp_path / "all", *(f"{label}/{split}/1.jpg" for label in ("cats", "dogs") for split in ("train", "test")))
    with tarfile.open(tmp_path / "pets.tar", "w") as archive:
        archive.add(tmp_path / "all", "all")
    assert f"unpack {tmp_path}/pets.tar/all into a folder DATA, then run: for split" in read_error(
        tmp_path / "pets.tar"
    )


def test_splits_in_a_folder_that_is_read_by_pattern_are_refused(tmp_path: Path) -> None:
    make(tmp_path, *(f"{split}/{label}.1.jpg" for split in ("train", "test1") for label in ("cat", "dog")))
    said = read_error(tmp_path, DataOptions(label_pattern="^(cat|dog)"))
    assert f"train on {tmp_path}/train and evaluate on {tmp_path}/test1" in said
    assert "each with `label_pattern='^(cat|dog)'`" in said
    for path in (tmp_path / "test1").iterdir():
        path.rename(path.with_name(path.name[4:]))  # without a label they are no danger
    assert len(list_labelled_files(tmp_path, DataOptions(label_pattern="^(cat|dog)")).files) == 2


def test_classes_that_hold_the_same_folders_get_a_note(tmp_path: Path) -> None:
    make(tmp_path, *inside("2019", "2020"))
    (note,) = list_labelled_files(tmp_path, NONE).notes
    assert note.code == "shared-folders"
    assert "have the same sub-folders (cats, dogs)" in note.text
    assert str(tmp_path / "2019") in note.text
    make(tmp_path, "2019/1.jpg")
    assert list_labelled_files(tmp_path, NONE).notes == ()


def test_names_of_splits_are_known_in_any_spelling() -> None:
    for name in ("TRAIN", "train_01", "my-training data", "trainset", "imagetrain", "Pets Train", "TrainA"):
        assert split_kind(name) == "train"
    for name in ("TEST", "pets.val", "held_out", "HoldOut", "x_test", "testset", "predictions", "PublicTest"):
        assert split_kind(name) == "held-out"
    for name in (
        "trainer",
        "strain",
        "contest",
        "attest",
        "latest",
        "value",
        "invalid",
        "device",
        "trains",
        "évalué",
        "",
    ):
        assert split_kind(name) is None
