"""Images known again by what a bundle keeps of them."""

import csv
import io
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from duplicates.test_detection import fingerprints
from PIL import Image, ImageOps
from scenes import CHANGES, MOVES, jpeg, scene

from twofold.duplicates import Fingerprints, find_in_index, index_fingerprints, read_index, write_index

SCENES = [scene(number) for number in range(20)]
KEYS = (("0a" * 32, "1b" * 40), ("2c" * 32, "3d" * 40))  # of bytes and of pixels, as they are made
INDEX = index_fingerprints([f"{row}.jpg" for row in range(20)], fingerprints(SCENES))


def test_what_was_written_is_read_again() -> None:
    names = ("a,\n\x0c\u2028.jpg", "b\r.jpg")
    file = io.StringIO(newline="")
    seen = replace(fingerprints([SCENES[0], Image.new("RGB", (9, 9))]), keys=KEYS)
    write_index(index_fingerprints(names, seen), file)
    again = read_index(io.StringIO(file.getvalue(), newline=""))
    assert again.paths == names
    assert again.keys == KEYS
    assert (again.fine[0] == INDEX.fine[0]).all()
    assert again.coarse.tolist() == [INDEX.coarse[0], 0]


def test_a_file_of_another_kind_is_an_error() -> None:
    with pytest.raises(ValueError, match="the columns are not path,sha256,pixels,perceptual"):
        read_index(["path,label\n"])


@pytest.mark.parametrize(
    "row",
    [
        ("a.jpg", *KEYS[0]),
        ("a.jpg", *KEYS[0], "", ""),
        ("a.jpg", "b" * 63, KEYS[0][1], ""),
        ("a.jpg", *KEYS[0], "g" * 160),
        ("a.jpg", *KEYS[0], "-1" * 80),
        ("a.jpg", *KEYS[0], " 1" * 80),
        ("a.jpg", *KEYS[0], "1" * 159),
        ("a.jpg", *KEYS[0], "1" * 80),
        ("a.jpg", KEYS[0][0] + "\n", KEYS[0][1], ""),
        ("a" * 200_000, *KEYS[0], ""),
    ],
    ids=range(10),
)
def test_rows_of_another_kind_are_an_error(row: tuple[str, ...]) -> None:
    file = io.StringIO(newline="")
    csv.writer(file).writerows([("path", "sha256", "pixels", "perceptual"), row])
    with pytest.raises(ValueError, match="row 1 does not hold|field larger than"):
        read_index(io.StringIO(file.getvalue(), newline=""))


FRAMED: dict[str, Callable[[Image.Image], Image.Image]] = {
    "cropped on all sides": lambda image: image.crop((8, 6, image.width - 8, image.height - 6)),
    "a corner cropped off, mirrored": lambda image: ImageOps.mirror(image.crop((12, 9, image.width, image.height))),
    "turned and cropped": lambda image: MOVES["turned by 3 degrees"](image).crop((8, 6, 152, 114)),
    "cropped and encoded anew": lambda image: jpeg(MOVES["cropped"](image).resize((90, 80)), 60),
}


@pytest.mark.parametrize("name", [*CHANGES, *MOVES, *FRAMED])
def test_changed_images_are_known(name: str) -> None:
    change = {**CHANGES, **MOVES, **FRAMED}[name]
    pairs = find_in_index(fingerprints([change(image) for image in SCENES], "b"), INDEX)
    assert sum(pair.first == pair.second for pair in pairs) == len(pairs) >= 18


@pytest.mark.parametrize("name", [*MOVES, *FRAMED])
def test_images_are_known_of_which_a_changed_one_is_kept(name: str) -> None:
    change = {**MOVES, **FRAMED}[name]
    kept = index_fingerprints([f"{row}.jpg" for row in range(20)], fingerprints([change(image) for image in SCENES]))
    pairs = find_in_index(fingerprints(SCENES, "b"), kept)
    assert sum(pair.first == pair.second for pair in pairs) == len(pairs) >= 17


def test_each_image_is_known_once_however_many_duplicates_are_kept() -> None:
    kept = index_fingerprints(
        [str(row) for row in range(60)], fingerprints([*SCENES, *map(CHANGES["half"], SCENES), *SCENES])
    )
    pairs = find_in_index(fingerprints([CHANGES["grey"](image) for image in SCENES], "b"), kept)
    assert [pair.first for pair in pairs] == list(range(20))


def test_nothing_is_known_of_nothing() -> None:
    nothing = fingerprints(SCENES[:1])
    none = Fingerprints([], nothing.thumbnails[:0])
    assert (
        find_in_index(none, INDEX)
        == find_in_index(nothing, index_fingerprints([], none))
        == find_in_index(none, index_fingerprints([], none))
        == []
    )


MORE = {
    "blank": [Image.new("RGB", (40, 40), shade) for shade in ("black", "white", "red", "black")],
    "repeated": SCENES[:5],
    "repeated smaller": [CHANGES["half"](image) for image in SCENES[:5]],
    "all repeated": [CHANGES["quality 30"](image) for image in SCENES],
    "all repeated often": [
        CHANGES[name](image) for name in ("half", "brighter", "darker", "marked") for image in SCENES
    ],
}


@pytest.mark.parametrize("name", MORE)
def test_images_that_say_nothing_or_are_repeated_hide_no_duplicates(name: str) -> None:
    images = [*SCENES, *MORE[name]]
    kept = index_fingerprints([str(row) for row in range(len(images))], fingerprints(images))
    for change in ("half", "quality 30", "brighter", "marked"):
        pairs = find_in_index(fingerprints([CHANGES[change](image) for image in SCENES], "b"), kept)
        assert len(pairs) >= 18, change


def test_images_of_one_make_are_not_known_for_what_they_share() -> None:
    frame = np.asarray(scene(99).resize((64, 64)), np.float64)
    noise = np.random.default_rng(1).normal(0, 20, (120, 8, 8, 3)).repeat(8, axis=1).repeat(8, axis=2)
    made = [Image.fromarray((frame + part).clip(0, 255).astype(np.uint8)) for part in noise]
    kept = index_fingerprints([f"{row}.jpg" for row in range(60)], fingerprints(made[:60]))
    assert find_in_index(fingerprints(made[60:], "b"), kept) == []
    (pair,) = find_in_index(fingerprints([CHANGES["half"](made[7])], "b"), kept)
    assert pair.second == 7


def test_unrelated_images_are_not_known() -> None:
    assert find_in_index(fingerprints([scene(number) for number in range(100, 160)], "b"), INDEX) == []


def test_equal_bytes_are_known_also_where_nothing_can_be_hashed() -> None:
    blank = fingerprints([Image.new("RGB", (9, 9))])
    (pair,) = find_in_index(blank, index_fingerprints(["blank.png"], blank))
    assert pair.kind == "exact"
