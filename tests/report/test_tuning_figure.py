"""The figure of a hyper-parameter search."""

import math
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from twofold.learning.tuning.trial import State, Trial, Tuning
from twofold.report import write_tuning

pytestmark = pytest.mark.slow  # matplotlib

STATES: tuple[State, ...] = ("complete", "complete", "pruned")


def trial(number: int) -> Trial:
    rate = 10 ** (-4 + 2 * (0.618 * number % 1))
    settings = {
        "learning_rate": rate,
        "batch_size": (32, 64)[number % 2],
        "weight_decay": 0.0 if number == 1 else rate,
        "augment": 0.1 * number,
        "dropout": None if number == 1 else 0.2,
        "balance": "none",
    }
    return Trial(number, STATES[number % 3 - 1], 0.2 + (math.log10(rate) + 3) ** 2, 0.9, 5, settings)


def tuning(count: int) -> Tuning:
    trials = tuple(trial(number) for number in range(1, count + 1))
    best = min((each for each in trials if each.state == "complete"), key=lambda each: each.loss or 0)
    importances = {"learning_rate": 0.8, "dropout": 0.1, "augment": 0.05, "batch_size": 0.05}
    return Tuning(trials, best.number, {}, importances if count >= 8 else {})


def words(file: Path) -> list[str]:
    return ["".join(node.itertext()) for node in ElementTree.parse(file).iter() if node.tag.endswith("text")]


@pytest.mark.parametrize("count", [1, 3, 30])
def test_each_hyper_parameter_has_a_panel_with_its_best_value(tmp_path: Path, count: int) -> None:
    search = tuning(count)
    write_tuning(search, tmp_path / "tuning.svg")
    labels = words(tmp_path / "tuning.svg")
    for name in search.best_trial.settings:
        assert name.replace("_", " ") in labels
    assert f"best: {search.best_trial.settings['batch_size']}" in labels
    assert (
        f"best of {count} trials: number {search.best_number}, validation loss {search.best_trial.loss:.4f}" in labels
    )
    assert ("Importance" in labels) == ("80%" in labels) == (count == 30)


def test_no_label_is_a_formula(tmp_path: Path) -> None:
    """Class names may hold a "$", so formulas are off, and matplotlib writes powers of ten as formulas."""
    write_tuning(tuning(30), tmp_path / "tuning.svg")
    assert not [word for word in words(tmp_path / "tuning.svg") if "math" in word or "$" in word]


def test_failed_trials_are_drawn_at_the_edge_and_do_not_stretch_the_scale(tmp_path: Path) -> None:
    search = tuning(30)
    outliers = [replace(search.trials[3], loss=1e6), replace(search.trials[4], loss=None, state="failed")]
    write_tuning(replace(search, trials=(*search.trials[:3], *outliers, *search.trials[5:])), tmp_path / "tuning.svg")
    labels = words(tmp_path / "tuning.svg")
    assert "failed, or off the scale" in labels
    assert not [word for word in labels if word.isdigit() and int(word) > 100]


def test_the_same_tuning_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in "ab":
        write_tuning(tuning(9), tmp_path / f"{name}.svg")
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
