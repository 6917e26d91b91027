"""Similar images: the nearest neighbours of an image in each class, by its features."""

from dataclasses import dataclass, field
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

_WIDTH: Final = 64  # of the sketch: random projections keep distances to about a tenth
_SHORTLIST: Final = 40  # images that are compared with all features
_AT_ONCE: Final = 1024


@dataclass(frozen=True, slots=True, eq=False)
class SimilarImages:
    """Features (n, d), their means and reciprocal standard deviations (d,), and a sketch (n, 64) that makes a search quick."""

    features: NDArray[np.float32] = field(repr=False)
    mean: NDArray[np.float32] = field(repr=False)
    scale: NDArray[np.float32] = field(repr=False)
    sketch: NDArray[np.float32] = field(repr=False)

    @classmethod
    def of(cls, features: NDArray[np.float32], seed: int = 0) -> Self:
        """The search in features (n, d), standardised."""
        mean, std = features.mean(axis=0), features.std(axis=0)
        scale = np.where(std > 0, 1 / np.where(std > 0, std, 1), 0).astype(np.float32)
        width = features.shape[1]
        projection = np.random.default_rng(seed).normal(0, 1 / np.sqrt(_WIDTH), (width, _WIDTH)).astype(np.float32)
        sketch = np.empty((len(features), _WIDTH), np.float32)
        for at in range(0, len(features), _AT_ONCE):
            sketch[at : at + _AT_ONCE] = (features[at : at + _AT_ONCE] - mean) * scale @ projection
        return cls(features, mean, scale, sketch)

    def nearest(self, row: int, allowed: NDArray[np.bool_], count: int) -> list[int]:
        """The nearest of the `allowed` (n,) images, the nearest first, without the image itself."""
        rows = np.flatnonzero(allowed)
        rows = rows[rows != row]
        rough = np.square(self.sketch[rows] - self.sketch[row]).sum(axis=1)
        if len(rows) > _SHORTLIST:
            rows = rows[np.argpartition(rough, _SHORTLIST)[:_SHORTLIST]]
        exact = np.square((self.features[rows] - self.features[row]) * self.scale).sum(axis=1)
        return [int(number) for number in rows[np.argsort(exact, kind="stable")[:count]]]
