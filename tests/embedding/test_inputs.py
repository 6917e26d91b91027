"""Which lists of images are accepted, and the error for all others."""

import io
import mmap
import os
from collections.abc import Iterator
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import pytest
import scipy.sparse
import torch
from drawings import draw
from PIL import Image

from twofold.core.errors import DataError
from twofold.core.privacy import public_address
from twofold.embedding import image_sources, stream_sources

IMAGE = draw("rings", 1, side=32)
PIXELS = np.asarray(IMAGE)


class DataFrame:
    """Like a pandas DataFrame, whose iterator gives the names of the columns."""

    def __init__(self, **columns: list[Any]) -> None:
        self._columns = columns
        self.columns = list(columns)

    def __len__(self) -> int:
        return len(next(iter(self._columns.values())))

    def __iter__(self) -> Iterator[str]:
        return iter(self.columns)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        cells = np.empty((len(self), len(self.columns)), object)
        for number, column in enumerate(self._columns.values()):
            for row, cell in enumerate(column):
                cells[row, number] = cell
        return cells


class Series:
    """Like a pandas Series."""

    def __init__(self, *values: Any) -> None:
        self._values = values

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        cells = np.empty(len(self._values), object)
        cells[:] = self._values
        return cells


class OldSequence:
    """The old sequence protocol: a length and items."""

    def __init__(self, *values: Any) -> None:
        self._values = values

    def __len__(self) -> int:
        return len(self._values)

    def __getitem__(self, at: int) -> Any:
        return self._values[at]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    IMAGE.save(tmp_path / "a.png")
    return tmp_path / "a.png"


def entry(file: Path) -> os.DirEntry[str]:
    with os.scandir(file.parent) as entries:
        return next(entries)


@pytest.mark.parametrize(
    "image",
    [
        "a.jpg",
        np.str_("a.jpg"),
        np.array("a.jpg"),
        Path("a.jpg"),
        PurePath("a.jpg"),
        b"bytes",
        bytearray(b"bytes"),
        memoryview(b"bytes"),
        np.bytes_(b"bytes"),
        io.BytesIO(b"bytes"),
        io.StringIO("a.jpg\nb.jpg\n"),
        IMAGE,
        IMAGE.convert("L"),
        PIXELS,
        PIXELS / 255,
        PIXELS[:, :, 0],
        PIXELS[:, :, :1],
        PIXELS[:, :, 0] > 100,
        np.dstack([PIXELS, PIXELS[:, :, :1]]),
        PIXELS[:3],
        torch.tensor(PIXELS),
        torch.tensor(PIXELS[:, :, 0]),
        {"a.jpg": 1},
        None,
        7,
        np.float32(0.5),
    ],
    ids=lambda image: type(image).__name__,
)
def test_a_single_image_is_refused_with_what_to_write(image: Any) -> None:
    with pytest.raises(DataError, match=r"A list of images is needed, got .*: give a list, as in predict\(\[image\]\)"):
        image_sources(image)


def test_a_single_open_file_or_folder_entry_is_refused(file: Path) -> None:
    with file.open("rb") as opened, pytest.raises(DataError, match="A list of images is needed, got BufferedReader"):
        image_sources(opened)
    with pytest.raises(DataError, match="A list of images is needed, got DirEntry"):
        image_sources(entry(file))


def test_collections_without_an_order_are_refused() -> None:
    for images in ({"a.jpg", "b.jpg"}, frozenset(["a.jpg"])):
        with pytest.raises(DataError, match="which has no order: give a list"):
            image_sources(images)
    with pytest.raises(DataError, match="a sparse matrix: give a list"):
        image_sources(scipy.sparse.eye(3, format="csr"))


@pytest.mark.parametrize("images", [PIXELS.transpose(2, 0, 1), torch.zeros(3, 9, 5), np.zeros((4, 8, 8))])
def test_an_array_that_may_be_one_image_with_channels_first_or_a_stack_is_refused(images: Any) -> None:
    with pytest.raises(DataError, match=r"channels first, or [34] grey images: give \[image\] .*, or list\(array\)"):
        image_sources(images)
    assert len(image_sources(list(images))) == len(images)


@pytest.mark.parametrize(
    ("images", "count"),
    [
        (np.zeros((5, 8, 9), np.uint8), 5),
        (np.zeros((1, 8, 9), np.uint8), 1),
        (np.zeros((3, 8, 9, 3), np.uint8), 3),
        (torch.zeros(6, 8, 9, 3), 6),
        ([PIXELS], 1),
        ((PIXELS, PIXELS), 2),
        (np.empty((0, 8, 9, 3)), 0),
        ([], 0),
    ],
)
def test_stacks_and_lists_of_arrays_are_taken_image_by_image(images: Any, count: int) -> None:
    sources = image_sources(images)
    assert len(sources) == count
    assert all(isinstance(source, np.ndarray) for source in sources)


