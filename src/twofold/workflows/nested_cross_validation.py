"""The nested cross-validation of a head, by which the intervals of out-of-fold metrics are widened."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from twofold.core.errors import DataError
from twofold.dataset.folds import folds as assign_folds
from twofold.decision.cross_fitting import nested_scores
from twofold.evaluation.nested import NestedCrossValidation

FOLDS: Final = 5
SHUFFLES: Final = 3

MAX_IMAGES: Final = 600
"""Of more images a subset is cross-validated: the factors fall slowly with the number of images (docs/decisions/003)."""


def cross_validate_nested(
    features: NDArray[np.float32], labels: NDArray[np.int8], groups: NDArray[np.int64], C: float, seed: int
) -> NestedCrossValidation | None:
    """The nested cross-validation of a head with this C; None where a class has too few groups for it."""
    rows = np.arange(len(labels))
    if len(labels) > MAX_IMAGES:  # images and not groups: so the weight of a large group stays what it is
        rows = np.sort(np.random.default_rng(seed).permutation(len(labels))[:MAX_IMAGES])
    try:
        shuffles = [assign_folds(labels[rows], groups[rows], FOLDS, seed + 1 + shuffle) for shuffle in range(SHUFFLES)]
    except DataError:
        return None
    scores = nested_scores(features[rows], labels[rows], shuffles, C)
    return NestedCrossValidation(labels[rows], groups[rows], scores)
