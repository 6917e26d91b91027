"""Quantised weights keep the mean of the outputs."""

import numpy as np
import pytest

from twofold.networks.quantization import output_shift, relu6_mean, round_weights

RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize("shape", [(16, 8, 1, 1), (32, 1, 3, 3), (32, 1, 5, 5), (16, 3, 3, 3)])
def test_every_weight_is_within_one_step(shape: tuple[int, ...]) -> None:
    values = RANDOM.normal(size=shape).astype(np.float32) * RANDOM.uniform(0.01, 10, (shape[0], 1, 1, 1)).astype("f")
    quantised, scale = round_weights(values)
    assert quantised.dtype == np.int8
    assert (np.abs(quantised.astype(int)).max(axis=(1, 2, 3)) == 127).all()
    steps = values / scale[:, None, None, None]
    assert np.abs(quantised - steps).max() <= (0.5 if shape[2] == 1 else 1) + 1e-4


@pytest.mark.parametrize("shape", [(64, 1, 3, 3), (64, 1, 5, 5), (16, 3, 3, 3)])
def test_every_filter_keeps_its_sum(shape: tuple[int, ...]) -> None:
    values = RANDOM.normal(size=shape).astype(np.float32)
    quantised, scale = round_weights(values)
    steps = values.astype(np.float64) / scale[:, None, None, None]
    assert np.abs(quantised.sum(axis=(2, 3)) - steps.sum(axis=(2, 3))).max() <= 0.5 + 1e-3


def test_a_channel_of_zeros_stays_zero() -> None:
    quantised, scale = round_weights(np.zeros((2, 3, 1, 1), np.float32))
    assert not quantised.any()
    assert scale.tolist() == [1.0, 1.0]


@pytest.mark.parametrize(("mean", "std"), [(0.0, 1.0), (1.0, 0.3), (-2.0, 1.5), (5.0, 3.0), (9.0, 1.0), (1.0, -2.0)])
def test_the_mean_after_relu6_equals_that_of_random_numbers(mean: float, std: float) -> None:
    samples = np.clip(RANDOM.normal(mean, abs(std), 400_000), 0, 6)
    estimate = relu6_mean(np.array([mean], np.float32), np.array([std], np.float32))
    assert estimate[0] == pytest.approx(samples.mean(), abs=4 * samples.std() / 400_000**0.5 + 1e-6)


def test_a_constant_channel_keeps_its_clipped_value() -> None:
    means = relu6_mean(np.array([2.5, -1.0, 8.0], np.float32), np.zeros(3, np.float32))
    assert np.allclose(means, [2.5, 0, 6])


def test_the_shift_of_an_output_is_the_mean_of_its_errors() -> None:
    error = RANDOM.normal(size=(4, 3, 1, 1)).astype(np.float32)
    inputs = RANDOM.normal(np.array([1.0, 2.0, 3.0]), size=(10_000, 3))
    expected = (inputs @ error[:, :, 0, 0].T).mean(axis=0)
    assert np.allclose(output_shift(error, inputs.mean(axis=0)), expected)


def test_in_a_depthwise_convolution_each_channel_has_its_own_mean() -> None:
    error = RANDOM.normal(size=(3, 1, 3, 3)).astype(np.float32)
    mean = np.array([1.0, 2.0, 3.0])
    assert np.allclose(output_shift(error, mean), error.sum(axis=(1, 2, 3)) * mean)
