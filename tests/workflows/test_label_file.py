import csv
from pathlib import Path

import pytest
from drawings import draw_folder

from twofold.core.errors import DataError, TwofoldError, UsageError
from twofold.core.options import DataOptions
from twofold.data import list_labelled_files
from twofold.workflows.label_file import LabelFile, LabelRow

CLASSES = ("scratch", "sound")


def test_the_file_is_read_by_train_and_says_which_images_were_drawn_at_random(tmp_path: Path) -> None:
    paths = sorted(draw_folder(tmp_path / "images", 4).rglob("*.png"))
    odd = paths[0].rename(paths[0].with_name('a, "b"\r.png'))
    paths[0] = odd
    out = tmp_path / "labels.csv"
    rows = [LabelRow(str(path), CLASSES[number % 2], number > 4) for number, path in enumerate(paths)]
    LabelFile(out, CLASSES).write(rows)
    files = list_labelled_files(out, DataOptions()).files
    assert {(str(file.path), file.label) for file in files} == {(row.path, row.label) for row in rows}
    with out.open(encoding="utf-8", newline="") as text:
        drawn = [row["drawn_at_random"] for row in csv.DictReader(text)]
    assert drawn == ["false"] * 5 + ["true"] * 3
    assert LabelFile(out, CLASSES).rows == rows


def test_an_image_that_was_left_for_later_has_a_reason_instead_of_a_label_and_train_skips_it(tmp_path: Path) -> None:
    first, second, later = map(str, sorted(draw_folder(tmp_path / "images", 2).rglob("*.png"))[:3])
    out = tmp_path / "labels.csv"
    rows = [LabelRow(first, "scratch"), LabelRow(later, ""), LabelRow(second, "sound", True)]
    LabelFile(out, CLASSES).write(rows)
    with out.open(encoding="utf-8", newline="") as text:
        assert [(row["label"], row["reason"]) for row in csv.DictReader(text)] == [
            ("scratch", ""),
            ("", "unsure"),
            ("sound", ""),
        ]
    assert LabelFile(out, CLASSES).rows == rows
    file_list = list_labelled_files(out, DataOptions())
    assert [str(file.path) for file in file_list.files] == [first, second]
    assert [(str(skip.path), skip.code) for skip in file_list.skips] == [(later, "unlabelled")]


def test_a_file_without_the_column_of_reasons_is_continued_with_it(tmp_path: Path) -> None:
    out = tmp_path / "labels.csv"
    out.write_text("path,label,drawn_at_random\n/a,scratch,true\n")
    file = LabelFile(out, CLASSES)
    assert file.rows == [LabelRow("/a", "scratch", True)]
    file.write([*file.rows, LabelRow("/b", "")])
    assert out.read_text().splitlines() == [
        "path,label,drawn_at_random,reason",
        "/a,scratch,true,",
        "/b,,false,unsure",
    ]


def test_of_a_path_with_two_labels_the_last_one_holds_and_is_the_latest(tmp_path: Path) -> None:
    out = tmp_path / "labels.csv"
    out.write_text(
        "path,label,drawn_at_random\n/a,scratch,true\n/b,sound,false\n\n/a,sound,false\n", encoding="utf-8-sig"
    )
    assert LabelFile(out, CLASSES).rows == [LabelRow("/b", "sound"), LabelRow("/a", "sound")]


def test_an_empty_file_is_a_new_one(tmp_path: Path) -> None:
    out = tmp_path / "labels.csv"
    out.touch()
    assert LabelFile(out, CLASSES).rows == []


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("path,label\n/a,scratch\n", "other columns than path,label,drawn_at_random,reason"),
        ("path;label;drawn_at_random\n", "other columns"),
        ("path,label,drawn_at_random\n/a,scratch\n", "other columns"),
        ("path,label,drawn_at_random\n/a,cat,true\n", "has the label 'cat', but the classes are scratch and sound"),
        ("path,label,drawn_at_random\n/a,,true\n", "has the label ''"),
        ("path,label,drawn_at_random,reason\n/a,,true,unfamiliar\n", "has the label ''"),
        ("path,label,drawn_at_random,reason\n/a,scratch,true\n", "other columns"),
        ("some notes of mine\n", "other columns"),
    ],
)
def test_another_file_is_not_continued_and_stays_as_it_was(text: str, sentence: str, tmp_path: Path) -> None:
    out = tmp_path / "labels.csv"
    out.write_text(text)
    with pytest.raises(DataError, match=sentence):
        LabelFile(out, CLASSES)
    assert out.read_text() == text


@pytest.mark.parametrize(
    "classes", [("a", "a"), ("a", ""), (" ", "a"), ("a", "b "), ("a\n", "b"), ("a", "--no-browser"), ("a", "b\x1b")]
)
def test_classes_are_two_different_names(classes: tuple[str, str], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="`classes`"):
        LabelFile(tmp_path / "labels.csv", classes)
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_written_is_said_before_any_work(tmp_path: Path) -> None:
    for out in (tmp_path, tmp_path / "missing" / "labels.csv", Path("/dev/null")):
        with pytest.raises(UsageError):
            LabelFile(out, CLASSES)


def test_labels_that_another_program_has_written_are_not_overwritten(tmp_path: Path) -> None:
    out = tmp_path / "labels.csv"
    first, second = LabelFile(out, CLASSES), LabelFile(out, CLASSES)
    first.write([LabelRow("/a", "scratch")])
    with pytest.raises(TwofoldError, match="changed by another program"):
        second.write([LabelRow("/b", "sound")])
    assert LabelFile(out, CLASSES).rows == [LabelRow("/a", "scratch")]
    out.unlink()  # all answers are in memory, so that nothing is lost
    first.write([LabelRow("/a", "scratch"), LabelRow("/c", "sound")])
    assert len(LabelFile(out, CLASSES).rows) == 2
