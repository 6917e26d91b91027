"""The result of `audit` as text."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from twofold.audit.label_issues import LabelIssues
from twofold.audit.learning_curve import LearningCurve, expected_interval
from twofold.report.layout import interval_text, note_lines
from twofold.report.shortcuts_text import SHORTCUT, shortcut_lines
from twofold.report.timing_text import timing_text
from twofold.workflows.audit import AuditResult

_MAX_ROWS: Final = 10  # per list; the file report and the JSON result are complete
_KINDS: Final = {"exact": "same bytes", "pixels": "same pixels", "near": "near", "same-scene": "same object"}


def audit_text(result: AuditResult, out: Path | None) -> str:
    """Files, duplicates, leakage, possible label errors, shortcuts, the learning curve, then notes and the time it took."""
    record, audit = result.as_json(), result.audit
    lines = [_files(record)]
    if record["reasons"]:
        lines.append("reasons: " + ", ".join(f"{count} {code}" for code, count in record["reasons"].items()))
    duplicates = [pair for pair in record["duplicates"] if pair["kind"] != "same-scene"]
    scenes = [pair for pair in record["duplicates"] if pair["kind"] == "same-scene"]
    lines += _list_rows(f"duplicates: {len(duplicates)}", [_duplicate(pair) for pair in duplicates])
    if scenes:
        lines += _list_rows(f"pairs that show the same object: {len(scenes)}", [_duplicate(pair) for pair in scenes])
    if "against" in record:
        pairs = [f"{_kind(image['kind'])}  {image['path']} = {image['duplicate_of']}" for image in record["against"]]
        lines += _list_rows(_against_title(len(pairs), len(record["against_other"])), pairs)
    lines += [] if audit.label_issues is None else _label_issue_rows(audit.label_issues, record)
    lines += [] if audit.shortcuts is None else shortcut_lines(audit.shortcuts)
    lines += [] if audit.learning_curve is None else ["", *learning_curve_lines(audit.learning_curve)]
    lines += note_lines(note for note in result.notes if note.code not in (SHORTCUT, "label-issues"))
    lines += ["", timing_text(result.seconds)]
    lines += [f"Wrote {out}"] if out is not None else []
    return "\n".join(lines)


def _files(record: Mapping[str, Any]) -> str:
    statuses = ", ".join(f"{count} {status}" for status, count in record["statuses"].items())
    counts = ", ".join(f"{count} {name}" for name, count in record["data"]["counts"].items())
    return f"{record['data']['files']} files: {statuses}; {counts}"


def _against_title(forward: int, backward: int) -> str:
    return f"duplicates: {forward} images of DATA are in OTHER, {backward} images of OTHER are in DATA"


def _label_issue_rows(issues: LabelIssues, record: Mapping[str, Any]) -> list[str]:
    rows = [
        f"{issue['p_label_error']:.3f}  {issue['path']} (label: {issue['label']})" for issue in record["label_issues"]
    ]
    return _list_rows(issues.text, rows)


def learning_curve_lines(curve: LearningCurve) -> list[str]:
    """Two lines: whether more images would help and by how much; the accuracy with its interval."""
    counts = " and ".join(f"{count} {label}" for label, count in curve.counts.items())
    fourth = max(1, sum(curve.counts.values()) // 4)
    test = expected_interval(curve.accuracy.value, fourth)
    return [
        f"more images? {_gain(curve)}",
        f"accuracy on {counts}: {interval_text(curve.accuracy)}; a test set of {fourth} would give "
        f"[{test.low:.4f}, {test.high:.4f}]",
    ]


def _gain(curve: LearningCurve) -> str:
    if curve.log_loss is None or curve.error is None:
        return "unknown: too few images to extrapolate"
    now, error = curve.curve[-1], curve.error
    if error.high < now.error:
        points = [100 * (now.error - end) for end in (error.value, error.high, error.low)]
        return f"yes: twice as many would add about {points[0]:+.1f} points of accuracy [{points[1]:+.1f}, {points[2]:+.1f}]"
    if curve.log_loss.high < now.log_loss:
        return (
            f"yes, for better probabilities: twice as many would change the log-loss from {now.log_loss:.3f} to about "
            f"{interval_text(curve.log_loss, '.3f')}; a gain in accuracy is not certain"
        )
    return "not certain: no clear gain from twice as many"


def _duplicate(duplicate: Mapping[str, Any]) -> str:
    conflict = "" if duplicate["labels_agree"] else " (other label)"
    return f"{_kind(duplicate['kind'])}  {duplicate['path']} = {duplicate['duplicate_of']}{conflict}"


def _kind(kind: str) -> str:
    return f"{_KINDS.get(kind, kind):11}"


def _list_rows(title: str, rows: Sequence[str]) -> list[str]:
    more = [f"  and {len(rows) - _MAX_ROWS} more, listed with `out` or `json`"] if len(rows) > _MAX_ROWS else []
    return ["", title, *(f"  {row}" for row in rows[:_MAX_ROWS]), *more]
