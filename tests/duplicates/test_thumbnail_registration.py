"""Registration of many pairs is that of each, whatever the number of threads."""

import numpy as np
from scenes import scene, thumbnails

from twofold.duplicates.grey_planes import GreyPlanes
from twofold.duplicates.perceptual_hash import hash_thumbnails
from twofold.duplicates.thumbnail_registration import register_pairs


def test_pairs_are_registered_alike_together_and_alone() -> None:
    small = thumbnails([scene(number) for number in range(30)])
    changed = np.concatenate([small, small[:, :, ::-1], np.swapaxes(small, 1, 2)])
    planes, hashes = GreyPlanes(changed), hash_thumbnails(changed)
    pairs = np.array([(first, second) for first in range(30) for second in range(30, 60)])  # 900: two batches
    together = register_pairs(planes, hashes, pairs, threads=3)
    for some in (slice(0, 1), slice(500, 530), slice(899, 900)):
        for value, expected in zip(register_pairs(planes, hashes, pairs[some]), together, strict=True):
            assert np.array_equal(value, expected[some])
    mirrored = np.array([(number, 30 + number) for number in range(30)])
    agreements, maps, orientations = register_pairs(planes, hashes, mirrored)
    assert (agreements > 0.999).all()
    assert np.abs(maps - np.eye(3)).max() < 0.01
    assert set(orientations) == {1}
