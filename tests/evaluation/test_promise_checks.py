"""Promises on a test set."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binomtest

from twofold.decision import Rule
from twofold.decision.rule import PolicyRecord
from twofold.evaluation import evaluate, with_positive
from twofold.evaluation.promise_checks import PromiseCheck, observe_promises

CLASSES = ("free", "defect")


def checks(missed: int, positives: int, *promises: str, called: int = 0, copies: int = 1) -> tuple[PromiseCheck, ...]:
    """So many of the positives below the threshold 0.5, and so many of 100 negatives above it; each image is a group."""
    labels = np.repeat(np.array([1, 0], np.int8), [positives, 100])
    wrong = np.concatenate([np.arange(positives) < missed, np.arange(100) < called])
    probabilities = np.where(wrong, 1 - labels, labels) * 0.8 + 0.1
    policy = PolicyRecord("promise", {"promise": list(promises), "confidence": 0.95, "abstain": False})
    arrays = (np.repeat(values, copies) for values in (labels, probabilities))
    groups = np.repeat(np.arange(positives + 100), copies)
    shown = evaluate(*arrays, Rule(0.5, 0.5, policy=policy), classes=CLASSES, groups=groups)
    return observe_promises(shown.sample, shown.rule, CLASSES[1])


@pytest.mark.parametrize(
    ("missed", "verdict"), [(0, "kept"), (5, "kept"), (6, "not significant"), (9, "not significant"), (10, "broken")]
)
def test_the_verdict_is_that_of_the_exact_binomial_test(missed: int, verdict: str) -> None:
    (check,) = checks(missed, 100, "recall>=0.95")
    assert (check.trials, check.failures, check.verdict) == (100, missed, verdict)
    assert check.rate == pytest.approx(1 - missed / 100)
    assert check.p_value == pytest.approx(binomtest(missed, 100, 0.05, alternative="greater").pvalue)
    assert check.bound == 0.95


def test_each_promise_has_a_check_by_its_own_images() -> None:
    recall, fpr, precision = checks(3, 60, "recall>=0.9", "fpr<=0.01", "precision>=0.9", called=8)
    assert (recall.trials, recall.failures, recall.verdict) == (60, 3, "kept")
    assert (fpr.trials, fpr.failures, fpr.rate, fpr.verdict) == (100, 8, 0.08, "broken")
    assert (precision.trials, precision.failures, precision.verdict) == (65, 8, "not significant")


def test_one_image_of_each_group_counts() -> None:
    assert checks(10, 100, "recall>=0.95", copies=7) == checks(10, 100, "recall>=0.95")


def test_without_such_images_nothing_is_said() -> None:
    (check,) = checks(0, 0, "recall>=0.95")
    assert (check.verdict, check.rate, check.p_value) == ("undefined", None, None)


def test_another_rule_has_no_checks_and_swapped_classes_keep_them() -> None:
    plain = evaluate(np.array([0, 1], np.int8), np.array([0.2, 0.8]), Rule.at(0.5), classes=CLASSES)
    assert observe_promises(plain.sample, plain.rule, "defect") == ()
    checked = replace(plain, promises=checks(1, 10, "recall>=0.95"))
    assert with_positive("free", checked).promises == checked.promises
    assert checked.as_json()["promises"][0]["positive"] == "defect"


def test_a_promise_for_another_prevalence_is_checked_there() -> None:
    labels = np.repeat(np.array([1, 0], np.int8), [1000, 1000])
    wrong = np.arange(2000) % 10 == 0
    probabilities = np.where(wrong, 1 - labels, labels) * 0.8 + 0.1
    policy = PolicyRecord("promise", {"promise": ["precision>=0.8"], "confidence": 0.95, "abstain": False})
    plain, rare = (
        observe_promises(evaluate(labels, probabilities, rule, classes=CLASSES).sample, rule, CLASSES[1])[0]
        for rule in (Rule(0.5, 0.5, policy=policy), Rule(0.5, 0.5, prevalence=0.05, policy=policy))
    )
    # About 90% of 53 positives and 10% of 1000 negatives are called: 1 in 3 is right, not 9 in 10.
    assert (plain.verdict, rare.verdict) == ("kept", "broken")
    assert rare.rate == pytest.approx(0.05 * 0.9 / (0.05 * 0.9 + 0.95 * 0.1), abs=0.04)
