"""Comparison of a fast dtype with float32 on the training images."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twofold.bundle.model import Model
from twofold.core.notes import Note
from twofold.embedding import Runtime, Source
from twofold.networks import Backbone, Dtype

IMAGES = 200
# Decision 008: correct int8 has a median cosine of at least 0.976 and changes at most 1.8% of the predictions; int8 that
# saturates in 16 bits has at most 0.95 and changes up to 30%.
MIN_COSINE = 0.96
MAX_CHANGED_FRACTION = 0.03


@dataclass(frozen=True, slots=True)
class DtypeCheck:
    """A dtype compared with float32 on training images.

    Cosines are between standardised features. Raw features share a large mean, so their cosines are near 1 in any case. Standard
    deviations over windows are left out of them: these are small differences of features, of which rounding is a larger part.
    """

    dtype: Dtype
    images: int
    median_cosine: float
    lowest_cosine: float
    decisions_changed: int  # predictions of the fitted head that differ with float32 features

    @property
    def is_reliable(self) -> bool:
        """Whether predictions and features are close enough to those of float32."""
        changed_fraction = self.decisions_changed / self.images if self.images else 1.0
        return changed_fraction <= MAX_CHANGED_FRACTION and self.median_cosine >= MIN_COSINE

    def note(self) -> Note:
        """The reason for the fallback to float32."""
        text = (
            f"{self.dtype} differs too much from float32 on these images, so float32 was used, which is slower but exact. "
            f"On {self.images} of them {self.decisions_changed} predictions change (at most {MAX_CHANGED_FRACTION:.0%} allowed), "
            f"and the standardised features have a median cosine of {self.median_cosine:.3f} (at least {MIN_COSINE} required)."
        )
        return Note("dtype-fallback", text)


def check_dtype(
    model: Model,
    sources: Sequence[Source],
    features: NDArray[np.float32],
    float_backbone: Backbone,
    runtime: Runtime,
    *,
    seed: int,
) -> DtypeCheck:
    """The check on a random sample of at most `IMAGES` of the usable images `sources`, whose features are (n, d).

    `float_backbone` is the model's backbone in float32.
    """
    rows = np.random.default_rng(seed).permutation(len(sources))[:IMAGES]
    table = runtime.embed([sources[row] for row in rows], runtime.engine(float_backbone), what="dtype check")
    features_in_dtype, reference = features[rows][table.used], table.features  # a file may have vanished in between
    changed_decisions = model.rule.decide(model.probabilities(features_in_dtype)) != model.rule.decide(
        model.probabilities(reference)
    )
    width = features.shape[1] // model.backbone.preprocessing.moments
    compared = (features_in_dtype[:, :width], reference[:, :width], features[:, :width])
    cosines = standardised_cosines(*compared) if len(features_in_dtype) else np.zeros(1)
    return DtypeCheck(
        model.backbone.dtype,
        len(features_in_dtype),
        float(np.median(cosines)),
        float(cosines.min()),
        int(changed_decisions.sum()),
    )


def standardised_cosines(
    a: NDArray[np.float32], b: NDArray[np.float32], features: NDArray[np.float32]
) -> NDArray[np.float64]:
    """The cosine of each row of a (n, d) with that of b (n, d), (n,), both standardised as `features` (m, d)."""
    mean, std = features.mean(axis=0), features.std(axis=0)
    scale = np.maximum(std, 0.01 * std.mean() + 1e-6)  # nearly constant features carry no information
    a, b = (a - mean) / scale, (b - mean) / scale
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return np.asarray(np.einsum("nd,nd->n", a, b) / np.maximum(lengths, 1e-12), np.float64)
