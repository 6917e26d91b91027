"""Pictures listed in a CSV file."""

from pathlib import Path

import pytest

from twofold.data.tables import read_table
from twofold.errors import DataError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.jpg", "b, c.jpg", "d.jpg"):
        (tmp_path / name).write_bytes(b"x")
    return tmp_path


def write(folder: Path, text: str | bytes) -> Path:
    table = folder / "list.csv"
    table.write_bytes(text if isinstance(text, bytes) else text.encode())
    return table


def test_paths_are_relative_to_the_table(folder: Path) -> None:
    table = write(folder, f"path,label,group\na.jpg,cat,1\n{folder}/d.jpg,dog,\n")
    assert read_table(table) == [(folder / "a.jpg", "cat", "1"), (folder / "d.jpg", "dog", None)]


def test_a_table_may_come_from_excel_on_windows(folder: Path) -> None:
    table = write(folder, '\ufeffLabel,Path ,more\r\ncat,a.jpg,1\r\n\r\n dog ,"b, c.jpg",2\r\n,,\r\n')
    assert read_table(table) == [(folder / "a.jpg", "cat", None), (folder / "b, c.jpg", "dog", None)]


def test_names_need_not_be_unicode(folder: Path) -> None:
    name = b"caf\xe9.jpg"
    path = folder / name.decode("utf-8", "surrogateescape")
    path.write_bytes(b"x")
    assert read_table(write(folder, b"path,label\n" + name + b",cat\n")) == [(path, "cat", None)]


def test_missing_columns_are_named(folder: Path) -> None:
    with pytest.raises(DataError, match=r"no column 'path' and 'label'.*it is 'a\.jpg,cat'"):
        read_table(write(folder, "a.jpg,cat\n"))
    with pytest.raises(DataError, match="no column 'path' and 'label'"):
        read_table(write(folder, ""))


def test_all_rows_without_a_file_are_told_at_once(folder: Path) -> None:
    rows = "".join(f"{number}.jpg,cat\n" for number in range(15))
    with pytest.raises(DataError, match=r"15 rows .* name no file \(line 2: .*0\.jpg; .*9\.jpg and 5 more\)"):
        read_table(write(folder, "path,label\n" + rows))


def test_rows_that_lack_something_or_contradict_each_other_are_told(folder: Path) -> None:
    with pytest.raises(DataError, match=r"2 rows .* empty path or label \(line 3; line 4\)"):
        read_table(write(folder, "path,label\na.jpg,cat\nd.jpg\n,dog\n"))
    with pytest.raises(DataError, match=r"2 rows .* one path two labels"):
        read_table(write(folder, "path,label\na.jpg,cat\na.jpg,dog\nd.jpg,dog\n"))
    with pytest.raises(DataError, match=r"2 rows .* one path two groups \(line 2.*line 3"):
        read_table(write(folder, "path,label,group\na.jpg,cat,1\na.jpg,cat,2\nd.jpg,dog,1\n"))


def test_a_row_given_twice_counts_once(folder: Path) -> None:
    assert len(read_table(write(folder, "path,label\na.jpg,cat\na.jpg,cat\n"))) == 1


def test_what_is_no_text_is_an_error(folder: Path) -> None:
    with pytest.raises(DataError, match="list.csv"):
        read_table(write(folder, "path,label\na.jpg,cat\n".encode("utf-16")))
