"""How a rule was chosen, as text: its promises with the images that they rest on, or its expected cost."""

from typing import Any, Final

from twofold.decision.rule import Rule

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
    lines = [f"Promised at {100 * confidence:g}% confidence, from scores of held-out images; each group counts once:"]
    for kept in evidence["promises"]:
        rate = kept["promise"].partition(">")[0].partition("<")[0]
        counts = f"{kept['failures']} of {kept['trials']} {_FAILURES[rate]}, {kept['allowed']} allowed"
        lines.append(f"  {kept['promise']}: {counts}")
    return lines
