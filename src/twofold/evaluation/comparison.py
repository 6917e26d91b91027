"""Comparison: two models on the same pictures, as paired differences with intervals."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twofold.evaluation.intervals import UNDEFINED, Interval, Z, around, bootstrap
from twofold.evaluation.metrics import Labels, Probabilities, log_losses, placements


@dataclass(frozen=True, slots=True)
class Comparison:
    """The second model minus the first, on the same pictures."""

    images: int
    differences: dict[str, Interval]  # accuracy, log_loss, roc_auc: second - first
    repaired: int  # pictures that only the second gets right
    spoiled: int  # pictures that only the first gets right
    p_value: float  # exact McNemar: chance of so uneven a split if both are equally good

    def as_json(self) -> dict[str, Any]:
        """The fields, with {"value", "low", "high"} for each difference."""
        return {
            "images": self.images,
            "differences": {name: interval.as_json() for name, interval in self.differences.items()},
            "repaired": self.repaired,
            "spoiled": self.spoiled,
            "p_value": self.p_value,
        }


def compare(
    labels: Labels, first: tuple[Probabilities, float], second: tuple[Probabilities, float], *, seed: int = 0
) -> Comparison:
    """Two models, each as (probabilities, threshold), on the pictures of these labels: second minus first."""
    (p, s), (q, t) = first, second
    a, b = (p >= s) == (labels == 1), (q >= t) == (labels == 1)
    repaired, spoiled = int((b & ~a).sum()), int((a & ~b).sum())
    losses = log_losses(labels, q) - log_losses(labels, p)
    draws = bootstrap(labels, lambda weights: (weights @ losses / len(labels))[:, None], seed)
    return Comparison(
        images=len(labels),
        differences={
            "accuracy": paired_shares(repaired, spoiled, len(labels)),
            "log_loss": around(float(losses.mean()), draws[:, 0]),
            "roc_auc": paired_delong(labels, p, q),
        },
        repaired=repaired,
        spoiled=spoiled,
        p_value=mcnemar(repaired, spoiled),
    )


def paired_shares(gained: int, lost: int, n: int) -> Interval:
    """(gained - lost) / n with the adjusted Wald interval of Bonett and Price 2012, which holds for small counts."""
    p, q = (gained + 1) / (n + 2), (lost + 1) / (n + 2)
    half = Z * math.sqrt((p + q - (p - q) ** 2) / (n + 2))
    return Interval((gained - lost) / n, max(-1.0, p - q - half), min(1.0, p - q + half))


def paired_delong(labels: Labels, first: Probabilities, second: Probabilities) -> Interval:
    """Difference of the two areas under the ROC curve with DeLong's interval (1988, equation 5); undefined for one class."""
    above, below = (y - x for x, y in zip(placements(labels, first), placements(labels, second), strict=True))
    if len(above) < 2 or len(below) < 2:
        return UNDEFINED
    half = Z * math.sqrt(_variance_of_mean(above) + _variance_of_mean(below))
    value = float(above.mean())
    return Interval(value, max(-1.0, value - half), min(1.0, value + half))


def _variance_of_mean(x: NDArray[np.float64]) -> float:
    return float(np.var(x, ddof=1) / len(x))


def mcnemar(gained: int, lost: int) -> float:
    """Two-sided exact p-value of McNemar's test: the answers that differ, split like fair coins.

    >>> mcnemar(1, 9)
    0.021484375
    """
    changed, fewer = gained + lost, min(gained, lost)
    tail = sum(math.comb(changed, k) for k in range(fewer + 1)) / (1 << changed)
    return min(1.0, 2 * tail)
