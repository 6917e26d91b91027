"""What a promise counts: an image, or one image of each group, and how many of them fail with a rule."""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from twofold.core.arrays import Labels, Probabilities
from twofold.decision.rule import Rule

Failure = Literal["missed", "false alarms", "precision", "npv", "error"]


@dataclass(frozen=True, slots=True, eq=False)
class Units:
    """What counts once each: an image, or one image of each group, drawn at random.

    `positives` and `negatives` are the ascending probabilities of the units of each class, (p,) and (q,), one for each group that
    has images of the class; `labels` and `probabilities` (u,) have one image of each group, in ascending order of probability.
    """

    positives: Probabilities = field(repr=False)
    negatives: Probabilities = field(repr=False)
    labels: Labels = field(repr=False)
    probabilities: Probabilities = field(repr=False)


def units_of(
    labels: Labels,
    probabilities: Probabilities,
    groups: NDArray[np.int64] | None = None,
    seed: int = 0,
    prevalence: float | None = None,
) -> Units:
    """The units of images (n,) in groups (n,); without groups each image is one.

    With a prevalence, units of both classes are drawn so that `labels` have it: a bound holds for images like those it counts.
    """
    order = np.random.default_rng(seed).permutation(len(labels))
    drawn = _one_of_each(order, groups)
    positives, negatives = (
        np.sort(probabilities[_one_of_each(order[labels[order] == label], groups)]) for label in (1, 0)
    )
    drawn = drawn if prevalence is None else _at_prevalence(drawn, labels[drawn], prevalence)
    drawn = drawn[np.argsort(probabilities[drawn], kind="stable")]
    return Units(positives, negatives, labels[drawn], probabilities[drawn])


def _one_of_each(rows: NDArray[np.intp], groups: NDArray[np.int64] | None) -> NDArray[np.intp]:
    """The first of these rows in each group (n,), in the order of the rows."""
    return rows if groups is None else rows[np.sort(np.unique(groups[rows], return_index=True)[1])]


def _at_prevalence(rows: NDArray[np.intp], labels: Labels, prevalence: float) -> NDArray[np.intp]:
    """As many of these rows, in random order, as have this fraction of positive labels, at most."""
    positives, negatives = int(np.sum(labels == 1)), int(np.sum(labels == 0))
    total = min(positives / prevalence, negatives / (1 - prevalence))
    counts = {1: round(total * prevalence), 0: round(total * (1 - prevalence))}
    return np.concatenate([rows[labels == label][:count] for label, count in counts.items()])


@dataclass(frozen=True, slots=True, eq=False)
class Bands:
    """Rules to choose from, from the one that decides most to the one that decides least: negative below `low`, positive from
    `high` on, (b,) each."""

    low: Probabilities = field(repr=False)
    high: Probabilities = field(repr=False)


def observed(units: Units, rule: Rule, failure: Failure) -> tuple[int, int]:
    """How many units a rate is measured on with this rule, and how many of them fail."""
    if failure == "missed":
        return len(units.positives), int(np.sum(units.positives < rule.low))
    if failure == "false alarms":
        return len(units.negatives), int(np.sum(units.negatives >= rule.high))
    trials, failures, _ = failure_counts(units, Bands(np.array([rule.low]), np.array([rule.high])), failure)
    return int(trials[0]), int(failures[0])


def failure_counts(
    units: Units, bands: Bands, failure: Failure
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Of each band, (b,) each: how many units are tried, how many fail, and how many are predicted to fail."""
    p, positive = units.probabilities, np.append(0, np.cumsum(units.labels == 1))
    expected = np.append(0.0, np.cumsum(p))
    below, from_high = np.searchsorted(p, bands.low), np.searchsorted(p, bands.high)
    called = len(p) - from_high
    negative = below.astype(np.float64), positive[below].astype(np.float64), expected[below]
    right = positive[-1] - positive[from_high], expected[-1] - expected[from_high]
    called_positive = called.astype(np.float64), (called - right[0]).astype(np.float64), called - right[1]
    if failure == "npv":
        return negative
    if failure == "precision":
        return called_positive
    trials, failures, predicted = (a + b for a, b in zip(negative, called_positive, strict=True))
    return trials, failures, predicted
