"""Thumbnails in a file are those that were appended, and leave nothing behind."""

from pathlib import Path

import numpy as np

from twofold.duplicates import FullImages, find_near_duplicates
from twofold.workflows.scale.thumbnail_file import ThumbnailFile


def test_rows_of_the_file_are_those_of_the_array(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    thumbnails = random.integers(0, 256, (50, 32, 32, 3), np.uint8)
    with ThumbnailFile(tmp_path) as file:
        for some in (thumbnails[:20], thumbnails[20:20], thumbnails[20:]):
            file.append(some)
        assert len(file) == 50
        for rows in (slice(0, 50), slice(40, 90), slice(7, 7), np.array([3, 49, 0, 3]), np.array([], np.int64)):
            assert np.array_equal(file[rows], thumbnails[rows])
    assert list(tmp_path.iterdir()) == []


def test_duplicates_of_thumbnails_in_a_file_are_those_of_an_array(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    blocks = random.integers(0, 256, (300, 8, 8, 3), np.uint8).repeat(4, axis=1).repeat(4, axis=2)
    changed = (blocks[:40, :, ::-1] * 0.9 + random.normal(0, 3, (40, 32, 32, 3))).clip(0, 255).astype(np.uint8)
    thumbnails, rows = np.concatenate([blocks, changed]), np.arange(340) * 2
    for images in (None, FullImages(lambda row: None)):
        expected = find_near_duplicates(thumbnails, rows, images)
        assert len(expected) >= 38
        assert all(pair.second == pair.first + 600 for pair in expected)
        with ThumbnailFile(tmp_path) as file:
            file.append(thumbnails)
            assert find_near_duplicates(file, rows, images) == expected
