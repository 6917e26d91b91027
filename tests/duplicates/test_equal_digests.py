"""Equal images by arrays of digests are those that a comparison of all rows gives."""

import numpy as np

from twofold.duplicates import Fingerprints, find_duplicates
from twofold.duplicates.equal_digests import find_equal_images


def test_each_image_is_paired_with_the_first_of_its_bytes_or_else_of_its_pixels() -> None:
    of_bytes = np.array([b"a", b"b", b"a", b"c", b"b", b"d"], "S32")
    of_pixels = np.array([b"p", b"p", b"p", b"q", b"p", b"q"], "S40")
    equal = find_equal_images(of_bytes, of_pixels)
    assert equal.pairs.tolist() == [[0, 1], [0, 2], [1, 4], [3, 5]]
    assert equal.of_bytes.tolist() == [False, True, True, False]
    assert equal.distinct.tolist() == [0, 3]


def test_pairs_are_those_of_the_search_in_memory() -> None:
    random = np.random.default_rng(0)
    pixels = random.integers(0, 150, 400)
    files = pixels * 10 + random.integers(0, 3, 400)  # equal bytes have equal pixels
    keys = [(f"{file:032}", f"{pixel:040}") for file, pixel in zip(files, pixels, strict=True)]
    blank = np.zeros((400, 32, 32, 3), np.uint8)  # of one colour: no candidates for near duplicates
    equal = find_equal_images(np.array([key[0] for key in keys], "S32"), np.array([key[1] for key in keys], "S40"))
    kinds = np.where(equal.of_bytes, "exact", "pixels").tolist()
    pairs = [(*pair, kind) for pair, kind in zip(equal.pairs.tolist(), kinds, strict=True)]
    expected = [(pair.first, pair.second, pair.kind) for pair in find_duplicates(Fingerprints(keys, blank))]
    assert sorted(pairs) == expected


def test_no_images_are_equal() -> None:
    equal = find_equal_images(np.empty(0, "S32"), np.empty(0, "S40"))
    assert equal.pairs.shape == (0, 2)
    assert len(equal.of_bytes) == len(equal.distinct) == 0
