"""twofold report, and the reports that train, evaluate and decide write."""

import re
import shutil
from pathlib import Path

import pytest
from drawings import draw_folder

from twofold.bundle import load_bundle
from twofold.cli import main
from twofold.cli.report_command import write_report
from twofold.core.errors import DataError


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "report-cache"))


@pytest.fixture
def copied(bundle: Path, tmp_path: Path) -> Path:
    """A bundle that a test may change."""
    return Path(shutil.copytree(bundle, tmp_path / "copied.twofold"))


def html(folder: Path) -> str:
    return (folder / "report.html").read_text(encoding="utf-8")


def sheets(page: str) -> list[str]:
    return re.findall(r"url\(data:image/jpeg;base64,([^)]*)\)", page)


def test_a_report_is_written_into_the_bundle_which_stays_usable(copied: Path, drawn: Path) -> None:
    assert main(["report", str(copied), "--data", str(drawn), "--quiet"]) == 0
    assert sheets(html(copied))
    load_bundle(copied)


def test_a_report_without_data_keeps_the_images_of_the_one_before(copied: Path, drawn: Path, tmp_path: Path) -> None:
    assert main(["report", str(copied), "--data", str(drawn), "--quiet"]) == 0
    assert main(["report", str(copied), "--quiet", "--out", str(tmp_path / "r.html")]) == 0
    assert sheets((tmp_path / "r.html").read_text(encoding="utf-8")) == sheets(html(copied))


def test_images_of_the_test_set_are_shown_and_kept(
    copied: Path, drawn: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["report", str(copied), "--quiet"]
    assert main([*words, "--data", str(drawn)]) == 0
    assert "note: No test image is shown; give them with --test." in capsys.readouterr().err
    assert main([*words, "--test", str(drawn.parent / "other")]) == 0
    assert capsys.readouterr().err == ""
    kept = sheets(html(copied))
    assert len(kept) == 2  # a sheet of the test set, and that of the training
    assert main([*words, "--data", str(drawn)]) == 0
    assert sorted(sheets(html(copied))) == sorted(kept)


def test_another_rule_gets_a_report_with_the_same_images(copied: Path, drawn: Path) -> None:
    assert main(["report", str(copied), "--data", str(drawn), "--quiet"]) == 0
    before = html(copied)
    assert main(["decide", str(copied), "--threshold", "0.123", "--write", "--quiet"]) == 0
    after = html(copied)
    assert "at least 0.123" in after
    assert "at least 0.123" not in before
    assert sheets(after) == sheets(before)


def test_another_rule_of_a_bundle_without_a_report_writes_none(copied: Path) -> None:
    assert main(["decide", str(copied), "--threshold", "0.123", "--write", "--quiet"]) == 0
    assert not (copied / "report.html").exists()


def test_images_that_have_moved_are_counted(
    copied: Path, drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = Path(shutil.copytree(drawn, tmp_path / "data"))
    shutil.rmtree(data / "bars")
    assert main(["report", str(copied), "--data", str(data), "--quiet"]) == 0
    sentence = "20 of 40 training images are no longer where they were at the training"
    assert sentence in capsys.readouterr().err
    assert sentence in html(copied)


def test_training_writes_a_report_with_images_unless_told_otherwise(drawn: Path, tmp_path: Path) -> None:
    words = ["train", str(drawn), "--out", str(tmp_path / "b.twofold"), "--quiet", "--force"]
    assert main(words) == 0
    assert sheets(html(tmp_path / "b.twofold"))
    assert "How many images would help" in html(tmp_path / "b.twofold")
    assert main([*words, "--no-thumbnails"]) == 0  # over a bundle with a report
    assert not sheets(html(tmp_path / "b.twofold"))
    assert str(tmp_path) not in html(tmp_path / "b.twofold").replace(str(drawn), "").replace(f"--out {tmp_path}", "")


def test_an_evaluation_writes_a_report_beside_its_figures(bundle: Path, tmp_path: Path) -> None:
    data = draw_folder(tmp_path / "data", 8, start=300)
    assert main(["evaluate", str(bundle), str(data), "--out", str(tmp_path / "out"), "--quiet"]) == 0
    assert sheets(html(tmp_path / "out"))


def test_a_report_that_cannot_be_written_is_a_note(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        raise DataError("No score is here.")

    write_report(fail, tmp_path / "report.html")  # type: ignore[arg-type]
    assert "report.html could not be written (No score is here.)" in capsys.readouterr().err


def test_a_file_in_the_way_is_one_sentence(copied: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    assert main(["report", str(copied), "--out", str(tmp_path / "file" / "r.html"), "--quiet"]) != 0
    assert capsys.readouterr().err.count("\n") == 1
