"""Running a graph on images, in one line."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from twofold.data import PreprocessedImage, Preprocessing, preprocess
from twofold.embedding import Engine
from twofold.networks import Backbone, Dtype


def model_inputs(images: list[bytes | Image.Image], size: int) -> NDArray[np.uint8]:
    """The model inputs at this size, (n, size, size, 3)."""
    results = [preprocess(image, Preprocessing(size)) for image in images]
    return np.stack([result.model_input for result in results if isinstance(result, PreprocessedImage)])


def as_backbone(graph: bytes, size: int, dtype: Dtype = "f32") -> Backbone:
    """A backbone of this graph, with the default preprocessing."""
    return Backbone("test", graph, Preprocessing(size), dtype, "stages")


def run(backbone: Backbone, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The features of at most one batch of model inputs, (n, d)."""
    (request,) = Engine(backbone, threads=1).requests
    request.model_inputs[: len(pixels)] = pixels
    return request.run(len(pixels))


def cosines(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float64]:
    """The cosine similarity of corresponding rows, (n,)."""
    dots = np.einsum("ij,ij->i", a, b, dtype=np.float64)
    return dots / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
