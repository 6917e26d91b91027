"""Running a graph on pictures, in one line."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from twofold.data import PreprocessedImage, Preprocessing, preprocess
from twofold.embedding import Engine
from twofold.networks import Backbone, Dtype


def model_inputs(images: list[bytes | Image.Image], size: int) -> NDArray[np.uint8]:
    """What a network of this size sees, (n, size, size, 3)."""
    looks = [preprocess(image, Preprocessing(size)) for image in images]
    return np.stack([seen.model_input for seen in looks if isinstance(seen, PreprocessedImage)])


def as_backbone(graph: bytes, size: int, dtype: Dtype = "f32") -> Backbone:
    """A graph as it comes out of the builder, under no particular name."""
    return Backbone("test", graph, Preprocessing(size), dtype, "stages")


def run(backbone: Backbone, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The vectors of at most a batch of squares, (n, d)."""
    (request,) = Engine(backbone, threads=1).requests
    request.model_inputs[: len(pixels)] = pixels
    return request.run(len(pixels))


def cosines(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float64]:
    """Cosine of each row with its partner, (n,)."""
    dots = np.einsum("ij,ij->i", a, b, dtype=np.float64)
    return dots / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
