"""The file report as a CSV file."""

import csv
from collections.abc import Iterator
from pathlib import Path

import pytest

from twofold.audit import FileReportRow, write_file_report

COLUMNS = "path,label,status,reason,width,height,format,bytes,sha256,group,duplicate_of,p_label_error"


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_every_row_is_written_and_unknown_values_are_empty(tmp_path: Path) -> None:
    metadata = (40, 30, "JPEG", 1000, "ab" * 32, 0)
    flagged = FileReportRow("a, b.jpg", "cats", "flagged", "possible-label-error", *metadata, "d, e.jpg", 0.97312)
    skipped = FileReportRow('"c".jpg', None, "skipped", "truncated")
    write_file_report([flagged, skipped], tmp_path / "files.csv")
    first, second = read(tmp_path / "files.csv")
    assert list(first) == COLUMNS.split(",")
    known = (
        "a, b.jpg",
        "cats",
        "flagged",
        "possible-label-error",
        "40",
        "30",
        "JPEG",
        "1000",
        "ab" * 32,
        "0",
        "d, e.jpg",
        "0.9731",
    )
    assert tuple(first.values()) == known
    assert tuple(second.values()) == ('"c".jpg', "", "skipped", "truncated", *[""] * 8)


def test_a_name_that_is_not_unicode_is_written_as_an_escape(tmp_path: Path) -> None:
    path = b"caf\xe9.jpg".decode("utf-8", "surrogateescape")
    write_file_report([FileReportRow(path, "cats", "used")], tmp_path / "files.csv")
    assert read(tmp_path / "files.csv")[0]["path"] == "caf\\udce9.jpg"


@pytest.mark.parametrize("name", ["a\nb.jpg", "a\rb.jpg", "a\r\nb.jpg", 'a"b.jpg', " a,b.jpg"])
def test_a_name_with_a_line_end_is_read_back(name: str, tmp_path: Path) -> None:
    write_file_report([FileReportRow(name, "cats", "used")] * 2, tmp_path / "files.csv")
    assert [row["path"] for row in read(tmp_path / "files.csv")] == [name] * 2


def test_a_file_report_is_complete_or_not_replaced(tmp_path: Path) -> None:
    def rows() -> Iterator[FileReportRow]:
        yield FileReportRow("new.jpg", "cats", "used")
        raise KeyboardInterrupt

    path = tmp_path / "files.csv"
    write_file_report([FileReportRow("old.jpg", "cats", "used")], path)
    with pytest.raises(KeyboardInterrupt):
        write_file_report(rows(), path)
    assert [row["path"] for row in read(path)] == ["old.jpg"]
    assert list(tmp_path.iterdir()) == [path]
