"""Sources become one sorted list of paths, each once; lists that cannot be used are refused with what is wrong."""

from pathlib import Path

import pyarrow
import pytest
from part_predictors import write_list
from pyarrow import parquet

from twofold.core.errors import DataError
from twofold.workflows.scale.path_list import check_sources, list_paths, to_line, to_path


def paths(*sources: Path) -> list[str]:
    check_sources([str(source) for source in sources])
    return [to_path(line) for line in list_paths(map(str, sources))]


def write_table(file: Path, **columns: list[object]) -> Path:
    parquet.write_table(pyarrow.table(columns), file)
    return file


def test_folders_and_lists_are_sorted_and_each_path_is_there_once(drawn: Path, tmp_path: Path) -> None:
    files = sorted(str(file) for file in drawn.rglob("*.png"))
    text = write_list(tmp_path / "a.txt", [*reversed(files), files[0], "", "b.jpg"])
    table = write_table(tmp_path / "b.parquet", path=[*files[:3], "b.jpg", "./b.jpg"], label=["x"] * 5)
    assert paths(drawn / "rings", text, table, drawn) == sorted([*files, str(tmp_path / "b.jpg")])


@pytest.mark.parametrize("name", ["a\nb", "a\\nb", "a\\", "\\\n\r", "\\\\n", "caf\udce9", "a b"])
def test_any_file_name_comes_back_from_its_line(name: str) -> None:
    assert to_path(to_line(name)) == name
    assert not {b"\n", b"\r"} & {to_line(name)[i : i + 1] for i in range(len(to_line(name)))}


def test_lists_that_cannot_be_used_are_refused(tmp_path: Path) -> None:
    (tmp_path / "cut.parquet").write_bytes(b"PAR1")
    cases = {
        tmp_path / "gone.txt": "There is no file or folder",
        write_list(tmp_path / "empty.txt", []): "There is no path in",
        write_list(tmp_path / "s3.txt", ["https://host/1.jpg"]): "names the address https://host/1.jpg",
        write_list(tmp_path / "binary.txt", ["a\0b"]): "line 1 holds a zero byte",
        write_table(tmp_path / "other.parquet", paths=["1.jpg"]): r"no column path of text \(did you mean 'paths'\?\)",
        write_table(tmp_path / "none.parquet", path=["1.jpg", None]): "no path in row 2",
        tmp_path / "cut.parquet": "cannot be read as Parquet",
    }
    for source, sentence in cases.items():
        with pytest.raises(DataError, match=sentence):
            paths(source)
