"""Whether two thumbnails show the same."""

import numpy as np
import pytest
from scenes import CHANGES, MOVES, scene, thumbnails

from twofold.duplicates.perceptual_hash import greys
from twofold.duplicates.registration import agreement

SCENES = [scene(number) for number in range(40)]
STAY = ("half", "quality 30", "brighter", "darker", "grey", "marked")


@pytest.mark.parametrize("name", [*STAY, *MOVES])
def test_a_changed_image_agrees_with_what_it_was(name: str) -> None:
    change = {**CHANGES, **MOVES}[name]
    ours, theirs = greys(thumbnails(SCENES)), greys(thumbnails([change(image) for image in SCENES]))
    assert np.quantile(agreement(ours, theirs), 0.1) > 0.85


def test_unrelated_images_do_not_agree() -> None:
    planes = greys(thumbnails(SCENES))
    assert agreement(planes, np.roll(planes, 1, axis=0)).max() < 0.8


def test_agreement_is_that_of_details_alone() -> None:
    slope = np.tile(np.linspace(0, 200, 32, dtype=np.float32), (32, 1))
    noise = np.random.default_rng(0).normal(0, 5, (2, 32, 32)).astype(np.float32)
    assert agreement((slope + noise[0])[None], (slope + noise[1])[None])[0] < 0.5


def test_images_of_one_colour_and_of_one_alone_break_nothing() -> None:
    flat = np.full((1, 32, 32), 9, np.float32)
    assert np.isfinite(agreement(flat, flat)).all()
    assert agreement(flat[:0], flat[:0]).shape == (0,)
