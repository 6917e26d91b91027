import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from twofold.decision import Rule
from twofold.evaluation import Evaluation, evaluate, with_positive
from twofold.workflows.image_decisions import (
    DecisionDifference,
    ImageDecision,
    decision_differences,
    image_decisions,
    write_decisions,
    write_differences,
)

LABELS = np.array([0, 0, 1, 1], np.int8)
PATHS = ["a.png", "b.png", "c.png", "d.png"]


def evaluation(
    probabilities: list[float], rule: Rule | None = None, familiarity: list[float] | None = None
) -> Evaluation:
    familiarities = None if familiarity is None else np.array(familiarity)
    rule = Rule.at(0.5) if rule is None else rule
    return evaluate(LABELS, np.array(probabilities), rule, classes=("cats", "dogs"), familiarity=familiarities)


def test_each_image_has_its_decision_and_whether_that_is_borderline() -> None:
    rule = Rule(0.3, 0.6, gate={"level": 0.01})
    images = image_decisions(
        PATHS, evaluation([0.1, 0.485, 0.9, 0.7], rule, [0.5, 0.5, 0.001, 0.5]), {"b.png": "old.png"}, {"b.png": 3}
    )
    assert [image.decision for image in images] == ["cats", "unsure", "unfamiliar", "dogs"]
    assert [image.label for image in images] == ["cats", "cats", "dogs", "dogs"]
    assert [image.borderline for image in images] == [False, True, False, False]  # the threshold is 0.5
    assert images[1] == ImageDecision("b.png", "cats", "unsure", 0.485, 0.5, 3, True, "old.png")
    assert (images[0].fold, images[0].duplicate_of) == (None, None)


def test_the_other_positive_class_changes_probabilities_and_no_decision() -> None:
    first = evaluation([0.1, 0.6, 0.9, 0.4])
    images = image_decisions(PATHS, with_positive("cats", first), {}, {})
    assert [image.decision for image in images] == ["cats", "dogs", "dogs", "cats"]
    assert [image.label for image in images] == ["cats", "cats", "dogs", "dogs"]
    assert [image.probability for image in images] == pytest.approx([0.9, 0.4, 0.1, 0.6])


def test_probabilities_are_those_at_the_prevalence_of_the_rule() -> None:
    """At a prevalence of 0.1 the odds of the images, whose prevalence is 0.5, are a ninth."""
    rule, probabilities = replace(Rule.at(0.5), prevalence=0.1).restate(np.array([0.1, 0.6, 0.95, 0.9]), 0.5)
    restated = evaluate(LABELS, probabilities, rule, classes=("cats", "dogs"))
    images = image_decisions(PATHS, restated, {}, {})
    assert [image.probability for image in images] == pytest.approx([1 / 82, 1 / 7, 19 / 28, 0.5])
    assert [image.decision for image in images] == ["cats", "cats", "dogs", "dogs"]


def test_differences_are_decisions_or_answers_that_differ_the_furthest_apart_first() -> None:
    first = evaluation([0.1, 0.6, 0.9, 0.55])
    second = evaluation([0.2, 0.3, 0.1, 0.55], Rule(0.4, 0.6))
    assert decision_differences(PATHS, first, second) == [
        DecisionDifference("c.png", "dogs", "dogs", 0.9, "cats", 0.1, "first"),
        DecisionDifference("b.png", "cats", "dogs", 0.6, "cats", 0.3, "second"),
        DecisionDifference("d.png", "dogs", "dogs", 0.55, "unsure", 0.55, None),
    ]


def test_equal_models_differ_on_no_image() -> None:
    same = evaluation([0.1, 0.6, 0.9, 0.55])
    assert decision_differences(PATHS, same, same) == []


def test_the_tables_hold_names_with_any_characters(tmp_path: Path) -> None:
    path = 'a\udcff\r,"b\n.png'
    write_decisions([ImageDecision(path, "cats", "dogs", 2 / 3, None, None, True, None)], tmp_path / "p.csv")
    with (tmp_path / "p.csv").open(encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["path"] == path.replace("\udcff", "\\udcff")
    assert (row["probability"], row["familiarity"], row["borderline"]) == ("0.666667", "", "true")
    difference = DecisionDifference(path, "cats", "dogs", 0.7, "cats", 0.1, "second")
    write_differences([difference], tmp_path / "d.csv")
    with (tmp_path / "d.csv").open(encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["first_decision"], row["second_probability"], row["correct"]) == ("dogs", "0.1", "second")
