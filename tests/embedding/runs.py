"""Running a graph on pictures, in one line."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from twofold.data import Look, Square, look
from twofold.embedding import Arithmetic, Backbone, Engine


def squares(pictures: list[bytes | Image.Image], size: int) -> NDArray[np.uint8]:
    """What a network of this size sees, (n, size, size, 3)."""
    looks = [look(picture, Square(size)) for picture in pictures]
    return np.stack([seen.square for seen in looks if isinstance(seen, Look)])


def as_backbone(graph: bytes, size: int, precision: Arithmetic = "f32") -> Backbone:
    """A graph as it comes out of the builder, under no particular name."""
    return Backbone("test", graph, Square(size), precision, "stages")


def run(backbone: Backbone, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The vectors of at most a batch of squares, (n, d)."""
    (lane,) = Engine(backbone, threads=1).lanes
    lane.squares[: len(pixels)] = pixels
    return lane.run(len(pixels))


def cosines(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float64]:
    """Cosine of each row with its partner, (n,)."""
    dots = np.einsum("ij,ij->i", a, b, dtype=np.float64)
    return dots / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
