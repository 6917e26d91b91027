"""The decision for each image of an evaluation, and the images on which two models differ; both as CSV."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

from twofold.core.files import open_replacement
from twofold.evaluation import Evaluation

Winner = Literal["first", "second"]


@dataclass(frozen=True, slots=True)
class ImageDecision:
    """What the rule decides for one image: a class, `unsure` or `unfamiliar`. A value that is not known is None.

    `probability` is that of the positive class at the prevalence that the rule assumes, as predictions have it. `duplicate_of` is
    the training image that the image duplicates, or whose object it shows; `fold` is the fold of that training image.
    """

    path: str
    label: str
    decision: str
    probability: float
    familiarity: float | None
    fold: int | None
    borderline: bool
    duplicate_of: str | None


@dataclass(frozen=True, slots=True)
class DecisionDifference:
    """An image on which two models differ.

    `correct` is the model whose answer by the threshold alone is right; None where both answers are the same.
    """

    path: str
    label: str
    first_decision: str
    first_probability: float
    second_decision: str
    second_probability: float
    correct: Winner | None


def image_decisions(
    paths: Sequence[str], evaluation: Evaluation, duplicate_of: Mapping[str, str], fold: Mapping[str, int]
) -> list[ImageDecision]:
    """The decision for each of these images (n,), in their order, from their evaluation.

    `duplicate_of` and `fold` have the columns of these names by path.
    """
    n = len(paths)
    assert n == len(evaluation.labels)
    familiarities = [None] * n if evaluation.familiarity is None else evaluation.familiarity.tolist()
    columns = zip(
        paths,
        evaluation.labels.tolist(),
        evaluation.decision_names,
        evaluation.rule_probabilities.tolist(),
        familiarities,
        evaluation.is_borderline.tolist(),
        strict=True,
    )
    return [
        ImageDecision(
            path,
            evaluation.classes[label],
            decision,
            probability,
            familiarity,
            fold.get(path),
            borderline,
            duplicate_of.get(path),
        )
        for path, label, decision, probability, familiarity, borderline in columns
    ]


def decision_differences(paths: Sequence[str], first: Evaluation, second: Evaluation) -> list[DecisionDifference]:
    """The images whose decisions or answers by two models differ, those with the most different probabilities first.

    paths (n,) are those of the images of both evaluations.
    """
    answers = [model.rule.answer(model.probabilities) for model in (first, second)]
    p, q = first.rule_probabilities, second.rule_probabilities
    rows = np.flatnonzero((answers[0] != answers[1]) | (first.decisions != second.decisions))
    rows = rows[np.argsort(-np.abs(p - q)[rows], kind="stable")]
    names = first.decision_names, second.decision_names
    return [
        DecisionDifference(
            paths[row],
            first.classes[first.labels[row]],
            names[0][row],
            float(p[row]),
            names[1][row],
            float(q[row]),
            _winner(answers[0][row], answers[1][row], first.labels[row]),
        )
        for row in rows.tolist()
    ]


def _winner(first: np.int8, second: np.int8, label: np.int8) -> Winner | None:
    return None if first == second else "first" if first == label else "second"


def write_decisions(rows: Iterable[ImageDecision], path: Path) -> None:
    """Writes one row per image as CSV in UTF-8. The file is complete, or it is not written."""
    _write(rows, ImageDecision, path)


def write_differences(rows: Iterable[DecisionDifference], path: Path) -> None:
    """The same for the images on which two models differ."""
    _write(rows, DecisionDifference, path)


_BOOLEANS: Final = {True: "true", False: "false"}


def _write(rows: Iterable[Any], kind: type[Any], path: Path) -> None:
    with open_replacement(path) as file:
        # With csv's default line ends: with others, a name with a carriage return is not quoted.
        writer = csv.writer(file)
        writer.writerow(field.name for field in fields(kind))
        writer.writerows(map(_cell, astuple(row)) for row in rows)


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return _BOOLEANS[value]
    return f"{value:.6g}" if isinstance(value, float) else value
