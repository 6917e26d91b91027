"""scores.csv of a bundle: the scores that its calibration and its rule come from."""

import csv
import io
from array import array
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from twofold.core.arrays import Labels

COLUMNS: Final = ("path", "label", "group", "fold", "logit", "probability", "familiarity")


@dataclass(frozen=True, slots=True, eq=False)
class ScoreTable:
    """Labels (n,), 1 for the positive class, and groups (n,) of images; logits (n,) and familiarity (n,), NaN where it is
    unknown, by models that were not fitted on them."""

    labels: Labels = field(repr=False)
    groups: NDArray[np.int64] = field(repr=False)
    logits: NDArray[np.float64] = field(repr=False)
    familiarity: NDArray[np.float64] = field(repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class ScoredPaths:
    """The paths of the images in scores.csv, and the probabilities (n,) that the evaluation of the training is made from."""

    paths: tuple[str, ...] = field(repr=False)
    probabilities: NDArray[np.float64] = field(repr=False)


def read_scored_paths(text: str) -> ScoredPaths:
    """The paths and probabilities in a text that `read_scores` can read."""
    rows = csv.DictReader(io.StringIO(text, newline=""))
    pairs = [(row["path"], float(row["probability"])) for row in rows]
    return ScoredPaths(tuple(path for path, _ in pairs), np.array([probability for _, probability in pairs]))


def read_scores(text: str, classes: tuple[str, str]) -> ScoreTable:
    """The table in a text, for a model of these (negative, positive) classes. ValueError where it cannot be one."""
    rows = csv.reader(io.StringIO(text, newline=""))
    header = next(rows, [])
    if tuple(header) != COLUMNS:
        raise ValueError(f"it needs the columns {', '.join(COLUMNS)}")
    numbers = {classes[0]: 0, classes[1]: 1}
    labels, groups, logits, familiarity = array("b"), array("q"), array("d"), array("d")
    for row in rows:  # one after the other: a list of all would take five times as long
        if len(row) != len(header) or row[1] not in numbers:
            raise ValueError(f"each row needs {len(header)} values, and a label {classes[0]} or {classes[1]}")
        labels.append(numbers[row[1]])
        groups.append(int(row[2]))
        logits.append(float(row[4]))
        familiarity.append(float(row[6] or "nan"))
    table = ScoreTable(np.array(labels, np.int8), np.array(groups, np.int64), *map(np.array, (logits, familiarity)))
    if not 0 < int(table.labels.sum()) < len(labels) or not np.isfinite(table.logits).all():
        raise ValueError("it needs images of both classes with finite logits")
    return table
