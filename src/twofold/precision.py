"""Is the fast arithmetic as good as float32 here? Asked of the training pictures themselves."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twofold.data import Note
from twofold.embedding import Arithmetic, Backbone, Machine, Source, fast_precisions
from twofold.errors import UsageError
from twofold.model import Model
from twofold.options import BackboneOptions

PICTURES = 200
LEAST_COSINE = 0.98


@dataclass(frozen=True, slots=True)
class PrecisionCheck:
    """How the vectors of one arithmetic compare with float32's, on pictures of the training data."""

    precision: Arithmetic
    pictures: int
    median_cosine: float
    lowest_cosine: float
    decisions_changed: int  # answers of the fitted head that float32 vectors would turn

    @property
    def trusted(self) -> bool:
        return self.median_cosine >= LEAST_COSINE

    def note(self) -> Note:
        """Why float32 was used after all."""
        text = (
            f"{self.precision} vectors differ too much from float32's here (median cosine {self.median_cosine:.3f} "
            f"on {self.pictures} pictures, {LEAST_COSINE} is asked for), so float32 was used: slower, and exact."
        )
        return Note("precision-fallback", text)


def starting_precision(options: BackboneOptions, offered: tuple[Arithmetic, ...]) -> Arithmetic:
    """The arithmetic that was asked for; for auto, the fastest that both the processor and the network, by `offered`, have."""
    if options.precision == "auto":
        return next(precision for precision in fast_precisions() if precision in offered)
    if options.precision not in offered:
        raise UsageError(f"This network cannot be run in {options.precision}; use --precision {' or '.join(offered)}.")
    if options.precision == "bf16" and "bf16" not in fast_precisions():
        raise UsageError("This processor has no bfloat16 arithmetic; use --precision f32 or auto.")
    return options.precision


def compare_precisions(
    model: Model,
    sources: Sequence[Source],
    vectors: NDArray[np.float32],
    exact: Backbone,
    machine: Machine,
    *,
    seed: int,
) -> PrecisionCheck:
    """The check on at most `PICTURES` of the usable pictures `sources` and their vectors (n, d), drawn at random.

    `exact` is the model's backbone in float32.
    """
    drawn = np.random.default_rng(seed).permutation(len(sources))[:PICTURES]
    chosen = [sources[row] for row in drawn]
    table = machine.observe(chosen, machine.engine(exact), what="precision check")
    ours, theirs = vectors[drawn][table.used], table.vectors  # a file may have vanished meanwhile
    cosines = np.einsum("nd,nd->n", ours, theirs) / (np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1))
    changed = (model.probabilities(ours) >= model.threshold) != (model.probabilities(theirs) >= model.threshold)
    return PrecisionCheck(
        model.backbone.precision, len(cosines), float(np.median(cosines)), float(cosines.min()), int(changed.sum())
    )
