"""Quantisation of weights to int8 with the smallest shift of a layer's mean output.

Rounding each weight to the nearest integer shifts the mean of every output channel; that shift is the largest error. Two
corrections that need no images reduce it, in the spirit of Nagel et al., "Data-Free Quantization Through Weight Equalization
and Bias Correction" (arXiv:1906.04721).
"""

import math

import numpy as np
from numpy.typing import NDArray

Weights = NDArray[np.float32]


def round_weights(values: Weights) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """The weights of a convolution, (out, in, k, k), as int8, and one scale per output channel, (out,)."""
    scale = (np.abs(values).max(axis=(1, 2, 3)) / 127).astype(np.float32)
    scale[scale == 0] = 1.0
    steps = values / scale[:, None, None, None]
    return _round_keeping_sums(steps).astype(np.int8), scale


def _round_keeping_sums(steps: Weights) -> NDArray[np.float32]:
    """Weights rounded to integers, (out, in, k, k), such that each k x k filter keeps its sum to the nearest integer.

    Neighbouring pixels are similar, and the response of a filter to a uniform area depends on its sum alone.
    """
    flat = steps.reshape(*steps.shape[:2], -1)
    floor = np.floor(flat)
    deficit = np.rint(flat.sum(axis=2) - floor.sum(axis=2))
    # Rank 0 has the largest fractional part. As many weights are rounded up as the sum requires, largest fraction first.
    rank = np.argsort(np.argsort(floor - flat, axis=2, kind="stable"), axis=2, kind="stable")
    rounded: NDArray[np.float32] = np.clip(floor + (rank < deficit[..., None]), -127, 127).reshape(steps.shape)
    return rounded


def output_shift(error: Weights, mean: NDArray[np.float64]) -> NDArray[np.float64]:
    """The shift of the mean output, (out,), that an error of the weights, (out, in, k, k), causes for this input mean, (in,)."""
    sums = error.sum(axis=(2, 3), dtype=np.float64)
    shift: NDArray[np.float64] = sums[:, 0] * mean if error.shape[1] == 1 else sums @ mean
    return shift


def relu6_mean(mean: Weights, std: Weights) -> NDArray[np.float64]:
    """The mean of min(max(x, 0), 6), (channels,), for normal x with these means and standard deviations (of either sign)."""
    sigma = np.maximum(np.abs(std).astype(np.float64), 1e-9)
    (below, at_low), (above, at_high) = (_normal((bound - mean) / sigma) for bound in (0.0, 6.0))
    return mean * (above - below) + sigma * (at_low - at_high) + 6 * (1 - above)


def _normal(x: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Distribution function and density of the standard normal distribution at x."""
    distribution = np.array([math.erfc(-value / math.sqrt(2)) / 2 for value in x.tolist()])
    return distribution, np.exp(-x * x / 2) / math.sqrt(2 * math.pi)
