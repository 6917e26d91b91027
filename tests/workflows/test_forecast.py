"""The forecast: once, from the first second of embedding, with what is known to follow; nothing is embedded for it."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from twofold.core.options import BackboneOptions, CrossValidationOptions, TrainingOptions
from twofold.data import Preprocessing
from twofold.duplicates import Fingerprints, count_comparisons
from twofold.embedding import FeatureRow, Metadata, Runtime
from twofold.report.forecast_text import forecast_text
from twofold.workflows.forecast import Forecast, Forecaster, Workload, training_workload
from twofold.workflows.train import train

ONE, TWO = Preprocessing(16, "squash", "bilinear"), Preprocessing(16, "both", "bilinear")
RANDOM = np.random.default_rng(0)


class Time:
    """A clock that the test advances."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def row(width: int = 8) -> FeatureRow:
    thumbnail = RANDOM.integers(0, 255, (32, 32, 3), np.uint8)
    key = f"{RANDOM.integers(2**60):064x}"
    features = RANDOM.normal(size=width).astype(np.float32)
    return FeatureRow(Metadata(key, key + key[:16], 32, 32, "PNG", 100), thumbnail, features, None)


def feed(
    forecaster: Forecaster, clock: Time, chunks: Sequence[tuple[int, int]], seconds: float, size: Preprocessing
) -> None:
    """Chunks of (rows, new rows), each after so many seconds."""
    for count, new in chunks:
        clock.seconds += seconds
        forecaster.add([row() for _ in range(count)], new, size)


def forecaster(workload: Workload, clock: Time, told: list[Forecast], pace: float = 0.0005) -> Forecaster:
    return Forecaster(workload, told.append, clock, lambda: pace, lambda: 300_000_000)


def test_predictions_take_the_time_of_the_images_that_are_left() -> None:
    clock, told = Time(), list[Forecast]()
    feed(forecaster(Workload(1000), clock, told), clock, [(8, 8)] * 20, 0.25, ONE)
    (forecast,) = told  # after 8 chunks: 4 in flight, and 4 in a second
    assert forecast.seconds == pytest.approx(8 * 0.25 + 1 + (1000 - 64) / 32)
    assert forecast.bytes == 300_000_000
    assert forecast.known == 0


def test_images_in_the_cache_take_no_time() -> None:
    clock, told = Time(), list[Forecast]()
    feed(forecaster(Workload(1000), clock, told), clock, [(16, 8)] * 20, 0.25, ONE)
    (forecast,) = told
    assert forecast.seconds == pytest.approx(8 * 0.25 + 1 + (1000 - 128) / 2 / 32)
    assert forecast.known == 500


def test_where_all_are_in_the_cache_it_is_told_at_the_end_of_them() -> None:
    clock, told = Time(), list[Forecast]()
    feed(forecaster(Workload(128), clock, told), clock, [(64, 0)] * 2, 0.1, ONE)
    (forecast,) = told
    assert forecast.seconds == pytest.approx(1.2)
    assert forecast.known == 128


def test_a_slower_computer_makes_what_follows_slower_by_the_same_factor() -> None:
    totals = []
    for pace in (0.0005, 0.0010):
        clock, told = Time(), list[Forecast]()
        workload = Workload(128, training=True)
        feed(forecaster(workload, clock, told, pace), clock, [(64, 0)] * 2, 0.0, ONE)
        totals.append(told[0].seconds)
    assert totals[1] == pytest.approx(2 * totals[0])


def test_memory_grows_with_the_features_of_a_training() -> None:
    peaks = []
    for images in (10_000, 20_000):
        clock, told = Time(), list[Forecast]()
        feed(forecaster(Workload(images, training=True), clock, told), clock, [(8, 8)] * 20, 0.25, ONE)
        peaks.append(told[0].bytes)
    assert peaks[1] - peaks[0] >= 10_000 * 8 * 4


def test_another_choice_of_crops_is_told_again_and_the_test_set_is_not() -> None:
    clock, told = Time(), list[Forecast]()
    work = forecaster(Workload(5000, 1000, training=True, chooses_crops=True), clock, told)
    feed(work, clock, [(50, 50)] * 20, 0.25, TWO)  # the sample: 1,000 images
    assert len(told) == 1
    feed(work, clock, [(50, 50)] * 80, 0.125, ONE)  # the others, twice as fast
    assert len(told) == 2
    assert told[1].seconds < told[0].seconds / 1.2
    feed(work, clock, [(50, 50)] * 20, 10.0, TWO)
    assert len(told) == 2


def test_images_that_are_compared_at_full_size_are_expected_where_images_look_alike() -> None:
    """Twenty pairs of equal thumbnails under other hashes, against forty thumbnails of noise."""
    thumbnails = RANDOM.integers(0, 255, (40, 32, 32, 3), np.uint8)
    keys = [(f"{number:064x}", f"{number:080x}") for number in range(40)]
    assert count_comparisons(Fingerprints(keys, thumbnails)) == 0
    twins = np.concatenate([thumbnails[:20], thumbnails[:20]])
    assert count_comparisons(Fingerprints(keys, twins)) == 20


def test_a_training_with_fixed_crops_draws_no_sample() -> None:
    fixed = TrainingOptions(backbone=BackboneOptions(crop_mode="squash", views="1"))
    assert training_workload(500, 0, fixed, fast=True).sample(2) == 0
    assert training_workload(500, 0, TrainingOptions(), fast=True).sample(2) == 500


def test_a_training_announces_once_and_changes_nothing(drawn: Path, tiny_file: Path, tmp_path: Path) -> None:
    options = TrainingOptions(
        backbone=BackboneOptions(backbone=str(tiny_file)), cross_validation=CrossValidationOptions(folds=3)
    )
    told: list[Forecast] = []
    result = train(drawn, options, Runtime(tmp_path / "a"), announce=told.append)
    silent = train(drawn, options, Runtime(tmp_path / "b"))
    assert [forecast.images for forecast in told] == [40]
    assert told[0].known == 0
    assert np.array_equal(result.fit.scores.logits, silent.fit.scores.logits)
    train(drawn, options, Runtime(tmp_path / "a"), announce=told.append)
    assert told[-1].known == 40


def test_the_text_says_what_is_in_the_cache() -> None:
    assert (
        forecast_text(Forecast(12.2, 1.26e9, 20, 20)) == "About 12 s and 1.3 GB for 20 images (all are in the cache)."
    )
