"""The scores of a page as typed arrays, and what the threshold explorer computes with them."""

import base64
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from twofold.decision.bounds import MAX_SIMULTANEOUS_RATE, simultaneous_confidence, upper_bound
from twofold.decision.costs import Costs
from twofold.decision.rule import Rule
from twofold.decision.units import units_of
from twofold.evaluation.groups import has_groups
from twofold.workflows.report import ThresholdScores

CONFIDENCE: Final = 0.95
"""Both bands, of missed positives and of false alarms, hold together at this confidence for every position of the handles."""


@dataclass(frozen=True, slots=True, eq=False)
class ScoresBlock:
    """`header` as JSON, and `data`: little-endian arrays one after the other, in base64.

    First float32, ascending: probabilities of the negatives, of the positives and, where there are groups, of the units of both;
    then float64: for each number of failing units from 0 on, the highest rate of failures that the band allows, of the positives
    and of the negatives; last a byte for each image, 1 where it is unfamiliar.
    """

    header: dict[str, Any]
    data: str = field(repr=False)


def scores_block(scores: ThresholdScores) -> ScoresBlock:
    """The scores for the explorer."""
    rule, positive = scores.rule, scores.labels == 1
    unfamiliar = _unfamiliar(scores)
    orders = [np.flatnonzero(positive == label) for label in (False, True)]
    orders = [rows[np.argsort(scores.probabilities[rows], kind="stable")] for rows in orders]
    grouped = has_groups(scores.groups)
    units = units_of(scores.labels, scores.probabilities, scores.groups if grouped else None)
    columns = [scores.probabilities[rows] for rows in orders] + ([units.negatives, units.positives] if grouped else [])
    bands = [rate_bounds(len(column)) for column in (units.positives, units.negatives)]
    floats = [_as_float32(column, rule) for column in columns]
    parts: list[NDArray[Any]] = [*floats, *bands, *(unfamiliar[rows].astype(np.uint8) for rows in orders)]
    costs = Costs.of_rule(rule)
    header = {
        "images": [len(rows) for rows in orders],
        "units": [len(units.negatives), len(units.positives)],
        "grouped": grouped,
        "bounds": [len(band) for band in bands],
        "low": rule.low,
        "high": rule.high,
        "prevalence": scores.prevalence,
        "assumed": rule.prevalence is not None,
        "gated": bool(unfamiliar.any()),
        "costs": None if costs is None else costs.as_json(),
        "confidence": CONFIDENCE,
        "max_rate": MAX_SIMULTANEOUS_RATE,
    }
    return ScoresBlock(header, base64.b64encode(b"".join(part.tobytes() for part in parts)).decode())


def rate_bounds(trials: int) -> NDArray[np.float64]:
    """The upper bound of the rate for 0, 1, ... failures among the trials, as far as bounds hold for all thresholds together."""
    if trials == 0:
        return np.empty(0)
    level = simultaneous_confidence(trials, 1 - (1 - CONFIDENCE) / 2)  # Bonferroni: two rates
    bounds = []
    for failures in range(trials):
        bound = upper_bound(failures, trials, level)
        if bound > MAX_SIMULTANEOUS_RATE:
            break
        bounds.append(bound)
    return np.array(bounds, np.float64)


def _unfamiliar(scores: ThresholdScores) -> NDArray[np.bool_]:
    gate = scores.rule.gate
    if gate is None or scores.familiarity is None:
        return np.zeros(len(scores.labels), np.bool_)
    return np.asarray(scores.familiarity < gate["level"])


def _as_float32(probabilities: NDArray[np.float64], rule: Rule) -> NDArray[np.float32]:
    """The probabilities in half the bytes, each on its side of both thresholds of the rule."""
    rounded = probabilities.astype("<f4")
    for end in (rule.low, rule.high):
        above = probabilities >= end
        fell = above & (rounded.astype(np.float64) < end)
        rose = ~above & (rounded.astype(np.float64) >= end)
        rounded[fell] = np.nextafter(rounded[fell], np.float32(2))
        rounded[rose] = np.nextafter(rounded[rose], np.float32(-1))
    return rounded
