"""scores.csv of a bundle: the scores that its calibration and its rule come from."""

import csv
import io
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from twofold.core.arrays import Labels

COLUMNS: Final = ("path", "label", "group", "fold", "logit", "probability")


@dataclass(frozen=True, slots=True, eq=False)
class ScoreTable:
    """Labels (n,), 1 for the positive class, groups (n,), folds (n,) and logits (n,) of images by models that were not fitted on
    them."""

    labels: Labels = field(repr=False)
    groups: NDArray[np.int64] = field(repr=False)
    folds: NDArray[np.int64] = field(repr=False)
    logits: NDArray[np.float64] = field(repr=False)


def read_scores(text: str, classes: tuple[str, str]) -> ScoreTable:
    """The table in a text, for a model of these (negative, positive) classes. ValueError where it cannot be one."""
    header, *rows = csv.reader(io.StringIO(text, newline="")) or [()]
    if tuple(header)[: len(COLUMNS)] != COLUMNS or not rows or any(len(row) != len(header) for row in rows):
        raise ValueError(f"it needs the columns {', '.join(COLUMNS)} and a row for each image")
    _, names, groups, folds, logits = list(zip(*rows, strict=True))[:5]
    if set(names) != set(classes):
        raise ValueError(f"its labels must be {classes[0]} and {classes[1]}")
    labels = np.fromiter((name == classes[1] for name in names), np.int8, len(names))
    table = ScoreTable(labels, _integers(groups), _integers(folds), _floats(logits))
    if not np.isfinite(table.logits).all():
        raise ValueError("a logit is not a finite number")
    return table


def _integers(column: tuple[str, ...]) -> NDArray[np.int64]:
    return np.fromiter(map(int, column), np.int64, len(column))


def _floats(column: tuple[str, ...]) -> NDArray[np.float64]:
    return np.fromiter(map(float, column), np.float64, len(column))
