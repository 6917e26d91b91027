"""Evidence by occlusion: how much the logit changes where a patch of the image is covered; for any network."""

from collections.abc import Callable, Iterator
from itertools import chain, islice
from typing import Final

import numpy as np
from numpy.typing import NDArray

from twofold.data import ImageArray, InputAxis, PreprocessedImage, Preprocessing, input_axes
from twofold.embedding.engine import BATCH, InferenceRequest

PATCHES: Final = 8
"""The patches along each side of the image."""

Logits = Callable[[NDArray[np.float32]], NDArray[np.float64]]
"""The logits (n,) of images with features (n, d)."""


def occlude(
    request: InferenceRequest,
    image: PreprocessedImage,
    preprocessing: Preprocessing,
    logits: Logits,
    patches: int = PATCHES,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """How much lower the logit is without each patch, (patches, patches), and the features of the model inputs, (k * d,).

    A patch is replaced by the mean colour of each model input. The differences do not sum up to the logit: patches that show the
    same can replace each other.
    """
    count = len(image.model_inputs)
    versions = chain([image.model_inputs], _cover(image, preprocessing, patches))
    rows: list[NDArray[np.float32]] = []
    while some := list(islice(versions, max(1, BATCH * PATCHES // count))):
        rows += list(request.features([each for version in some for each in version]).reshape(len(some), -1))
    values = logits(np.stack([preprocessing.pool(row) for row in rows]))
    return (values[0] - values[1:]).reshape(patches, patches).astype(np.float32), rows[0]


def _cover(image: PreprocessedImage, preprocessing: Preprocessing, patches: int) -> Iterator[tuple[ImageArray, ...]]:
    """The model inputs without each patch, row by row."""
    means = [each.mean(axis=(0, 1)).round().astype(np.uint8) for each in image.model_inputs]
    axes = [input_axes(image.width, image.height, preprocessing, crop) for crop in preprocessing.crops]
    for number in range(patches**2):
        row, column = divmod(number, patches)
        covered = []
        for model_input, mean, (across, down) in zip(image.model_inputs, means, axes, strict=True):
            rows, columns = _ends(down, image.height, row, patches), _ends(across, image.width, column, patches)
            copy = model_input.copy()
            copy[rows, columns] = mean
            covered.append(copy)
        yield tuple(covered)


def _ends(axis: InputAxis, length: int, part: int, parts: int) -> slice:
    """The pixels of a model input in one of the even parts of the image's axis."""
    start, end = (round(max((length * edge / parts - axis.start) / axis.scale, 0)) for edge in (part, part + 1))
    return slice(start, end)
