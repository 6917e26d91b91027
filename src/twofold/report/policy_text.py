"""How a rule was chosen, as text: its promises with the images that they rest on, or its expected cost; and other thresholds."""

from collections.abc import Sequence
from typing import Any, Final

from twofold.decision.rule import NEVER, Rule
from twofold.evaluation import Evaluation
from twofold.evaluation.operating_table import OperatingPoint
from twofold.report.layout import interval_text, short_names, table

_FAILURES: Final = {
    "recall": "positives missed",
    "fnr": "positives missed",
    "specificity": "negatives called positive",
    "fpr": "negatives called positive",
    "precision": "positive decisions wrong",
    "npv": "negative decisions wrong",
    "accuracy": "decisions wrong",
    "error": "decisions wrong",
}


def policy_lines(rule: Rule) -> list[str]:
    """The lines for a rule that keeps promises or minimises costs; none for other rules."""
    evidence = rule.policy.evidence
    if rule.policy.name == "promise":
        return ["", *_promise_lines(rule, evidence)]
    if rule.policy.name == "cost":
        costs = {name: f"{cost:.1f}" for name, cost in evidence["cost_per_1000"].items()}
        others = ", ".join(f"{name} {cost}" for name, cost in costs.items() if name != "this rule")
        return ["", f"Cost per 1,000 images: {costs['this rule']} ({others})."]
    return []


def _promise_lines(rule: Rule, evidence: Any) -> list[str]:
    confidence = rule.policy.parameters["confidence"]
    lines = [f"Promised at {100 * confidence:g}% confidence; each group of images counts once:"]
    for kept in evidence["promises"]:
        rate = kept["promise"].partition(">")[0].partition("<")[0]
        counts = f"{kept['failures']} of {kept['trials']} {_FAILURES[rate]}, {kept['allowed']} allowed"
        lines.append(f"  {kept['promise']}: {counts}")
    return lines


def restated_lines(evaluation: Evaluation) -> list[str]:
    """The rates at the prevalence that the rule assumes; none where it assumes none."""
    summary, prevalence = evaluation.restated, evaluation.rule.prevalence
    if summary is None:
        return []
    positive = short_names(evaluation.classes)[1]
    rates = {
        f"precision ({positive})": summary.rates["precision"],
        "npv": summary.rates["npv"],
        "error among decided": summary.error,
    }
    title = f"Where {prevalence:.2%} of the images are {positive}, as the rule assumes:"
    return ["", title, *table([[name, interval_text(rate)] for name, rate in rates.items()])]


def operating_lines(points: Sequence[OperatingPoint], classes: tuple[str, str]) -> list[str]:
    """The operating table of a model with these (negative, positive) classes."""
    if not points:
        return []
    negative, positive = short_names(classes)
    rows = [["at most", "missed", "wrongly called", "threshold", "to promise"]]
    for point in points:
        threshold = "none" if point.threshold >= NEVER else f"{point.threshold:.4f}"
        rates = interval_text(point.missed), interval_text(point.false_alarms)
        rows.append([f"{point.limit:.0%}", *rates, threshold, f"{point.needed}"])
    return [
        "",
        f"If at most so many {positive} may be missed, so many {negative} are wrongly called {positive}:",
        *table(rows),
        f"To promise a line at 95% confidence, it takes so many {positive} of which none is missed.",
    ]
