"""Sources become one sorted list of paths, each once; lists that cannot be used are refused with what is wrong."""

from pathlib import Path

import pyarrow
import pytest
from part_archives import tar_of
from part_predictors import write_list
from pyarrow import parquet

from twofold.core.errors import DataError
from twofold.workflows.scale.sources.path_list import check_sources, list_paths, to_line, to_path


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


def test_archives_in_lists_are_their_images_without_labels_and_captions(tmp_path: Path) -> None:
    members = ["0001.jpg", "0001.json", "0001.cls", "b/2.PNG", "b/2.txt", "b/3.seg.png", "c/2.txt", ".x.jpg", "readme"]
    (tmp_path / "shard-0.tar").write_bytes(tar_of(dict.fromkeys(members, b"x")))
    expected = ["0001.jpg", "b/2.PNG", "b/3.seg.png", "c/2.txt", "readme"]
    listed = write_list(tmp_path / "shards.txt", ["shard-0.tar", "shard-1.tar"])
    assert paths(tmp_path / "shard-0.tar") == [f"{tmp_path}/shard-0.tar/{name}" for name in expected]
    assert paths(listed) == [
        *paths(tmp_path / "shard-0.tar"),
        f"{tmp_path}/shard-1.tar",
    ]  # which is missing, and has a row
    assert paths(tmp_path / "shard-0.tar" / "b") == [f"{tmp_path}/shard-0.tar/{name}" for name in expected[1:3]]


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
