"""How many labels a person who looked at all images would still change: a bound from images that were drawn at random."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

CONFIDENCE: Final = 0.95

_FACTORS: Final = np.array([0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8])
_WEIGHTS: Final = np.array([0.5, *[0.5 / 9] * 9])
"""The alternatives to a number of wrong labels: that labels of the draws are wrong less often by one of these factors."""


@dataclass(frozen=True, slots=True)
class RandomDraw:
    """An image that was drawn at random from `unchecked` images after `corrections` of labels; whether its label is wrong."""

    unchecked: int
    corrections: int
    wrong: bool


def most_wrong_left(
    draws: Sequence[RandomDraw], unchecked: int, corrections: int, *, confidence: float = CONFIDENCE
) -> int:
    """The largest number of wrong labels among the `unchecked` images that the draws do not contradict, after `corrections` of
    others.

    Let W be the number of wrong labels of all images at the beginning. Whatever else was looked at, and why, each random draw is
    a wrong label with probability p = (W - corrections) / unchecked, with the values at that draw: without replacement, so this
    is the hypergeometric distribution where all is drawn at random. Under the true W the product over the draws of the
    likelihood ratio with c * p in place of p is a martingale that starts at 1; so is its mean over several c. By Ville's
    inequality it ever exceeds 1 / (1 - confidence) with probability at most 1 - confidence (Wald 1945; Robbins 1970; without
    replacement Waudby-Smith and Ramdas 2020). So the bound holds at all times together: one may look at it after every image,
    and stop when it is low. The ratio increases with W, so a binary search finds the largest W that is left.

    >>> most_wrong_left([], 100, 0)
    100
    >>> most_wrong_left([RandomDraw(1000 - number, 0, wrong=False) for number in range(300)], 700, 0)
    9
    """
    pools = np.array([draw.unchecked for draw in draws], np.float64)
    earlier = np.array([draw.corrections for draw in draws], np.float64)
    wrong = np.array([draw.wrong for draw in draws], np.bool_)
    low, high = 0, unchecked  # `low` is never contradicted, all above `high` are
    while low < high:
        middle = (low + high + 1) // 2
        fractions = (corrections + middle - earlier) / pools
        if _log_ratio(fractions, wrong) < -np.log(1 - confidence):
            low = middle
        else:
            high = middle - 1
    return low


def _log_ratio(fractions: NDArray[np.float64], wrong: NDArray[np.bool_]) -> float:
    """The logarithm of the mean likelihood ratio of the alternatives to these probabilities of a wrong label, (draws,)."""
    right = fractions[~wrong]
    with np.errstate(divide="ignore"):  # a right label where all should be wrong: infinite evidence
        gains = np.log1p(-_FACTORS[:, None] * right) - np.log1p(-right)
        losses = np.log(_FACTORS) * wrong.sum() if wrong.any() else np.zeros(len(_FACTORS))
    logs = np.log(_WEIGHTS) + gains.sum(axis=1) + losses
    top = float(logs.max())
    return top if not np.isfinite(top) else top + float(np.log(np.exp(logs - top).sum()))
