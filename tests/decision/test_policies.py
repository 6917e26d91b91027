import json
from typing import Any, get_args

import numpy as np
import pytest
from numpy.typing import NDArray

from twofold.core.errors import UsageError
from twofold.core.options import Optimize
from twofold.decision import POLICIES, Rule, choose_rule


def draw(n: int, seed: int, *, odds: float = 0.0) -> tuple[NDArray[np.int8], NDArray[np.float64]]:
    """Labels drawn from their probabilities; `odds` moves the prevalence."""
    rng = np.random.default_rng(seed)
    probabilities = 1 / (1 + np.exp(-rng.normal(odds, 2.5, n)))
    return (rng.random(n) < probabilities).astype(np.int8), probabilities


def candidates(rule: Rule) -> dict[str, dict[str, Any]]:
    return dict(rule.policy.evidence["candidates"])


def test_policies_are_those_of_the_options() -> None:
    assert tuple(POLICIES) == get_args(Optimize)


def test_true_probabilities_get_the_threshold_of_theory() -> None:
    labels, probabilities = draw(2000, 1, odds=-2)
    chosen = candidates(choose_rule(labels, probabilities))
    assert chosen["accuracy"]["value"] == 0.5
    assert chosen["balanced"]["value"] == labels.mean()
    assert chosen["f1"]["value"] < 0.5
    assert {choice["basis"] for choice in chosen.values()} == {"theory"}


def test_each_policy_has_the_highest_score_of_its_own_metric() -> None:
    chosen = candidates(choose_rule(*draw(20_000, 2, odds=-2)))
    for policy, rate in (("accuracy", "accuracy"), ("balanced", "balanced_accuracy"), ("f1", "f1")):
        assert chosen[policy]["rates"][rate] == max(choice["rates"][rate] for choice in chosen.values())


def test_the_best_threshold_of_few_images_is_rarely_taken() -> None:
    theoretical = [choose_rule(*draw(60, seed)).threshold == 0.5 for seed in range(100)]
    assert np.mean(theoretical) > 0.9


def test_probabilities_that_are_wrong_get_the_threshold_that_is_right() -> None:
    labels, probabilities = draw(2000, 3)
    odds = probabilities / (1 - probabilities)
    inflated = 6 * odds / (1 + 6 * odds)  # a true probability of one half becomes 6/7
    chosen = choose_rule(labels, inflated)
    assert candidates(chosen)["accuracy"]["basis"] == "scores"
    assert chosen.threshold == pytest.approx(6 / 7, abs=0.05)


def test_perfectly_separated_images_keep_one_half() -> None:
    chosen = choose_rule(np.array([0, 0, 1, 1], np.int8), np.array([0.1, 0.2, 0.8, 0.9]))
    assert chosen.threshold == 0.5
    assert candidates(chosen)["accuracy"]["rates"]["accuracy"] == 1


def test_a_given_threshold_is_used_and_the_other_candidates_are_recorded() -> None:
    chosen = choose_rule(*draw(100, 0), policy="f1", fixed=0.52)
    assert (chosen.threshold, chosen.policy.name) == (0.52, "fixed")
    assert set(candidates(chosen)) == {"accuracy", "balanced", "f1", "fixed"}
    assert candidates(chosen)["fixed"]["basis"] == "given"


def test_the_rates_of_a_candidate_are_those_at_its_threshold() -> None:
    labels, probabilities = np.array([0, 0, 1, 1], np.int8), np.array([0.1, 0.6, 0.4, 0.9])
    rates = candidates(choose_rule(labels, probabilities, fixed=0.95))["fixed"]["rates"]
    assert rates["accuracy"] == 0.5
    assert rates["recall"] == 0
    assert rates["precision"] is None


def test_the_record_is_json_with_null_for_undefined_rates() -> None:
    block = json.loads(json.dumps(choose_rule(*draw(50, 4), fixed=1.0).as_json(), allow_nan=False))
    assert (block["low"], block["high"], block["gate"], block["prevalence"]) == (1.0, 1.0, None, None)
    assert block["policy"]["parameters"] == {"threshold": 1.0}
    assert block["policy"]["evidence"]["candidates"]["fixed"]["rates"]["precision"] is None


def test_the_error_of_an_unknown_policy_names_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"'balance'.*did you mean 'balanced'.*accuracy, balanced, f1"):
        choose_rule(*draw(50, 4), policy="balance")
