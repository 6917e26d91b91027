"""Duplicates among images, and across two sets of them."""

import tracemalloc

import numpy as np
import pytest
from PIL import Image
from scenes import CHANGES, MOVES, scene, thumbnails
from scipy.ndimage import gaussian_filter

from twofold.duplicates import Duplicate, Fingerprints, find_duplicates

SCENES = [scene(number) for number in range(30)]


def fingerprints(images: list[Image.Image], name: str = "a") -> Fingerprints:
    """Each image with bytes and pixels of its own."""
    return Fingerprints([(f"{name}{row}", f"{name} {row}") for row in range(len(images))], thumbnails(images))


def test_equal_bytes_are_told_before_equal_pixels_and_these_before_likeness() -> None:
    small = thumbnails([SCENES[0]] * 4)
    keys = [("a", "p"), ("a", "p"), ("b", "p"), ("c", "q")]
    pairs = find_duplicates(Fingerprints(keys, small))
    assert pairs == [Duplicate(0, 1, "exact"), Duplicate(0, 2, "pixels"), Duplicate(0, 3, "near")]


def test_unrelated_images_have_no_duplicates() -> None:
    assert find_duplicates(fingerprints(SCENES)) == []


@pytest.mark.parametrize("name", CHANGES)
def test_changed_images_are_found_by_their_hashes_alone(name: str) -> None:
    changed = [CHANGES[name](image) for image in SCENES]
    among = find_duplicates(fingerprints([*SCENES, *changed]))
    assert sum((row, row + 30) in {(pair.first, pair.second) for pair in among} for row in range(30)) >= 28


@pytest.mark.parametrize("name", MOVES)
def test_moved_images_are_found_where_vectors_tell_candidates(name: str) -> None:
    both = fingerprints([*SCENES, *(MOVES[name](image) for image in SCENES)])
    features = np.tile(np.random.default_rng(0).normal(size=(30, 50)), (2, 1)).astype(np.float32)
    pairs = find_duplicates(Fingerprints(both.keys, both.thumbnails, features))
    assert sum(pair.second == pair.first + 30 for pair in pairs) == len(pairs) >= 20


def test_equal_vectors_alone_make_no_duplicates() -> None:
    ours = fingerprints(SCENES)
    features = np.random.default_rng(0).normal(size=(1, 50)).astype(np.float32).repeat(30, axis=0)
    assert find_duplicates(Fingerprints(ours.keys, ours.thumbnails, features)) == []


def test_images_of_one_make_are_not_called_duplicates_for_what_they_share() -> None:
    frame = np.asarray(scene(99).resize((64, 64)), np.float64)
    random = np.random.default_rng(1)
    noise = [random.normal(0, 12, (8, 8, 3)).repeat(8, axis=0).repeat(8, axis=1) for _ in range(60)]
    made = [Image.fromarray((frame + part).clip(0, 255).astype(np.uint8)) for part in noise]
    assert find_duplicates(fingerprints(made)) == []
    again = find_duplicates(fingerprints([*made, made[5].resize((50, 50))]))
    assert [(pair.first, pair.second) for pair in again] == [(5, 60)]


@pytest.mark.slow
def test_frames_of_a_camera_that_stands_still_are_led_to_each_other_in_bounded_memory() -> None:
    random = np.random.default_rng(0)
    frame = thumbnails([scene(99)]).astype(np.float32)
    noise = random.normal(0, 6, (1000, *frame.shape[1:])).astype(np.float32)
    others = [gaussian_filter(random.normal(0, 400, frame.shape[1:]), (3, 3, 0)) + 128 for _ in range(1000)]
    seen = np.concatenate([frame + noise, np.stack(others)]).clip(0, 255).astype(np.uint8)
    tracemalloc.start()
    pairs = find_duplicates(Fingerprints([(f"{row}", f" {row}") for row in range(2000)], seen))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert {row for pair in pairs for row in (pair.first, pair.second)} == set(range(1000))
    assert len(pairs) < 20 * 1000
    assert most < 110e6


def test_blank_images_are_no_duplicates_unless_equal() -> None:
    blank = [Image.new("RGB", (40, 40), (240, 240, value)) for value in range(230, 250)]
    assert find_duplicates(fingerprints(blank)) == []


def test_the_order_of_images_does_not_matter() -> None:
    images = [*SCENES, *(CHANGES["half"](image) for image in SCENES[:10])]
    order = np.random.default_rng(3).permutation(40)
    shuffled = find_duplicates(fingerprints([images[row] for row in order]))
    straight = find_duplicates(fingerprints(images))
    assert {frozenset((int(order[c.first]), int(order[c.second]))) for c in shuffled} == {
        frozenset((c.first, c.second)) for c in straight
    }


def test_nothing_has_no_duplicates() -> None:
    nothing = fingerprints([SCENES[0]])
    none = Fingerprints([], nothing.thumbnails[:0])
    assert find_duplicates(none) == find_duplicates(nothing) == []
