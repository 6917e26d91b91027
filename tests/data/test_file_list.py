"""File lists: DATA as paths and labels."""

from pathlib import Path

import pytest

from twofold.core.errors import DataError, UsageError
from twofold.core.options import DataOptions
from twofold.data import list_labelled_files

NONE = DataOptions()


def make(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")
    return folder


def labelled(data: Path, options: DataOptions = NONE) -> dict[str, str]:
    return {str(file.path.relative_to(data)): file.label for file in list_labelled_files(data, options).files}


def test_a_folder_has_a_sub_folder_for_each_class(tmp_path: Path) -> None:
    make(tmp_path, "dogs/1.jpg", "cats/deep/2.jpg", "cats/1.jpg", "cats/notes.txt")
    file_list = list_labelled_files(tmp_path, NONE)
    assert [file.label for file in file_list.files] == ["cats", "cats", "cats", "dogs"]
    assert labelled(tmp_path) == {
        "cats/1.jpg": "cats",
        "cats/deep/2.jpg": "cats",
        "cats/notes.txt": "cats",
        "dogs/1.jpg": "dogs",
    }
    assert (file_list.classes, file_list.positive, file_list.notes) == (("cats", "dogs"), "dogs", ())
    assert list_labelled_files(tmp_path, NONE, positive="cats").negative_and_positive == ("dogs", "cats")


def test_class_folders_may_lie_inside_single_folders(tmp_path: Path) -> None:
    make(tmp_path, "archive/PetImages/Cat/1.jpg", "archive/PetImages/Dog/1.jpg", "archive/readme.txt", "__MACOSX/._x")
    file_list = list_labelled_files(tmp_path, NONE)
    assert file_list.classes == ("Cat", "Dog")
    assert [skip.code for skip in file_list.skips] == ["junk", "outside-classes"]
    assert "1 file outside the class folders, such as" in next(
        note.text for note in file_list.notes if note.code == "skipped-outside-classes"
    )


def test_skipped_paths_are_counted_in_notes(tmp_path: Path) -> None:
    make(tmp_path, "a/1.jpg", "a/._1.jpg", "a/Thumbs.db", "b/1.jpg", "c/1.jpg", "c/2.jpg", "stray.jpg")
    file_list = list_labelled_files(tmp_path, DataOptions(classes=("a", "b")))
    codes = [skip.code for skip in file_list.skips]
    assert sorted(codes) == ["junk", "junk", "other-class", "other-class", "outside-classes"]
    assert len(file_list.files) + len(file_list.skips) == 7
    texts = {note.code: note.text for note in file_list.notes}
    assert texts["skipped-junk"].startswith("Skipped 2 hidden or system files,")
    assert texts["skipped-other-class"].startswith("Skipped 2 files of other classes,")


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("train", "test"),
        ("train", "validation"),
        ("TrainingResult", "EvaluationResult"),
        ("train", "val"),
        ("training_set", "test_set"),
        ("train", "test1"),
    ],
)
def test_a_folder_of_splits_is_an_error_that_says_which_to_train_and_evaluate_on(
    tmp_path: Path, train: str, test: str
) -> None:
    make(tmp_path, f"my data/{train}/cats/1.jpg", f"my data/{test}/cats/1.jpg", "my data/vectorize.py")
    with pytest.raises(DataError) as raised:
        list_labelled_files(tmp_path, NONE)
    data = tmp_path / "my data"
    assert f"train on {data / train} and evaluate on {data / test}" in str(raised.value)


def test_classes_may_be_called_train_and_test_where_the_option_names_them(tmp_path: Path) -> None:
    make(tmp_path, "train/1.jpg", "test/1.jpg")
    assert list_labelled_files(tmp_path, DataOptions(classes=("train", "test"))).classes == ("test", "train")


def test_data_without_two_classes_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    make(tmp_path, "one/cats/1.jpg", "half/cats/1.jpg", "half/dogs/.DS_Store", "damaged.zip")
    (tmp_path / "empty").mkdir()
    cases = {
        "nowhere": "There is no .*nowhere",
        "one": r"got only cats \(1 file\)",
        "half": "class 'dogs' of .* has no files",
        "empty": "got none, and 0 files",
        "one/cats": r"got none, and 1 file without a class: make one sub-folder",
        "damaged.zip": "neither a folder, an archive",
    }
    for name, text in cases.items():
        with pytest.raises(DataError, match=text):
            list_labelled_files(tmp_path / name, NONE)


def test_a_flat_folder_is_read_with_a_label_pattern(tmp_path: Path) -> None:
    make(tmp_path, "cat.0.jpg", "dog.0.jpg", "more/dog.1.jpg", "horse.jpg", ".DS_Store")
    options = DataOptions(label_pattern="^(cat|dog)")
    assert labelled(tmp_path, options) == {"cat.0.jpg": "cat", "dog.0.jpg": "dog", "more/dog.1.jpg": "dog"}
    assert sorted(skip.code for skip in list_labelled_files(tmp_path, options).skips) == ["junk", "no-label"]


def test_a_label_pattern_that_does_not_fit_is_a_usage_error(tmp_path: Path) -> None:
    make(tmp_path, "list.csv")
    cases = [
        (tmp_path, "cat|dog", "has no group"),
        (tmp_path, "(cat", "not a regular expression"),
        (tmp_path / "list.csv", "(a)", "leave it out"),
    ]
    for data, pattern, text in cases:
        with pytest.raises(UsageError, match=text):
            list_labelled_files(data, DataOptions(label_pattern=pattern))


def test_a_table_keeps_its_order_and_groups(tmp_path: Path) -> None:
    make(tmp_path, "1.jpg", "2.jpg")
    (tmp_path / "list.CSV").write_text("path,label,group\n2.jpg,dog,litter\n1.jpg,cat,\n")
    files = list_labelled_files(tmp_path / "list.CSV", NONE).files
    assert [(file.path.name, file.label, file.group) for file in files] == [
        ("2.jpg", "dog", "litter"),
        ("1.jpg", "cat", None),
    ]


def test_links_to_a_folder_that_contains_them_are_skipped(tmp_path: Path) -> None:
    make(tmp_path, "data/a/1.jpg", "data/b/1.jpg")
    (tmp_path / "data/a/up").symlink_to(tmp_path / "data")
    (tmp_path / "round").mkdir()
    (tmp_path / "round/again").symlink_to(tmp_path / "round")
    assert len(list_labelled_files(tmp_path / "data", NONE).files) == 2
    with pytest.raises(DataError, match="two classes"):
        list_labelled_files(tmp_path / "round", NONE)
