"""What holds for every policy, whatever the scores: its parameter, the order of the images, ties, few images, few groups."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from twofold.core.errors import DataError
from twofold.core.options import DecisionOptions
from twofold.decision import Rule
from twofold.workflows.fit import DecisionPolicy

POLICIES: list[dict[str, Any]] = [
    {"optimize": "accuracy"},
    {"optimize": "balanced"},
    {"optimize": "f1"},
    {"threshold": 0.3},
    {"cost_fp": 1, "cost_fn": 10},
    {"cost_fp": 1, "cost_fn": 10, "cost_unsure": 0.2},
    {"promise": ("recall>=0.9",)},
    {"promise": ("recall>=0.9",), "simultaneous": True},
    {"promise": ("error<=0.1",), "abstain": True},
    {"promise": ("fnr<=0.1", "precision>=0.8"), "abstain": True},
]


def draw(seed: int, count: int = 600, distance: float = 2.5) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    labels = (np.arange(count) % 3 == 0).astype(np.int8)
    scores = distance * (labels - 0.5) + random.normal(size=count)
    return labels, 1 / (1 + np.exp(-distance * scores + np.log(2)))


def choose(labels: np.ndarray, probabilities: np.ndarray, groups: np.ndarray | None = None, **options: Any) -> Rule:
    return DecisionPolicy(DecisionOptions(**options), 0).choose(labels, probabilities, groups)


# For an error at another prevalence images are drawn to have it, in an order that depends on that of the images.
@pytest.mark.parametrize(
    ("options", "prevalence"),
    [*((options, None) for options in POLICIES), *((options, 0.1) for options in POLICIES[:8])],
)
def test_the_order_of_the_images_changes_no_rule(options: dict[str, Any], prevalence: float | None) -> None:
    labels, probabilities = draw(1)
    order = np.random.default_rng(0).permutation(len(labels))
    one = choose(labels, probabilities, prevalence=prevalence, **options)
    other = choose(labels[order], probabilities[order], prevalence=prevalence, **options)
    assert (one.low, one.high, one.prevalence) == (other.low, other.high, other.prevalence)
    assert one.prevalence == prevalence


@pytest.mark.parametrize("options", POLICIES)
def test_separated_classes_stay_separated(options: dict[str, Any]) -> None:
    labels = (np.arange(200) % 2).astype(np.int8)
    probabilities = np.where(labels == 1, 0.999, 0.001)
    assert np.array_equal(choose(labels, probabilities, **options).decide(probabilities), labels)


@pytest.mark.parametrize("options", POLICIES)
@pytest.mark.parametrize("count", [10, 16])
def test_few_images_or_one_group_give_a_rule_or_a_reason(options: dict[str, Any], count: int) -> None:
    labels, probabilities = draw(3, count)
    for groups in (None, np.zeros(count, np.int64)):
        if "promise" in options:
            with pytest.raises(DataError, match="cannot be promised at 9.*% confidence"):
                choose(labels, probabilities, groups, **options)
        else:
            rule = choose(labels, probabilities, groups, **options)
            assert 0 <= rule.low <= rule.high


@pytest.mark.parametrize("options", POLICIES)
def test_equal_probabilities_are_decided_alike(options: dict[str, Any]) -> None:
    labels, probabilities = draw(4)
    probabilities = probabilities.round(1)
    decisions = choose(labels, probabilities, **options).decide(probabilities)
    for value in np.unique(probabilities):
        assert len(np.unique(decisions[probabilities == value])) == 1


@pytest.mark.parametrize(
    ("parameter", "values", "end"),
    [
        ("cost_fn", (1, 5, 25), "high"),
        ("promise", (("recall>=0.8",), ("recall>=0.9",), ("recall>=0.95",)), "low"),
        ("confidence", (0.8, 0.9, 0.99), "low"),
    ],
)
def test_what_makes_misses_worse_lowers_the_threshold(parameter: str, values: tuple[Any, ...], end: str) -> None:
    labels, probabilities = draw(5)
    fixed = {"cost_fn": {"cost_fp": 1}, "promise": {}, "confidence": {"promise": ("recall>=0.9",)}}[parameter]
    thresholds = [getattr(choose(labels, probabilities, **fixed, **{parameter: value}), end) for value in values]
    assert all(higher > lower for higher, lower in pairwise(thresholds))
