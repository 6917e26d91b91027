"""Parquet files with images in a column are read in place."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from twofold.core.errors import DataError
from twofold.core.options import DataOptions
from twofold.data import ReadError, list_files, list_labelled_files, read_bytes

NONE = DataOptions()
FEATURES = {"image": {"_type": "Image"}, "labels": {"_type": "ClassLabel", "names": ["cat", "dog"]}}


def write(
    file: Path,
    labels: list[Any],
    *,
    column: str = "labels",
    features: object = None,
    names: bool = False,
    **options: Any,
) -> Path:
    """A file of rows with the bytes `row 0`, `row 1` and so on."""
    file.parent.mkdir(exist_ok=True)
    images = [{"bytes": b"row %d" % row, "path": f"old/{row}.png" if names else None} for row in range(len(labels))]
    struct = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    table = pa.table({"image": pa.array(images, struct), column: labels})
    if features is not None:
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    pq.write_table(table, file, **options)
    return file


def rows(file: Path) -> dict[str, tuple[str, bytes | ReadError]]:
    items = list_labelled_files(file, NONE).files
    return {str(item.path.relative_to(file)): (item.label, read_bytes(item.path)) for item in items}


def test_a_row_is_an_image_of_the_class_that_hugging_face_names(tmp_path: Path) -> None:
    file = write(tmp_path / "pets.parquet", [1, 0, 1], features=FEATURES)
    assert rows(file) == {
        "cat/000001": ("cat", b"row 1"),
        "dog/000000": ("dog", b"row 0"),
        "dog/000002": ("dog", b"row 2"),
    }
    assert list_files([file]) == [file / "cat/000001", file / "dog/000000", file / "dog/000002"]


def test_a_row_has_the_file_name_that_it_stores(tmp_path: Path) -> None:
    file = write(tmp_path / "pets.parquet", ["cat", "dog"], column="label", names=True)
    assert rows(file) == {"cat/000000-0.png": ("cat", b"row 0"), "dog/000001-1.png": ("dog", b"row 1")}


@pytest.mark.parametrize(
    ("labels", "classes"),
    [([0, 1], ("0", "1")), ([True, False], ("False", "True")), (["a/b", "c:d"], ("a-b", "c-d"))],
)
def test_classes_without_names_are_named_by_their_values(labels: list[Any], classes: Any, tmp_path: Path) -> None:
    assert list_labelled_files(write(tmp_path / "a.parquet", labels, column="label"), NONE).classes == classes


def test_rows_without_a_class_are_skipped(tmp_path: Path) -> None:
    file = write(tmp_path / "pets.parquet", [1, 0, -1, None], features=FEATURES)
    skips = list_labelled_files(file, NONE).skips
    assert [(skip.path, skip.code) for skip in skips] == [
        (file / "000002", "outside-classes"),
        (file / "000003", "outside-classes"),
    ]


def test_many_row_groups_are_read_by_several_threads(tmp_path: Path) -> None:
    file = write(tmp_path / "pets.parquet", [row % 2 for row in range(300)], column="label", row_group_size=7)
    items = list_labelled_files(file, NONE).files
    with ThreadPoolExecutor(8) as pool:
        contents = list(pool.map(lambda item: read_bytes(item.path), items))
    assert contents == [b"row %d" % int(item.path.name) for item in items]


def test_a_column_may_hold_the_bytes_themselves(tmp_path: Path) -> None:
    table = pa.table({"id": [1, 2], "jpg": pa.array([b"a", None], pa.large_binary()), "label": ["x", "y"]})
    pq.write_table(table, tmp_path / "a.parquet")
    first, second = (data for _, data in rows(tmp_path / "a.parquet").values())
    assert first == b"a"
    assert isinstance(second, ReadError)
    assert second.code == "missing"


def test_a_row_group_over_the_limit_is_not_read(tmp_path: Path) -> None:
    from twofold.data.archives import read_member

    file = write(tmp_path / "a.parquet", ["x", "y"], column="label")
    error = read_member(file / "x/000000", 20)
    assert isinstance(error, ReadError)
    assert error.code == "too-large"


@pytest.mark.parametrize("encoding", [None, "DELTA_BYTE_ARRAY"])
def test_one_value_for_many_rows_does_not_fill_the_memory(encoding: str | None, tmp_path: Path) -> None:
    from twofold.data.archives import read_member

    images = [b"x" * 100_000 + (b"%d" % row if encoding else b"") for row in range(500)]
    table = pa.table({"image": images, "label": ["a", "b"] * 250})
    file = tmp_path / "a.parquet"
    pq.write_table(
        table,
        file,
        use_dictionary=not encoding,
        column_encoding={"image": encoding} if encoding else None,
        compression="none",
    )
    assert file.stat().st_size < 200_000
    del table
    items, before = list_labelled_files(file, NONE).files, pa.total_allocated_bytes()
    limit = 1_000_000
    codes = {error.code for item in items if isinstance(error := read_member(item.path, limit), ReadError)}
    assert codes == {"too-large"}
    assert pa.total_allocated_bytes() - before < 2 * limit


def test_labels_that_fill_the_memory_are_an_error(tmp_path: Path) -> None:
    file = write(tmp_path / "a.parquet", ["a" * 300_000, "b"] * 400, column="label", compression="none")
    assert file.stat().st_size < 400_000
    with pytest.raises(DataError, match="take more than 100,000,000 bytes"):
        list_labelled_files(file, NONE)


def test_more_rows_than_bytes_are_an_error(tmp_path: Path) -> None:
    pq.write_table(pa.table({"image": [b"x"] * 5_000, "label": ["a"] * 5_000}), tmp_path / "a.parquet")
    with pytest.raises(DataError, match="more rows than it has bytes"):
        list_labelled_files(tmp_path / "a.parquet", NONE)


def test_a_folder_of_parquet_files_is_one_data_set(tmp_path: Path) -> None:
    for shard in range(2):
        write(tmp_path / f"train-0000{shard}-of-00002.parquet", [shard, 0], column="label")
    items = list_labelled_files(tmp_path, NONE).files
    assert [(str(item.path.relative_to(tmp_path)), item.label) for item in items] == [
        ("train-00000-of-00002.parquet/0/000000", "0"),
        ("train-00000-of-00002.parquet/0/000001", "0"),
        ("train-00001-of-00002.parquet/0/000001", "0"),
        ("train-00001-of-00002.parquet/1/000000", "1"),
    ]
    write(tmp_path / "test-00000-of-00001.parquet", [0, 1], column="label")
    with pytest.raises(DataError, match="several splits"):
        list_labelled_files(tmp_path, NONE)


def test_the_rows_of_a_folder_of_parquet_files_are_listed(tmp_path: Path) -> None:
    names = ["test.parquet", "train.parquet"]
    for name in names:
        write(tmp_path / "pets" / name, [0, 1], column="label")
    assert list_files([tmp_path / "pets"]) == [
        tmp_path / "pets" / name / row for name in names for row in ("0/000000", "1/000001")
    ]
    (tmp_path / "pets/a.jpg").touch()
    assert [path.name for path in list_files([tmp_path / "pets"])] == ["a.jpg", *names]


@pytest.mark.parametrize("features", [[], {"labels": 3}, {"labels": {"names": 3}}, "x"])
def test_odd_metadata_of_hugging_face_are_ignored(features: object, tmp_path: Path) -> None:
    assert list_labelled_files(write(tmp_path / "a.parquet", [0, 1], features=features), NONE).classes == ("0", "1")


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["a"], "label": [1]}), tmp_path / "text.parquet")
    pq.write_table(pa.table({"image": [b"a"], "kind": [1]}), tmp_path / "unlabelled.parquet")
    complete = write(tmp_path / "complete.parquet", [0, 1]).read_bytes()
    (tmp_path / "cut.parquet").write_bytes(complete[:-20])
    (tmp_path / "tail.parquet").write_bytes(complete[:4] + complete[-200:])
    cases = {
        "text": "has no column of images .*; its columns are text, label",
        "unlabelled": "has no column of labels .*; its columns are image, kind",
        "cut": "cut short or damaged",
        "tail": "cut short or damaged",
    }
    for name, text in cases.items():
        with pytest.raises(DataError, match=text):
            list_labelled_files(tmp_path / f"{name}.parquet", NONE)


def test_damaged_row_groups_are_refused(tmp_path: Path) -> None:
    file = write(tmp_path / "a.parquet", ["x", "y"], column="label", use_dictionary=False, compression="zstd")
    data = bytearray(file.read_bytes())
    data[4:60] = bytes(56)
    file.write_bytes(data)
    types = {type(data) for _, data in rows(file).values()}
    assert types == {ReadError}


def test_rows_of_several_splits_are_refused(tmp_path: Path) -> None:
    images = pa.array([b"row 0", b"row 1"])
    for name, values, several in [
        ("split", ["train", "test"], True),
        ("set", ["train", "validation"], True),
        ("data_split", [0, 1], True),
        ("split", ["train", "train"], False),
        ("set", ["a", "b"], False),
    ]:
        pq.write_table(pa.table({"image": images, "label": ["cat", "dog"], name: values}), tmp_path / "a.parquet")
        if several:
            with pytest.raises(DataError, match="rows of several splits"):
                list_labelled_files(tmp_path / "a.parquet", NONE)
        else:
            assert len(list_labelled_files(tmp_path / "a.parquet", NONE).files) == 2
