"""test_scores.csv of a bundle: the scores of the test set that the model was trained with, from which its report is made."""

import csv
import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from twofold.core.arrays import Labels, Probabilities, Reals

COLUMNS: Final = ("path", "label", "group", "probability", "familiarity", "bytes", "sha256")


@dataclass(frozen=True, slots=True, eq=False)
class HeldOutScores:
    """Paths, labels, 1 for the positive class, groups, calibrated probabilities and familiarity, NaN where it is unknown, of n
    test images, and the sizes and SHA-256 of their files."""

    paths: tuple[str, ...] = field(repr=False)
    labels: Labels = field(repr=False)
    groups: NDArray[np.int64] = field(repr=False)
    probabilities: Probabilities = field(repr=False)
    familiarity: Reals = field(repr=False)
    bytes: tuple[int, ...] = field(repr=False)
    sha256: tuple[str, ...] = field(repr=False)


def write_test_scores(scores: HeldOutScores, classes: tuple[str, str], path: Path) -> None:
    """Writes the scores for a model of these (negative, positive) classes. Probabilities have all digits: the report that is made
    from the file has the numbers of the training."""
    labels = [classes[label] for label in scores.labels.tolist()]
    numbers = scores.groups.tolist(), map(repr, scores.probabilities.tolist())
    familiarity = ["" if np.isnan(value) else f"{value:.6g}" for value in scores.familiarity.tolist()]
    columns = zip(scores.paths, labels, *numbers, familiarity, scores.bytes, scores.sha256, strict=True)
    with path.open("w", encoding="utf-8", newline="", errors="backslashreplace") as file:
        rows = csv.writer(file)
        rows.writerow(COLUMNS)
        rows.writerows(columns)


def read_test_scores(text: str, classes: tuple[str, str]) -> HeldOutScores:
    """The scores in a text, for a model of these classes. ValueError where it cannot be one."""
    header, *rows = csv.reader(io.StringIO(text, newline=""))
    if tuple(header) != COLUMNS:
        raise ValueError(f"it needs the columns {', '.join(COLUMNS)}")
    if not rows or any(len(row) != len(COLUMNS) or row[1] not in classes for row in rows):
        raise ValueError(f"it needs rows of {len(COLUMNS)} values with a label {classes[0]} or {classes[1]}")
    paths, labels, groups, probabilities, familiarity, sizes, hashes = zip(*rows, strict=True)
    scores = HeldOutScores(
        paths,
        np.array([classes.index(label) for label in labels], np.int8),
        np.array(list(map(int, groups)), np.int64),
        np.array(list(map(float, probabilities)), np.float64),
        np.array([float(value or "nan") for value in familiarity], np.float64),
        tuple(map(int, sizes)),
        hashes,
    )
    if not ((scores.probabilities >= 0) & (scores.probabilities <= 1)).all():
        raise ValueError("it needs probabilities from 0 to 1")
    return scores
