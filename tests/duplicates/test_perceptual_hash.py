"""Perceptual hashes of thumbnails."""

import numpy as np
from PIL import Image
from scenes import CHANGES, scene, thumbnails
from scipy.fft import dctn

from twofold.duplicates.perceptual_hash import distances, hash_thumbnails

SCENES = [scene(number) for number in range(12)]


def test_the_bits_are_the_signs_of_low_frequencies_against_their_median() -> None:
    small = thumbnails(SCENES[:1])
    waves = dctn(small[0].astype(np.float64) @ [0.299, 0.587, 0.114], norm="ortho")[:8, :8].ravel()[1:]
    bits = int(hash_thumbnails(small)[0].coarse[0])
    assert [bits >> place & 1 for place in range(64)] == [*(waves > np.median(waves)).astype(int), 0]


def test_of_eight_ways_each_undoes_one_change() -> None:
    small = thumbnails(SCENES)
    as_it_is = hash_thumbnails(small)[0]
    for way, turn in enumerate(hash_thumbnails(small)):
        undone = [
            min(
                (int(distances(turn.fine[row : row + 1], other.fine[row : row + 1])[0]), number)
                for number, other in enumerate(
                    [hash_thumbnails(np.stack([_turned(plane, number) for plane in small]))[0] for number in range(8)]
                )
            )[1]
            for row in range(3)
        ]
        assert undone == [way] * 3
    assert len(as_it_is) == len(SCENES)


def _turned(plane: np.ndarray, way: int) -> np.ndarray:
    """By Pillow, in the order that the docstring of `hash_thumbnails` promises of its pairs."""
    turns = [
        None,
        Image.Transpose.FLIP_LEFT_RIGHT,
        Image.Transpose.FLIP_TOP_BOTTOM,
        Image.Transpose.ROTATE_180,
        Image.Transpose.TRANSPOSE,
        Image.Transpose.TRANSVERSE,
        Image.Transpose.ROTATE_270,
        Image.Transpose.ROTATE_90,
    ]
    image, turn = Image.fromarray(plane), turns[way]
    return np.asarray(image if turn is None else image.transpose(turn))


def test_changes_leave_the_fine_hash_nearer_than_any_stranger() -> None:
    small = thumbnails(SCENES)
    ours = hash_thumbnails(small)[0]
    least = min(
        int(distances(ours.fine[a : a + 1], way.fine[b : b + 1])[0])
        for way in hash_thumbnails(small)
        for a in range(12)
        for b in range(12)
        if a != b
    )
    for name, change in CHANGES.items():
        ways = hash_thumbnails(thumbnails([change(image) for image in SCENES]))
        nearest = np.min([distances(way.fine, ours.fine) for way in ways], axis=0)
        assert nearest.max() < least, name


def test_images_of_one_colour_are_recognised() -> None:
    plain = [Image.new("RGB", (90, 60), "white"), Image.new("RGB", (90, 60), (10, 200, 30))]
    assert hash_thumbnails(thumbnails([*plain, SCENES[0]]))[0].flat.tolist() == [True, True, False]


def test_no_thumbnails_make_no_hashes() -> None:
    ways = hash_thumbnails(np.empty((0, 32, 32, 3), np.uint8))
    assert [len(way) for way in ways] == [0] * 8
