import json
from typing import get_args

import numpy as np
import pytest
from numpy.typing import NDArray

from twofold.core.errors import UsageError
from twofold.core.options import Optimize
from twofold.decision import POLICIES, Threshold, choose_threshold


def draw(n: int, seed: int, *, odds: float = 0.0) -> tuple[NDArray[np.int8], NDArray[np.float64]]:
    """Labels drawn from their probabilities; odds moves the share of positives."""
    rng = np.random.default_rng(seed)
    probabilities = 1 / (1 + np.exp(-rng.normal(odds, 2.5, n)))
    return (rng.random(n) < probabilities).astype(np.int8), probabilities


def test_policies_are_those_of_the_options() -> None:
    assert tuple(POLICIES) == get_args(Optimize)


def test_true_probabilities_get_the_threshold_of_theory() -> None:
    labels, probabilities = draw(2000, 1, odds=-2)
    chosen = choose_threshold(labels, probabilities).alternatives
    assert chosen["accuracy"].value == 0.5
    assert chosen["balanced"].value == labels.mean()
    assert chosen["f1"].value < 0.5
    assert {choice.basis for choice in chosen.values()} == {"theory"}


def test_each_policy_is_best_at_what_it_is_for() -> None:
    chosen = choose_threshold(*draw(20_000, 2, odds=-2)).alternatives
    for policy, rate in (("accuracy", "accuracy"), ("balanced", "balanced_accuracy"), ("f1", "f1")):
        assert chosen[policy].gives[rate] == max(choice.gives[rate] for choice in chosen.values())


def test_the_best_threshold_of_few_pictures_is_not_believed() -> None:
    kept = [choose_threshold(*draw(60, seed)).value == 0.5 for seed in range(100)]
    assert np.mean(kept) > 0.9


def test_probabilities_that_are_wrong_get_the_threshold_that_is_right() -> None:
    labels, probabilities = draw(2000, 3)
    odds = probabilities / (1 - probabilities)
    inflated = 6 * odds / (1 + 6 * odds)  # one half in truth is told as 6/7
    chosen = choose_threshold(labels, inflated)
    assert chosen.alternatives["accuracy"].basis == "scores"
    assert chosen.value == pytest.approx(6 / 7, abs=0.05)


def test_perfectly_separated_pictures_keep_one_half() -> None:
    chosen = choose_threshold(np.array([0, 0, 1, 1], np.int8), np.array([0.1, 0.2, 0.8, 0.9]))
    assert chosen.value == 0.5
    assert chosen.alternatives["accuracy"].gives["accuracy"] == 1


def test_a_given_threshold_is_used_and_the_alternatives_stand_beside_it() -> None:
    chosen = choose_threshold(*draw(100, 0), policy="f1", fixed=0.52)
    assert (chosen.value, chosen.policy) == (0.52, "fixed")
    assert set(chosen.alternatives) == {"accuracy", "balanced", "f1", "fixed"}
    assert chosen.alternatives["fixed"].basis == "given"


def test_what_a_threshold_gives_is_counted_at_it() -> None:
    labels, probabilities = np.array([0, 0, 1, 1], np.int8), np.array([0.1, 0.6, 0.4, 0.9])
    gives = choose_threshold(labels, probabilities, fixed=0.95).alternatives["fixed"].gives
    assert gives["accuracy"] == 0.5
    assert gives["recall"] == 0
    assert np.isnan(gives["precision"])


def test_the_record_survives_json_with_what_is_undefined() -> None:
    chosen = choose_threshold(*draw(50, 4), fixed=1.0)
    text = json.dumps(chosen.as_json(), allow_nan=False)
    again = Threshold.from_json(json.loads(text))
    assert json.loads(text)["alternatives"]["fixed"]["gives"]["precision"] is None
    assert again.as_json() == chosen.as_json()
    assert np.isnan(again.alternatives["fixed"].gives["precision"])


def test_an_unknown_policy_is_told_with_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"'balance'.*did you mean 'balanced'.*accuracy, balanced, f1"):
        choose_threshold(*draw(50, 4), policy="balance")
