"""The result of `decide` as text: the rule before and after, and the operating table."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from twofold.core.notes import count_text
from twofold.decision.rule import Rule
from twofold.evaluation.rule_summary import RuleSummary
from twofold.report.layout import interval_text, note_lines, short_names, table
from twofold.report.policy_text import operating_lines, policy_lines
from twofold.workflows.decide import DecisionResult

_SOURCES: Final = {
    "out-of-fold": "out-of-fold scores",
    "validation": "validation scores",
    "held-out": "held-out images",
}


def decision_text(result: DecisionResult, name: str, out: Path | None) -> str:
    """The rules side by side on the same scores, their decisions per 1,000 images, the operating table, and notes."""
    scores, classes = result.scores, result.model.classes
    names = short_names(classes)
    positives, groups = int(scores.labels.sum()), scores.group_count
    counts = f"{len(scores.labels) - positives} {classes[0]}, {positives} {classes[1]}"
    in_groups = f" in {groups} groups" if groups < len(scores.labels) else ""
    lines = [f"{name}: {len(scores.labels)} {_SOURCES[scores.source]}{in_groups}: {counts}"]
    if result.estimate is not None:
        estimate = interval_text(result.estimate.prevalence)
        lines.append(f"{classes[1]} among {count_text(result.estimate.images, 'unlabelled image')}: {estimate}")
    summaries = {"now": result.before} if result.after is None else {"before": result.before, "after": result.after}
    lines += ["", *_summary_lines(summaries, names[1]), "", *_decision_lines(summaries, names, result.prevalence)]
    lines += policy_lines(list(summaries.values())[-1].rule)
    lines += [*operating_lines(result.table, classes), *note_lines(result.notes)]
    if out is not None:
        lines += ["", f"Wrote {out}"]
    elif result.after is not None:
        lines += ["", "Nothing was written: `write` changes the bundle, `out` writes another one."]
    return "\n".join(lines)


def _summary_lines(summaries: dict[str, RuleSummary], positive: str) -> list[str]:
    rows = [
        ["", *summaries],
        ["policy", *(_policy(summary.rule) for summary in summaries.values())],
        ["threshold", *(_ends(summary.rule) for summary in summaries.values())],
    ]
    rates = {
        "decided": [summary.coverage for summary in summaries.values()],
        "error among decided": [summary.error for summary in summaries.values()],
        f"{positive} missed": [summary.rates["missed"] for summary in summaries.values()],
        f"called {positive} wrongly": [summary.rates["false_alarms"] for summary in summaries.values()],
        f"precision ({positive})": [summary.rates["precision"] for summary in summaries.values()],
        "npv": [summary.rates["npv"] for summary in summaries.values()],
    }
    rows += [[label, *map(interval_text, intervals)] for label, intervals in rates.items()]
    costs = [summary.cost for summary in summaries.values() if summary.cost is not None]
    if costs:
        rows.append(["cost per 1,000", *(interval_text(cost, ".1f") for cost in costs)])
    return table(rows)


def _policy(rule: Rule) -> str:
    promises = rule.policy.parameters.get("promise", ())
    if rule.policy.name == "promise":
        return str(promises[0]) if len(promises) == 1 else f"{len(promises)} promises"
    return rule.policy.name


def _ends(rule: Rule) -> str:
    return f"unsure {rule.low:.4f} to {rule.high:.4f}" if rule.abstains else f"{rule.high:.4f}"


def _decision_lines(summaries: dict[str, RuleSummary], names: Sequence[str], prevalence: float) -> list[str]:
    """The decisions per 1,000 images."""
    negative, positive = names
    rows = [["", "true class", f"called {negative}", "no decision", f"called {positive}"]]
    for name, summary in summaries.items():
        for label, counts in zip(names, summary.per_1000.tolist(), strict=True):
            rows.append([name if label == negative else "", label, *(f"{count:.1f}" for count in counts)])
    return [f"Decisions per 1,000 images, of which {1000 * prevalence:.1f} are {positive}:", *table(rows, left=2)]
