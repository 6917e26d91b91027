"""The expected cost of a rule's decisions, where its policy has costs."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from twofold.core.arrays import Reals
from twofold.decision.costs import Costs
from twofold.decision.rule import NEVER, POSITIVE, UNSURE, Rule
from twofold.evaluation.groups import centred, design_effect
from twofold.evaluation.intervals import Interval
from twofold.evaluation.sample import Sample

PER: int = 1000
"""Costs are those of so many images."""


@dataclass(frozen=True, slots=True)
class ExpectedCost:
    """The cost per 1,000 images with its 95% interval, and the cost of one answer for all by its class."""

    per_1000: Interval
    always: dict[str, float] = field(repr=False)

    def as_json(self) -> dict[str, Any]:
        """{"per_1000", "always"}."""
        return {"per_1000": self.per_1000.as_json(), "always": self.always}


def expected_cost(sample: Sample, rule: Rule, classes: tuple[str, str], seed: int) -> ExpectedCost | None:
    """The expected cost of the rule's decisions on a sample; None where the rule's policy has no costs."""
    costs = Costs.of_rule(rule)
    if costs is None:
        return None
    answers = {classes[0]: Rule.at(NEVER), classes[1]: Rule.at(0.0)}
    always = {
        name: PER * float(costs.of(sample.labels, sample.probabilities, answer).mean())
        for name, answer in answers.items()
    }
    return ExpectedCost(_interval(sample, rule, costs, seed), always)


def _interval(sample: Sample, rule: Rule, costs: Costs, seed: int) -> Interval:
    """The mean cost per 1,000 images with the middle 95% of 4,000 simulated ones.

    The fractions of each class that are wrong, unsure and right are drawn from their Dirichlet posterior with the prior 1/2 each
    (Jeffreys), as the rates of `simulated_interval` are: a bootstrap has no cost above 0 where nothing went wrong.
    """
    of_images = costs.of(sample.labels, sample.probabilities, rule)
    decisions = rule.decide(sample.probabilities)
    factor = sample.factors.decisions * design_effect(centred(of_images, sample.labels), sample.groups)
    rng, total = np.random.default_rng(seed), np.zeros(4000)
    for label, cost_wrong in ((1, costs.fn), (0, costs.fp)):
        of_class = decisions[sample.labels == label]
        unsure = [int(np.sum(of_class == UNSURE))] if rule.abstains else []
        wrong = int(np.sum(of_class == (0 if label == POSITIVE else 1)))
        counts = np.array([len(of_class) - wrong - sum(unsure), wrong, *unsure])
        prices = np.array([0.0, cost_wrong, costs.unsure or 0.0][: len(counts)])
        total += len(of_class) * _draw_fractions(rng, counts / factor) @ prices
    value, (low, high) = float(of_images.mean()), np.quantile(total / len(of_images), [0.025, 0.975])
    return Interval(PER * value, PER * min(value, float(low)), PER * max(value, float(high)))


def _draw_fractions(rng: np.random.Generator, counts: Reals) -> Reals:
    """(4000, categories): fractions, from the Dirichlet posterior of these counts."""
    return np.asarray(rng.dirichlet(counts + 0.5, 4000), np.float64)
