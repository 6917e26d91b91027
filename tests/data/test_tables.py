"""Tables: images listed in a CSV file."""

from pathlib import Path

import pytest

from twofold.core.errors import DataError
from twofold.core.options import DataOptions
from twofold.data import list_labelled_files
from twofold.data.tables import read_split, read_table


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


def test_a_table_may_be_written_by_excel_on_windows(folder: Path) -> None:
    table = write(folder, '\ufeffLabel,Path ,more\r\ncat,a.jpg,1\r\n\r\n dog ,"b, c.jpg",2\r\n,,\r\n')
    assert read_table(table) == [(folder / "a.jpg", "cat", None), (folder / "b, c.jpg", "dog", None)]


def test_names_need_not_be_unicode(folder: Path) -> None:
    name = b"caf\xe9.jpg"
    path = folder / name.decode("utf-8", "surrogateescape")
    path.write_bytes(b"x")
    assert read_table(write(folder, b"path,label\n" + name + b",cat\n")) == [(path, "cat", None)]


def test_missing_columns_are_an_error_that_names_them(folder: Path) -> None:
    with pytest.raises(DataError, match=r"no column 'path' and 'label'.*it is 'a\.jpg,cat'"):
        read_table(write(folder, "a.jpg,cat\n"))
    with pytest.raises(DataError, match="no column 'path' and 'label'"):
        read_table(write(folder, ""))


def test_all_rows_without_a_file_are_in_one_error(folder: Path) -> None:
    rows = "".join(f"{number}.jpg,cat\n" for number in range(15))
    with pytest.raises(DataError, match=r"15 rows whose path is no file \(line 2: .*0\.jpg; .*9\.jpg and 5 more\)"):
        read_table(write(folder, "path,label\n" + rows))


def test_rows_that_are_incomplete_or_contradict_each_other_are_an_error(folder: Path) -> None:
    with pytest.raises(DataError, match=r"2 rows with an empty path or label \(line 3; line 4\)"):
        read_table(write(folder, "path,label\na.jpg,cat\nd.jpg\n,dog\n"))
    with pytest.raises(DataError, match=r"2 rows whose path has two labels"):
        read_table(write(folder, "path,label\na.jpg,cat\na.jpg,dog\nd.jpg,dog\n"))
    with pytest.raises(DataError, match=r"2 rows whose path has two groups \(line 2.*line 3"):
        read_table(write(folder, "path,label,group\na.jpg,cat,1\na.jpg,cat,2\nd.jpg,dog,1\n"))


def test_a_row_without_a_label_is_skipped_where_it_gives_a_reason(folder: Path) -> None:
    table = write(folder, 'path,label,Reason\na.jpg,,unsure\n"b, c.jpg",cat,\nd.jpg,dog,seen twice\n')
    file_list = list_labelled_files(table, DataOptions())
    assert [(file.path.name, file.label) for file in file_list.files] == [("b, c.jpg", "cat"), ("d.jpg", "dog")]
    assert [(skip.path, skip.code) for skip in file_list.skips] == [(folder / "a.jpg", "unlabelled")]
    assert "'unsure'" in file_list.skips[0].sentence
    assert any("1 row without a label, for a reason" in note.text for note in file_list.notes)
    for text in ("path,label,reason\na.jpg,,\nd.jpg,dog,\n", "path,label,reason\n,,unsure\nd.jpg,dog,\n"):
        with pytest.raises(DataError, match=r"1 row with an empty path or label \(line 2\)"):
            read_table(write(folder, text))


def test_equal_rows_count_once(folder: Path) -> None:
    assert len(read_table(write(folder, "path,label\na.jpg,cat\na.jpg,cat\n"))) == 1


def test_a_file_that_is_not_text_is_an_error(folder: Path) -> None:
    with pytest.raises(DataError, match="list.csv"):
        read_table(write(folder, "path,label\na.jpg,cat\n".encode("utf-16")))


@pytest.mark.parametrize(
    "text",
    [
        'path, "label"\na.jpg, "cat"\n"b, c.jpg",  "dog"\n',
        'path,label\na.jpg,\t"cat"\n"b, c.jpg", \t"dog" \n',
        '"path" , "label" \n"a.jpg" , "cat" \n "b, c.jpg" , "dog"\n',
        "path;label\na.jpg;cat\nb, c.jpg;dog\n",
        'Path; Label; more\na.jpg; "cat";1,5\n"b, c.jpg";dog;\n',
        "path\tlabel\na.jpg\tcat\nb, c.jpg\tdog\n",
        "sep=;\r\npath;label\r\na.jpg;cat\r\nb, c.jpg;dog\r\n",
        "\ufeffpath|label\na.jpg|cat\nb, c.jpg|dog\n",
    ],
)
def test_quotes_and_delimiters_of_many_programs_are_read(text: str, folder: Path) -> None:
    assert read_table(write(folder, text)) == [(folder / "a.jpg", "cat", None), (folder / "b, c.jpg", "dog", None)]


def test_quotes_that_are_part_of_a_label_stay(folder: Path) -> None:
    rows = read_table(write(folder, 'path,label\na.jpg,"""cat"""\nd.jpg,\'dog\'\n'))
    assert [label for _, label, _ in rows] == ['"cat"', "'dog'"]


def test_lines_are_numbered_as_in_an_editor(folder: Path) -> None:
    for first_line in ("", "sep=,\n"):
        with pytest.raises(DataError, match=rf"\(line {4 if first_line else 3}: "):
            read_table(write(folder, first_line + "path,label\na.jpg,cat\nnone.jpg,dog\n"))


