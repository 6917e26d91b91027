"""Labels after a review: by content, wherever the files lie."""

import hashlib
from pathlib import Path

import pytest
from drawings import draw_folder

from twofold.core.errors import DataError
from twofold.core.options import DataOptions
from twofold.data import DecisionsFile, ReviewDecision, list_labelled_files
from twofold.data.review_decisions import DecisionKind


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def decide(file: Path, *decisions: tuple[str, DecisionKind, str]) -> DataOptions:
    writer = DecisionsFile(file)
    writer.append(
        [ReviewDecision(writer.now(), key, kind, value, session=writer.session) for key, kind, value in decisions]
    )
    return DataOptions(decisions=file)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return draw_folder(tmp_path / "images", 3)


def test_labels_are_replaced_and_files_excluded_by_content(images: Path, tmp_path: Path) -> None:
    wrong, blank, kept = (images / name for name in ("bars/bars-000.png", "rings/rings-001.png", "bars/bars-001.png"))
    decisions = (sha256(wrong), "label", "rings"), (sha256(blank), "exclude", ""), (sha256(kept), "keep", "")
    options = decide(tmp_path / "d.csv", *decisions, ("0" * 64, "keep", ""))  # type: ignore[arg-type]
    wrong = wrong.rename(wrong.with_name("moved.png"))
    file_list = list_labelled_files(images, options)
    labels = {file.path.name: file.label for file in file_list.files}
    assert labels == {
        "moved.png": "rings",
        **{f"bars-00{number}.png": "bars" for number in (1, 2)},
        **{f"rings-00{number}.png": "rings" for number in (0, 2)},
    }
    assert [(skip.path, skip.code) for skip in file_list.skips] == [(blank, "excluded")]
    texts = {note.code: note.text for note in file_list.notes}
    assert texts["review-decisions"] == "Review decisions on 3 images: labels of 1 file changed, 1 file excluded."
    assert texts["review-unmatched"] == "1 review decision matches no file by content, and changed nothing."
    assert "review-damaged" not in texts


def test_a_label_decides_a_conflict_for_all_files_of_that_content(images: Path, tmp_path: Path) -> None:
    source = images / "bars/bars-000.png"
    (images / "rings/again.png").write_bytes(source.read_bytes())
    options = decide(tmp_path / "d.csv", (sha256(source), "label", "bars"))
    labels = {file.path.name: file.label for file in list_labelled_files(images, options).files}
    assert labels["again.png"] == labels["bars-000.png"] == "bars"


def test_a_class_that_data_does_not_have_changes_nothing_and_is_named(images: Path, tmp_path: Path) -> None:
    options = decide(tmp_path / "d.csv", (sha256(images / "bars/bars-000.png"), "label", "ring"))
    file_list = list_labelled_files(images, options)
    assert [file.label for file in file_list.files] == ["bars"] * 3 + ["rings"] * 3
    assert any("for other classes than bars and rings, such as 'ring'" in note.text for note in file_list.notes)


def test_a_decisions_file_that_is_missing_is_an_error(images: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        list_labelled_files(images, DataOptions(decisions=tmp_path / "none.csv"))
