"""How a rule was chosen and how it does, as text: promises with the images that they rest on, costs, and other thresholds."""

from collections.abc import Sequence
from typing import Any, Final

from twofold.decision.rule import NEVER, Rule
from twofold.evaluation import Evaluation
from twofold.evaluation.operating_table import OperatingPoint
from twofold.evaluation.promise_checks import PromiseCheck
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
    """The lines on what the promises of a rule rest on; none for other rules."""
    return ["", *_promise_lines(rule, rule.policy.evidence)] if rule.policy.name == "promise" else []


def outcome_lines(evaluation: Evaluation) -> list[str]:
    """The lines on the cost of a rule, and on its promises, in an evaluation; none for other rules."""
    lines = []
    if evaluation.cost is not None:
        always = ", ".join(f"always {name} {cost:.1f}" for name, cost in evaluation.cost.always.items())
        lines += ["", f"Cost per 1,000 images: {interval_text(evaluation.cost.per_1000, '.1f')} ({always})."]
    if evaluation.promises:
        lines += ["", "Promises on these images; each group counts once:"]
        lines += [f"  {_check_text(check)}" for check in evaluation.promises]
    return lines


def _check_text(check: PromiseCheck) -> str:
    rate = check.promise.partition(">")[0].partition("<")[0]
    if check.rate is None:
        return f"{check.promise}: undefined, because there are no such images"
    counts = f"{check.failures} of {check.trials} {_FAILURES[rate]}"
    texts = {
        "kept": "kept",
        "broken": f"broken here (significantly, p = {check.p_value:.2g})",
        "not significant": f"not significantly {'above' if '<' in check.promise else 'below'} (p = {check.p_value:.2g})",
    }
    return f"{check.promise} ({check.positive} is positive): {check.rate:.4f}, {texts[check.verdict]}; {counts}"


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
    remark = "All other rates are those of the images as they are, borderline predictions those at the training's prevalence."
    return ["", title, *table([[name, interval_text(rate)] for name, rate in rates.items()]), remark]


def operating_lines(points: Sequence[OperatingPoint], classes: tuple[str, str]) -> list[str]:
    """The operating table of a model with these (negative, positive) classes."""
    if not points:
        return []
    negative, positive = short_names(classes)
    rows = [["limit", "missed", "wrongly called", "threshold", "to promise"]]
    for point in points:
        threshold = "none" if point.threshold >= NEVER else f"{point.threshold:.4f}"
        rates = interval_text(point.missed), interval_text(point.false_alarms)
        rows.append([f"{point.limit:.0%}", *rates, threshold, f"{point.needed}"])
    return [
        "",
        f"Fraction of {positive} missed, and of {negative} wrongly called {positive}, by the threshold:",
        *table(rows),
        f"To promise: the number of {positive}, none of them missed, that promise the limit at 95% confidence.",
    ]