def test_addresses_are_an_error_that_lists_them(folder: Path) -> None:
    addresses = ["s3://bucket/1.jpg", "https://host/2.jpg", "gs://b/3.jpg", "file:///4.jpg", "hf:owner/name"]
    table = write(folder, "path,label\na.jpg,cat\n" + "".join(f"{name},dog\n" for name in addresses))
    with pytest.raises(DataError, match="5 rows with an address instead of a path") as raised:
        read_table(table)
    assert all(f"line {line}: {name}" in str(raised.value) for line, name in enumerate(addresses, 3))


def test_a_file_whose_name_looks_like_an_address_is_read(folder: Path) -> None:
    (folder / "hf:1.jpg").write_bytes(b"x")
    assert read_table(write(folder, "path,label\nhf:1.jpg,cat\n")) == [(folder / "hf:1.jpg", "cat", None)]


def listed(column: str, *values: str) -> str:
    """Four rows of a.jpg, "b, c.jpg", d.jpg and e.jpg with these values of one more column."""
    names = ("a.jpg,cat", '"b, c.jpg",dog', "d.jpg,cat", "e.jpg,dog")
    return f"path,label,{column}\n" + "".join(f"{name},{value}\n" for name, value in zip(names, values, strict=True))


@pytest.mark.parametrize(
    ("column", "values", "train", "test"),
    [
        ("split", ("train", "train", "test", "test"), "train", "test"),
        ("Split", ("TEST", "Train", "TEST", "Train"), "Train", "TEST"),
        ("set", ("training", "training", "val", "val"), "training", "val"),
        ("subset", ("dev", "train", "dev", "train"), "train", "dev"),
        ("partition", ("Training", "PublicTest", "Training", "PublicTest"), "Training", "PublicTest"),
        ("usage", ("train", "train", "valid", "valid"), "train", "valid"),
        ("data_split", ("train", "eval", "train", "eval"), "train", "eval"),
        ("is_valid", ("True", "False", "True", "False"), "train", "test"),
        ("train", ("1", "1", "0", "0"), "train", "test"),
    ],
)
def test_each_split_of_a_table_is_a_file_list_of_its_own(
    column: str, values: tuple[str, ...], train: str, test: str, folder: Path
) -> None:
    (folder / "e.jpg").write_bytes(b"x")
    table = write(folder, listed(column, *values))
    with pytest.raises(DataError, match="has several splits") as raised:
        list_labelled_files(table, DataOptions())
    assert f"train on {table}/{train} and evaluate on {table}/{test}" in str(raised.value)
    splits = [{path.name for path, *_ in read_split(table, name)[0]} for name in (train, test.lower())]
    assert [len(names) for names in splits] == [2, 2]
    assert (
        set.union(*splits) == {"a.jpg", "b, c.jpg", "d.jpg", "e.jpg"} == {path.name for path, *_ in read_table(table)}
    )


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("split", ("train", "train", "train", "train")),
        ("split", ("", "", "", "")),
        ("set", ("A", "B", "A", "B")),
        ("fold", ("0", "1", "0", "1")),
        ("note", ("test", "", "", "train the dog")),
        ("valid", ("1", "1", "0", "1")),
        ("train", ("steam", "electric", "steam", "steam")),
    ],
)
def test_columns_without_splits_are_ignored(column: str, values: tuple[str, ...], folder: Path) -> None:
    (folder / "e.jpg").write_bytes(b"x")
    assert len(list_labelled_files(write(folder, listed(column, *values)), DataOptions()).files) == 4


def test_a_table_with_unclear_splits_is_an_error(folder: Path) -> None:
    (folder / "e.jpg").write_bytes(b"x")
    for column, values, message in [
        ("split", ("test", "", "", ""), r"3 rows without a split \(line 3; line 4; line 5\)"),
        ("split", ("train", "", "test", "test"), "1 row without a split"),
        ("split", ("A", "B", "A", "B"), r"A \(2 rows\), B \(2 rows\).*list.csv/A"),
        ("set", ("train", "extra", "extra", "train"), r"train \(2 rows\), extra \(2 rows\)"),
    ]:
        with pytest.raises(DataError, match=message):
            list_labelled_files(write(folder, listed(column, *values)), DataOptions())
    table = write(folder, "path,label,split\na.jpg,cat,train\nd.jpg,dog,train\na.jpg,cat,test\n")
    with pytest.raises(DataError, match="2 rows whose path has two splits"):
        read_split(table, "train")


def test_a_missing_split_is_an_error_that_lists_the_splits(folder: Path) -> None:
    table = write(folder, "path,label,split\na.jpg,cat,train\nd.jpg,dog,test\n")
    with pytest.raises(DataError, match=r"no split 'tset' \(did you mean 'test'\?\); it has train \(1 row\), test"):
        list_labelled_files(table / "tset", DataOptions())
    with pytest.raises(DataError, match="no split 'train'; it has none"):
        list_labelled_files(write(folder, "path,label\na.jpg,cat\n") / "train", DataOptions())


def test_files_of_other_splits_may_be_missing(folder: Path) -> None:
    table = write(folder, "path,label,split\na.jpg,cat,train\nd.jpg,dog,train\nnone.jpg,dog,test\n")
    assert len(list_labelled_files(table / "train", DataOptions()).files) == 2
    with pytest.raises(DataError, match="whose path is no file"):
        list_labelled_files(table / "test", DataOptions())
