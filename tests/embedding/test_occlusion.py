"""Occlusion: covered patches, against a network for which the change of the logit is known."""

import numpy as np
import pytest

from twofold.data import PreprocessedImage, preprocess
from twofold.embedding import Engine
from twofold.embedding.occlusion import covered_logits, occlude
from twofold.networks import Backbone


@pytest.fixture(scope="module")
def engine(linear: Backbone) -> Engine:
    engine = Engine(linear, threads=1)
    engine.start()
    return engine


@pytest.fixture(scope="module")
def image(engine: Engine) -> PreprocessedImage:
    pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    result = preprocess(pixels, engine.backbone.preprocessing)
    assert isinstance(result, PreprocessedImage)
    return result


def test_covering_a_patch_takes_its_distance_to_the_mean_colour(engine: Engine, image: PreprocessedImage) -> None:
    weights = np.array([1.0, -2.0, 0.5])
    with engine.request() as request:
        cells, features = occlude(request, image, engine.backbone.preprocessing, lambda rows: rows @ weights + 7)
    pixels = image.model_input.astype(float)
    mean = pixels.mean(axis=(0, 1)).round()
    expected = ((pixels - mean) @ weights).reshape(8, 2, 8, 2).sum(axis=(1, 3)) / 256
    assert cells == pytest.approx(expected, abs=1e-3)
    assert features == pytest.approx(pixels.mean(axis=(0, 1)), abs=1e-3)


def test_an_image_with_everything_covered_has_the_mean_colour(engine: Engine, image: PreprocessedImage) -> None:
    with engine.request() as request:
        values, _ = covered_logits(
            request, image, engine.backbone.preprocessing, lambda rows: rows[:, 0].astype(float), [range(64), []]
        )
    mean = image.model_input[..., 0].mean()
    assert values == pytest.approx([mean, round(mean), mean], abs=1e-3)
