"""Covered patches of an image, and evidence by occlusion: how the logit changes without a patch; for any network."""

from collections.abc import Callable, Iterable, Sequence
from itertools import chain, islice
from typing import Final

import numpy as np
from numpy.typing import NDArray

from twofold.data import ImageArray, InputAxis, PreprocessedImage, Preprocessing, input_axes
from twofold.embedding.engine import BATCH, InferenceRequest

PATCHES: Final = 8
"""The patches along each side of the image."""

_INPUTS: Final = 8 * BATCH  # model inputs in memory

LogitFunction = Callable[[NDArray[np.float32]], NDArray[np.float64]]
"""The logits (n,) of images with features (n, d)."""


def occlude(
    request: InferenceRequest, image: PreprocessedImage, preprocessing: Preprocessing, logits: LogitFunction
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """How much lower the logit is without each patch, (PATCHES, PATCHES), and the features of the model inputs, (k * d,).

    The differences do not sum up to the logit: patches that show the same can replace each other.
    """
    values, features = covered_logits(request, image, preprocessing, logits, [[patch] for patch in range(PATCHES**2)])
    return (values[0] - values[1:]).reshape(PATCHES, PATCHES).astype(np.float32), features


def covered_logits(
    request: InferenceRequest,
    image: PreprocessedImage,
    preprocessing: Preprocessing,
    logits: LogitFunction,
    covers: Iterable[Sequence[int]],
) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """The logit of the image, then that with each of `covers` covered, (1 + n,), and the features of the image's model inputs.

    A cover is a list of patches, numbered row by row. They get the mean colour of each model input.
    """
    versions = chain([image.model_inputs], (_cover(image, preprocessing, cover) for cover in covers))
    rows: list[NDArray[np.float32]] = []
    while some := list(islice(versions, max(1, _INPUTS // len(image.model_inputs)))):
        rows += list(request.features([each for version in some for each in version]).reshape(len(some), -1))
    return logits(np.stack([preprocessing.pool(row) for row in rows])), rows[0]


def _cover(image: PreprocessedImage, preprocessing: Preprocessing, patches: Sequence[int]) -> tuple[ImageArray, ...]:
    """The model inputs of the image with these patches covered."""
    covered = tuple(each.copy() for each in image.model_inputs)
    for model_input, crop in zip(covered, preprocessing.crops, strict=True):
        mean = model_input.mean(axis=(0, 1)).round().astype(np.uint8)
        across, down = input_axes(image.width, image.height, preprocessing, crop)
        for row, column in (divmod(patch, PATCHES) for patch in patches):
            model_input[_pixels(down, image.height, row), _pixels(across, image.width, column)] = mean
    return covered


def _pixels(axis: InputAxis, length: int, part: int) -> slice:
    """The pixels of a model input in one of the PATCHES even parts of the image's axis."""
    start, end = (round(max((length * edge / PATCHES - axis.start) / axis.scale, 0)) for edge in (part, part + 1))
    return slice(start, end)
