"""The familiarity of more images than fit in memory, fitted on a sample of them."""

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from twofold.core.arrays import StoredFeatures
from twofold.decision.familiarity import FamiliarityFit, Parts, fit_familiarity

MAX_IMAGES: Final = 20_000
"""Of features in a file. The axes and the gate change little with more: the gate rests on the largest hundredth of the rests."""


def fit_stored_familiarity(
    features: StoredFeatures,
    folds: NDArray[np.int64],
    groups: NDArray[np.int64],
    parts: Parts,
    *,
    max_images: int = MAX_IMAGES,
    seed: int = 0,
) -> FamiliarityFit:
    """What `fit_familiarity` gives. Of features (n, d) in a file, float16, it is fitted on a random sample.

    The familiarity of the images outside of the sample is then that of a new image.
    """
    if features.dtype == np.float32 or len(features) <= max_images:
        return fit_familiarity(features, folds, groups, parts)
    rows = np.sort(np.random.default_rng(seed).permutation(len(features))[:max_images])
    fit = fit_familiarity(features[rows], folds[rows], groups[rows], parts)
    values = fit.familiarity.of(features)
    values[rows] = fit.values
    return replace(fit, values=values)
