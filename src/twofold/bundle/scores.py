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
    """Paths (n,), labels (n,), 1 for the positive class, groups (n,) and folds (n,) of images; logits (n,) and familiarity (n,),
    NaN where it is unknown, by models that were not fitted on them. `probabilities` (n,) are those that the evaluation of the
    training is made from."""

    paths: tuple[str, ...] = field(repr=False)
    labels: Labels = field(repr=False)
    groups: NDArray[np.int64] = field(repr=False)
    folds: NDArray[np.int64] = field(repr=False)
    logits: NDArray[np.float64] = field(repr=False)
    probabilities: NDArray[np.float64] = field(repr=False)
    familiarity: NDArray[np.float64] = field(repr=False)


def read_scores(text: str, classes: tuple[str, str]) -> ScoreTable:
    """The table in a text, for a model of these (negative, positive) classes. ValueError where it cannot be one."""
    rows = csv.reader(io.StringIO(text, newline=""))
    header = next(rows, [])
    if tuple(header) != COLUMNS:
        raise ValueError(f"it needs the columns {', '.join(COLUMNS)}")
    numbers = {classes[0]: 0, classes[1]: 1}
    paths, labels, groups, folds = [], array("b"), array("q"), array("q")
    logits, probabilities, familiarity = array("d"), array("d"), array("d")
    for row in rows:  # one after the other: a list of all would take five times as long
        if len(row) != len(header) or row[1] not in numbers:
            raise ValueError(f"each row needs {len(header)} values, and a label {classes[0]} or {classes[1]}")
        paths.append(row[0])
        labels.append(numbers[row[1]])
        groups.append(int(row[2]))
        folds.append(int(row[3]))
        logits.append(float(row[4]))
        probabilities.append(float(row[5]))
        familiarity.append(float(row[6] or "nan"))
    columns = np.array(labels, np.int8), np.array(groups, np.int64), np.array(folds, np.int64)
    table = ScoreTable(tuple(paths), *columns, *map(np.array, (logits, probabilities, familiarity)))
    if not 0 < int(table.labels.sum()) < len(labels) or not np.isfinite(table.logits).all():
        raise ValueError("it needs images of both classes with finite logits")
    return table
