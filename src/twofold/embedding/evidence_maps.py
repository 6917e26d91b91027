"""Evidence of an image: what each part of it adds to the logit, in the coordinates of the upright image."""

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from twofold.data import PreprocessedImage, Preprocessing, input_axes, preprocess
from twofold.embedding.evidence_network import EvidenceNetwork, PlaceEvidence
from twofold.embedding.map_placement import spread
from twofold.embedding.probes import probe_images

MapValues = NDArray[np.float64]
MAX_SIDE: Final = 256
"""Cells along the longer side of a map, at most."""

_TINY: Final = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class EvidenceMap:
    """What each cell of an image adds to the logit: `cells` (h, w), which divide the upright image evenly.

    `margins` is what the grey margins of a padded image add, else 0 up to rounding; with it the cells sum up to the logit.
    `features` are those of the model inputs one after the other, (k * d,).
    """

    cells: NDArray[np.float32] = field(repr=False)
    margins: float
    features: NDArray[np.float32] = field(repr=False)


def compute_evidence_map(
    network: EvidenceNetwork,
    image: PreprocessedImage,
    preprocessing: Preprocessing,
    weights: NDArray[np.float32],
    bias: float,
    pattern: PlaceEvidence | None = None,
) -> EvidenceMap:
    """The evidence of an image for a head with weights (d,) and this bias, less a pattern from `find_pattern`.

    The bias is spread evenly over what the network sees. It is the logit of an image without any activation, which does not
    exist; without it, maps of a head with a large negative bias would be positive everywhere.
    """
    whole = np.array([crop.grid == 1 for crop in preprocessing.crops])
    shares = whole / np.count_nonzero(whole)
    input_weights = (shares[:, None] * weights[: weights.size // preprocessing.moments]).astype(np.float32)
    rows, evidence = network.run(image.model_inputs, input_weights)
    levels = shares * bias
    if preprocessing.views:  # how much a window weighs in a standard deviation over windows depends on the image
        input_weights, constants = split_weights(preprocessing, weights, rows)
        rows, evidence = network.run(image.model_inputs, input_weights)
        levels = levels + constants
    if pattern is not None:
        evidence = evidence - _stretch(shares) * pattern
    total = float(evidence.sum(dtype=np.float64)) + float(levels.sum())
    cells = _place(image, preprocessing, evidence + _stretch(levels / evidence[0].size))
    return EvidenceMap(cells, total - float(cells.sum(dtype=np.float64)), rows.ravel())


def find_pattern(network: EvidenceNetwork, preprocessing: Preprocessing, weights: NDArray[np.float32]) -> PlaceEvidence:
    """What maps show for every image, because the network pads its maps at the borders: the mean map of the probe images, less
    its mean, (1, h, w). It sums up to 0, so that a map without it has the same sum.
    """
    images = [preprocess(probe, preprocessing) for probe in probe_images()]
    inputs = [image.model_inputs[0] for image in images if isinstance(image, PreprocessedImage)]
    width = weights.size // preprocessing.moments
    _, evidence = network.run(inputs, np.repeat(weights[None, :width], len(inputs), axis=0))
    mean = evidence.mean(axis=0, keepdims=True)
    return np.asarray(mean - mean.mean())


def _stretch(values: MapValues) -> NDArray[np.float32]:
    """One value for each model input, (k,) -> (k, 1, 1)."""
    return values.astype(np.float32)[:, None, None]


def split_weights(
    preprocessing: Preprocessing, weights: NDArray[np.float32], rows: NDArray[np.float32]
) -> tuple[NDArray[np.float32], MapValues]:
    """The weights of each model input's features (k, d), and a constant for each (k,), that give the logit of an image.

    `weights` are those of the features that `Preprocessing.pool` makes of `rows` (k, d). A standard deviation over windows is a
    sum over windows, too: sigma = sum of (f - m)² / (K sigma). A window has the weight (f - m) / (K sigma) and the constant -m
    times that.
    """
    grids = np.array([crop.grid for crop in preprocessing.crops])
    parts = weights.reshape(preprocessing.moments, -1).astype(np.float64)
    split, levels = np.zeros(rows.shape), np.zeros(len(rows))
    split[grids == 1] = parts[0] / np.count_nonzero(grids == 1)
    for grid, part in zip(preprocessing.views, parts[1:], strict=True):
        windows = rows[grids == grid].astype(np.float64)
        means, stds = windows.mean(axis=0), np.maximum(windows.std(axis=0), _TINY)
        split[grids == grid] = part * (windows - means) / (len(windows) * stds)
        levels[grids == grid] = -(split[grids == grid] @ means)
    return split.astype(np.float32), levels


def _place(image: PreprocessedImage, preprocessing: Preprocessing, evidence: PlaceEvidence) -> NDArray[np.float32]:
    """The sum of the maps of all model inputs in the image, (h, w)."""
    height, width = _map_shape(image, preprocessing, max(evidence.shape[1:]))
    total = np.zeros((width, height), np.float32)
    for cells, crop in zip(evidence, preprocessing.crops, strict=True):
        across, down = input_axes(image.width, image.height, preprocessing, crop)
        rows = spread(cells.shape[0], preprocessing.size, down, image.height, height)
        columns = spread(cells.shape[1], preprocessing.size, across, image.width, width)
        total += columns @ np.ascontiguousarray((rows @ cells).T)
    return np.ascontiguousarray(total.T)


def _map_shape(image: PreprocessedImage, preprocessing: Preprocessing, finest: int) -> tuple[int, int]:
    """Height and width of the map: its cells are as large as the smallest that the network sees, but not too many."""
    axes = (input_axes(image.width, image.height, preprocessing, crop) for crop in preprocessing.crops)
    side = min(axis.scale for pair in axes for axis in pair) * preprocessing.size / finest
    side = max(1.0, side, max(image.width, image.height) / MAX_SIDE)
    return max(round(image.height / side), 1), max(round(image.width / side), 1)


def coarsen(cells: NDArray[np.float32], side: int) -> MapValues:
    """The sums of a map (h, w) over `side` x `side` even parts of the image, (side, side).

    >>> coarsen(np.ones((3, 4)), 2).tolist()
    [[3.0, 3.0], [3.0, 3.0]]
    """
    rows, columns = (_overlaps(count, side) for count in cells.shape)
    return np.asarray(rows @ cells @ columns.T, np.float64)


def _overlaps(cells: int, parts: int) -> MapValues:
    """The fraction of each cell of an axis in each of its even parts, (parts, cells)."""
    ends, edges = np.arange(parts + 1)[:, None] * cells / parts, np.arange(cells)
    return np.asarray(np.diff((ends - edges).clip(0, 1), axis=0))