@pytest.mark.parametrize(
    "images",
    [
        ["a.jpg", Path("b.jpg")],
        ("a.jpg", "b.jpg"),
        (name for name in ("a.jpg", "b.jpg")),
        map(Path, ["a.jpg", "b.jpg"]),
        {"a.jpg": 0, "b.jpg": 1}.keys(),
        np.array(["a.jpg", "b.jpg"]),
        np.array(["a.jpg", Path("b.jpg")], dtype=object),
        np.array([["a.jpg"], ["b.jpg"]]),
        np.array([["a.jpg"], ["b.jpg"]], dtype=object),
        DataFrame(path=["a.jpg", "b.jpg"]),
        Series("a.jpg", "b.jpg"),
        OldSequence("a.jpg", PurePath("b.jpg")),
    ],
    ids=lambda images: type(images).__name__,
)
def test_paths_are_taken_from_any_ordered_collection(images: Any) -> None:
    assert image_sources(images) == [Path("a.jpg"), Path("b.jpg")]


def test_images_are_taken_from_a_column(file: Path) -> None:
    assert image_sources(DataFrame(image=[IMAGE, IMAGE])) == [IMAGE, IMAGE]
    assert [type(source) for source in image_sources(Series(PIXELS, file, IMAGE))] == [
        np.ndarray,
        type(file),
        Image.Image,
    ]


def test_a_table_of_several_columns_is_refused() -> None:
    for images in (
        DataFrame(path=["a.jpg"], label=["cats"]),
        np.array([["a.jpg", "cats"]]),
        np.array([["a", "b", "c"]]),
    ):
        with pytest.raises(DataError, match=r"One column of images is needed, got an array of 1 x [23]: choose it"):
            image_sources(images)


def test_bytes_of_any_kind_and_files_are_read_from_the_start(file: Path) -> None:
    data = file.read_bytes()
    with file.open("rb") as opened, file.open("rb") as mapped:
        stream = io.BytesIO()
        stream.write(data)  # its position is the end, as after Image.save
        opened.seek(9)
        members = [
            bytearray(data),
            memoryview(data),
            stream,
            opened,
            mmap.mmap(mapped.fileno(), 0, access=mmap.ACCESS_READ),
        ]
        assert image_sources(members) == [data] * 5
        assert image_sources([opened, opened]) == [data] * 2
    assert image_sources([entry(file)]) == [file]
    assert np.array_equal(image_sources([torch.tensor(PIXELS)])[0], PIXELS)


def test_bytes_that_change_later_do_not_change_the_source() -> None:
    data = bytearray(b"one")
    (source,) = image_sources([data])
    data[0] = 0
    assert source == b"one"


@pytest.mark.parametrize(
    ("member", "text"),
    [
        (None, "row 1 is None"),
        (float("nan"), "row 1 is float"),
        (np.int64(3), "row 1 is int64"),
        (["b.jpg"], "row 1 is list"),
        ((IMAGE, "cats"), "row 1 is tuple"),
        ({"path": "b.jpg"}, "row 1 is dict"),
        (np.array(3), "row 1 is an array of no dimensions"),
        (io.StringIO("text"), r"row 1 is StringIO \(opened as text: open it with 'rb'\)"),
        (torch.zeros(2, 2, requires_grad=True), r"row 1 is Tensor \(Can't call numpy"),
        (object(), "row 1 is object"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_members_that_are_no_images_are_named_by_row_and_type(member: Any, text: str) -> None:
    with pytest.raises(DataError, match=f"1 of 3 entries are not images that can be read: {text}.* Give paths, bytes"):
        image_sources(["a.jpg", member, b"bytes"])


def test_a_closed_file_is_named_and_many_faults_are_counted(file: Path) -> None:
    with file.open("rb") as opened:
        pass
    with pytest.raises(DataError, match=r"row 0 is BufferedReader \(.*closed file"):
        image_sources([opened])
    with pytest.raises(DataError, match=r"7 of 7 entries .* row 4 is None and 2 more\."):
        image_sources([None] * 7)


@pytest.mark.parametrize(
    "address", ["s3://bucket/1.jpg", "https://ann:secret@host/1.jpg", "hf:owner/name", "gs://b/1.png"]
)
def test_an_address_is_refused_by_its_name(address: str) -> None:
    with pytest.raises(DataError, match="row 1 is str \\(the address ") as raised:
        image_sources(["a.jpg", address])
    assert public_address(address) in str(raised.value)
    assert "secret" not in str(raised.value)


def test_an_iterator_is_read_as_far_as_it_is_needed(file: Path) -> None:
    taken = []

    def members() -> Iterator[Any]:
        for member in (str(file), PIXELS, None):
            taken.append(member)
            yield member

    sources = stream_sources(members())
    assert taken == []
    assert next(sources) == file
    assert len(taken) == 1
    assert next(sources) is PIXELS
    with pytest.raises(
        DataError, match=r"An entry is not an image that can be read: row 2 is None\. Give paths, bytes"
    ):
        next(sources)


def test_a_list_is_checked_before_the_first_image(file: Path) -> None:
    with pytest.raises(DataError, match="1 of 2 entries are not images that can be read: row 1 is None"):
        stream_sources([file, None])
    with file.open("rb") as opened, pytest.raises(DataError, match="A list of images is needed, got BufferedReader"):
        stream_sources(opened)
