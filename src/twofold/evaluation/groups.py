"""Design effects: by how much groups of images raise the variance of a metric.

Twenty images of one patient are less than twenty images. The variance of a sum over groups is that of the groups' sums, as in
cluster-robust standard errors (Liang and Zeger 1986); divided by the variance for independent images it is the design effect
(Kish 1965).
"""

import math

import numpy as np
from numpy.typing import NDArray

from twofold.core.arrays import Labels, Reals

Groups = NDArray[np.int64]


def has_groups(groups: Groups | None) -> bool:
    """Whether any two images are of one group."""
    return groups is not None and count_groups(groups) < len(groups)


def count_groups(groups: Groups) -> int:
    """The number of groups. Faster than `numpy.unique` for many images."""
    ordered = np.sort(groups)
    return int(np.sum(ordered[1:] != ordered[:-1])) + 1 if len(groups) else 0


def design_effect(residuals: Reals, groups: Groups | None, level: float = 0.95) -> float:
    """The factor on the variance of a sum of residuals (n,) of mean 0, at least 1; 1 where each group (n,) is one image.

    With few groups their sums are few: the factor includes the square of the t quantile over the normal one, for an interval of
    this level and as many degrees of freedom as there are groups, less one. Without any residual, as where no decision is wrong,
    each group counts as one image.
    """
    if groups is None or not has_groups(groups):
        return 1.0
    from scipy.special import ndtri, stdtrit  # here, because predictions do not need it

    _, number, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    if len(sizes) < 2:
        return math.inf
    independent = float(np.sum(residuals**2))
    sums = np.bincount(number, residuals)
    effect = float(np.sum(sums**2)) / independent if independent > 0 else float(np.sum(sizes**2) / np.sum(sizes))
    count, tail = len(sizes), (1 + level) / 2
    return max(1.0, effect * count / (count - 1) * float(stdtrit(count - 1, tail) / ndtri(tail)) ** 2)


def group_correlation(residuals: Reals, groups: Groups | None) -> float:
    """The mean correlation of two residuals (n,) of mean 0 within a group, from 0 to 1; 0 where each group is one image."""
    if groups is None or not has_groups(groups):
        return 0.0
    _, number, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    variance = float(np.mean(residuals**2))
    products = float(np.sum(np.bincount(number, residuals) ** 2) - np.sum(residuals**2))
    return min(max(products / (variance * float(np.sum(sizes * (sizes - 1)))), 0.0), 1.0) if variance > 0 else 0.0


def effect_of_correlation(correlation: float, groups: Groups | None) -> float:
    """The factor on the variance of a mean over images in groups (n,) of this correlation (Kish 1965)."""
    if groups is None:
        return 1.0
    sizes = np.unique(groups, return_counts=True)[1]
    return 1 + correlation * (float(np.sum(sizes**2)) / len(groups) - 1)


def centred(values: Reals, labels: Labels) -> Reals:
    """The values (n,) minus the mean of their class."""
    result = np.asarray(values, np.float64).copy()
    for label in (0, 1):
        of_class = labels == label
        if of_class.any():
            result[of_class] -= result[of_class].mean()
    return result
