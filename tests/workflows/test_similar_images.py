"""Similar images: the sketch finds what a comparison of all features finds."""

import numpy as np

from twofold.workflows.similar_images import SimilarImages


def test_the_nearest_are_those_of_the_standardised_features() -> None:
    random = np.random.default_rng(0)
    centres = random.normal(size=(60, 300))
    features = (np.repeat(centres, 5, axis=0) + 0.1 * random.normal(size=(300, 300))).astype(np.float32)
    features[:, 7] *= 1000  # a unit of measurement changes nothing
    features[:, 8] = 3.0  # nor does a constant
    z = features - features.mean(axis=0)
    z = z / np.where(z.std(axis=0) > 0, z.std(axis=0), 1)
    search, allowed = SimilarImages.of(features), np.arange(300) % 2 == 0
    for row in (0, 57, 299):
        distances = np.where(allowed & (np.arange(300) != row), np.square(z - z[row]).sum(axis=1), np.inf)
        twins = (allowed & (np.arange(300) // 5 == row // 5)).sum() - allowed[row]
        assert search.nearest(row, allowed, int(twins)) == np.argsort(distances)[:twins].tolist()


def test_there_may_be_fewer_images_than_asked_for() -> None:
    search = SimilarImages.of(np.eye(3, 5, dtype=np.float32))
    assert sorted(search.nearest(1, np.ones(3, np.bool_), 9)) == [0, 2]
    assert search.nearest(1, np.array([False, True, False]), 9) == []
