"""Splits of a data set are recognised: they are neither classes nor mixed with each other."""

import shutil
import tarfile
from itertools import product
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


def error_message(data: Path, options: DataOptions = NONE) -> str:
    with pytest.raises(DataError) as raised:
        list_labelled_files(data, options)
    return str(raised.value)


def classes(data: Path) -> tuple[str, str]:
    return list_labelled_files(data, NONE).classes


@pytest.mark.parametrize(
    ("train", "test"),
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
def test_splits_with_longer_names_are_recognised(train: str, test: str, tmp_path: Path) -> None:
    make(tmp_path, *inside(train, test))
    message = error_message(tmp_path)
    assert f"holds splits ({train}, {test}), not classes" in message
    assert f"train on {tmp_path}/{train} and evaluate on {tmp_path}/{test}" in message
    assert find_splits(tmp_path) == [tmp_path / train, tmp_path / test]
    assert list_labelled_files(tmp_path, DataOptions(classes=(train, test))).files  # named as classes


@pytest.mark.parametrize("kind", ["folder", "zip", "tar"])
def test_test_images_without_labels_are_to_be_predicted(kind: str, tmp_path: Path) -> None:
    names = ["seg_train/seg_train/sea/1.jpg", "seg_train/seg_train/street/1.jpg", "seg_pred/seg_pred/1.jpg"]
    data = make(tmp_path / "scenes", *names)
    if kind != "folder":
        data = Path(shutil.make_archive(str(tmp_path / "packed"), kind, data))
    message = error_message(data)
    assert f"train on {data}/seg_train and predict {data}/seg_pred" in message
    assert classes(data / "seg_train") == ("sea", "street")


def test_a_held_out_split_with_labels_is_preferred_for_evaluation(tmp_path: Path) -> None:
    names = ["seg_train/seg_train/sea/1.jpg", "seg_train/seg_train/street/1.jpg", "seg_pred/seg_pred/1.jpg"]
    names += ["seg_test/seg_test/sea/1.jpg", "seg_test/seg_test/street/1.jpg"]
    make(tmp_path, *names)
    assert plan_splits(find_splits(tmp_path)) == SplitPlan(tmp_path / "seg_train", evaluate=tmp_path / "seg_test")
    assert "seg_test" in error_message(tmp_path)


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
def test_splits_are_recognised_by_their_sub_folders(names: list[str], tmp_path: Path) -> None:
    assert "not classes: train on" in error_message(make(tmp_path, *names))


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
def test_classes_with_names_similar_to_splits_stay_classes(names: list[str], tmp_path: Path) -> None:
    make(tmp_path, *names)
    assert classes(tmp_path) == tuple(sorted({name.partition("/")[0] for name in names}))


def test_splits_inside_the_classes_are_an_error_that_says_how_to_arrange_them(tmp_path: Path) -> None:
    make(tmp_path, *(f"{label}/{split}/1.jpg" for label in ("my cats", "dogs") for split in ("train", "test")))
    for options in (NONE, DataOptions(classes=("dogs", "my cats"))):
        message = error_message(tmp_path, options)
        assert (
            f"The class folders hold splits ({tmp_path}/dogs/train, {tmp_path}/dogs/test), which would be mixed"
            in message
        )
        assert message.endswith(": make a folder for each split with the classes in it, as in train/cats.")
    for label, split in product(("my cats", "dogs"), ("train", "test")):
        shutil.move(tmp_path / label / split, make(tmp_path / "splits", f"{split}/x").joinpath(split, label))
    for split in ("train", "test"):
        assert classes(tmp_path / "splits" / split) == ("dogs", "my cats")


@pytest.mark.parametrize(
    "names",
    [
        ["cats/train/1.jpg", "cats/val/1.jpg", "dogs/1.jpg"],
        ["cats/photos/Train/1.jpg", "cats/photos/Test/1.jpg", "dogs/photos/Train/1.jpg", "dogs/photos/Test/1.jpg"],
        ["cats/cats_train/1.jpg", "cats/cats_test/1.jpg", "dogs/dogs_train/1.jpg", "dogs/dogs_test/1.jpg"],
    ],
)
def test_splits_anywhere_below_the_classes_are_an_error(names: list[str], tmp_path: Path) -> None:
    assert "make a folder for each split" in error_message(make(tmp_path, *names))


def test_an_archive_with_splits_inside_the_classes_is_to_be_unpacked_first(tmp_path: Path) -> None:
    make(tmp_path / "all", *(f"{label}/{split}/1.jpg" for label in ("cats", "dogs") for split in ("train", "test")))
    with tarfile.open(tmp_path / "pets.tar", "w") as archive:
        archive.add(tmp_path / "all", "all")
    assert f": unpack {tmp_path}/pets.tar/all and make a folder for each split" in error_message(tmp_path / "pets.tar")


def test_splits_in_a_folder_that_is_read_with_a_label_pattern_are_an_error(tmp_path: Path) -> None:
    make(tmp_path, *(f"{split}/{label}.1.jpg" for split in ("train", "test1") for label in ("cat", "dog")))
    message = error_message(tmp_path, DataOptions(label_pattern="^(cat|dog)"))
    assert f"train on {tmp_path}/train and evaluate on {tmp_path}/test1" in message
    assert "each with `label_pattern='^(cat|dog)'`" in message
    for path in (tmp_path / "test1").iterdir():
        path.rename(path.with_name(path.name[4:]))  # files without a label are skipped, so nothing is mixed
    assert len(list_labelled_files(tmp_path, DataOptions(label_pattern="^(cat|dog)")).files) == 2


def test_classes_with_the_same_sub_folders_lead_to_a_note(tmp_path: Path) -> None:
    make(tmp_path, *inside("2019", "2020"))
    (note,) = list_labelled_files(tmp_path, NONE).notes
    assert note.code == "shared-folders"
    assert "have the same sub-folders (cats, dogs)" in note.text
    assert str(tmp_path / "2019") in note.text
    make(tmp_path, "2019/1.jpg")
    assert list_labelled_files(tmp_path, NONE).notes == ()


def test_names_of_splits_are_recognised_in_many_spellings() -> None:
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
