"""Weights in eight bits, rounded so that a layer's output shifts as little as can be.

Rounding one by one shifts the mean of every output channel, by its own amount: the error that costs most. Two remedies that
need no picture, in the spirit of Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction"
(arXiv:1906.04721).
"""

import math

import numpy as np
from numpy.typing import NDArray

Weights = NDArray[np.float32]


def round_weights(values: Weights) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """A convolution's weights, (out, in, k, k), as int8 with one scale for each output channel, (out,)."""
    scale = (np.abs(values).max(axis=(1, 2, 3)) / 127).astype(np.float32)
    scale[scale == 0] = 1.0
    steps = values / scale[:, None, None, None]
    return _keep_sums(steps).astype(np.int8), scale


def _keep_sums(steps: Weights) -> NDArray[np.float32]:
    """Whole numbers for (out, in, k, k); each k x k filter keeps its sum, to the nearest whole number.

    Neighbouring pixels are alike, so what a filter does to even areas hangs on its sum alone.
    """
    flat = steps.reshape(*steps.shape[:2], -1)
    floor = np.floor(flat)
    short = np.rint(flat.sum(axis=2) - floor.sum(axis=2))
    # Place 0 has the largest fraction: those are rounded up, as many as the sum asks for.
    place = np.argsort(np.argsort(floor - flat, axis=2, kind="stable"), axis=2, kind="stable")
    rounded: NDArray[np.float32] = np.clip(floor + (place < short[..., None]), -127, 127).reshape(steps.shape)
    return rounded


def output_shift(error: Weights, mean: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far an error of the weights, (out, in, k, k), shifts the mean output, (out,), for inputs of this mean, (channels,)."""
    sums = error.sum(axis=(2, 3), dtype=np.float64)
    shift: NDArray[np.float64] = sums[:, 0] * mean if error.shape[1] == 1 else sums @ mean
    return shift


def relu6_mean(mean: Weights, deviation: Weights) -> NDArray[np.float64]:
    """The mean of min(max(x, 0), 6), (channels,), for normal x of this mean and deviation."""
    std = np.maximum(np.abs(deviation).astype(np.float64), 1e-9)
    (below, at_low), (above, at_high) = (_normal((bound - mean) / std) for bound in (0.0, 6.0))
    return mean * (above - below) + std * (at_low - at_high) + 6 * (1 - above)


def _normal(x: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Distribution function and density of the standard normal."""
    distribution = np.array([math.erfc(-value / math.sqrt(2)) / 2 for value in x.tolist()])
    return distribution, np.exp(-x * x / 2) / math.sqrt(2 * math.pi)
