"""Planes that are computed when they are asked for are those of all thumbnails at once."""

import numpy as np

from twofold.duplicates.grey_planes import GreyPlanes
from twofold.duplicates.perceptual_hash import greys


def test_centred_planes_are_those_minus_the_mean_of_all_to_the_bit() -> None:
    thumbnails = np.random.default_rng(0).integers(0, 256, (5000, 32, 32, 3), np.uint8)  # more than one chunk
    planes = greys(thumbnails)
    rows = np.array([4999, 0, 4096, 0])
    assert np.array_equal(GreyPlanes(thumbnails)[rows], planes[rows])
    assert np.array_equal(GreyPlanes(thumbnails).centred()[rows], (planes - planes.mean(axis=0))[rows])
