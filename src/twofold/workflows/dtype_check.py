"""Is the fast arithmetic as good as float32 here? Asked of the training pictures themselves."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twofold.bundle.model import Model
from twofold.core.notes import Note
from twofold.embedding import Runtime, Source
from twofold.networks import Backbone, Dtype

IMAGES = 200
# Decision 008: int8 as it should be has 0.976 and more and changes 1.8% of the answers and less; int8 that saturates in 16 bits
# has 0.95 and less, and changes up to 30%.
LEAST_COSINE = 0.96
MOST_CHANGED = 0.03


@dataclass(frozen=True, slots=True)
class DtypeCheck:
    """How one arithmetic compares with float32, on pictures of the training data.

    Cosines are of standardised vectors: those of raw ones lie near 1 whatever happens, since all have a large part in common.
    """

    dtype: Dtype
    images: int
    median_cosine: float
    lowest_cosine: float
    decisions_changed: int  # answers of the fitted head that float32 vectors would turn

    @property
    def trusted(self) -> bool:
        changed = self.decisions_changed / self.images if self.images else 1.0
        return changed <= MOST_CHANGED and self.median_cosine >= LEAST_COSINE

    def note(self) -> Note:
        """Why float32 was used after all."""
        text = (
            f"{self.dtype} differs too much from float32 on these images, so float32 was used: slower, and exact. On "
            f"{self.images} of them {self.decisions_changed} predictions change (at most {MOST_CHANGED:.0%} may), and the "
            f"standardised features have a median cosine of {self.median_cosine:.3f} (at least {LEAST_COSINE} is needed)."
        )
        return Note("dtype-fallback", text)


def check_dtype(
    model: Model,
    sources: Sequence[Source],
    features: NDArray[np.float32],
    exact: Backbone,
    runtime: Runtime,
    *,
    seed: int,
) -> DtypeCheck:
    """The check on at most `PICTURES` of the usable pictures `sources` and their vectors (n, d), drawn at random.

    `exact` is the model's backbone in float32.
    """
    drawn = np.random.default_rng(seed).permutation(len(sources))[:IMAGES]
    chosen = [sources[row] for row in drawn]
    table = runtime.embed(chosen, runtime.engine(exact), what="precision check")
    ours, theirs = features[drawn][table.used], table.features  # a file may have vanished meanwhile
    changed = model.rule.decide(model.probabilities(ours)) != model.rule.decide(model.probabilities(theirs))
    cosines = standardised_cosines(ours, theirs, features) if len(ours) else np.zeros(1)
    return DtypeCheck(
        model.backbone.dtype, len(ours), float(np.median(cosines)), float(cosines.min()), int(changed.sum())
    )


def standardised_cosines(
    a: NDArray[np.float32], b: NDArray[np.float32], features: NDArray[np.float32]
) -> NDArray[np.float64]:
    """The cosine of each row of a (n, d) with that of b (n, d), (n,), features standardised as in `vectors` (m, d)."""
    mean, std = features.mean(axis=0), features.std(axis=0)
    scale = np.maximum(std, 0.01 * std.mean() + 1e-6)  # features that hardly vary say nothing
    a, b = (a - mean) / scale, (b - mean) / scale
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return np.asarray(np.einsum("nd,nd->n", a, b) / np.maximum(lengths, 1e-12), np.float64)
