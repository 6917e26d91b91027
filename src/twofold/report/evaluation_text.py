"""Evaluations as text, and the result of `evaluate`."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from twofold.audit.leakage import LEAKAGE, Leakage
from twofold.core.notes import Note, count_text
from twofold.evaluation import PER_CLASS_METRICS, Evaluation
from twofold.evaluation.metric_names import METRIC_NAMES
from twofold.report.comparison_text import comparison_lines, difference_lines
from twofold.report.layout import WIDTH, interval_text, note_lines, number_text, short_name, short_names, table
from twofold.report.policy_text import operating_lines, outcome_lines, restated_lines
from twofold.report.slices_text import slice_lines
from twofold.report.timing_text import timing_text
from twofold.workflows.evaluate import EvaluationResult

_POLICY_REMARKS: Final = {
    "balanced": "optimizes balanced accuracy, not accuracy",
    "f1": "optimizes F1, not accuracy",
    "cost": "optimizes the cost, not accuracy",
    "promise": "keeps a promise",
}
_INTERVAL_WIDTH: Final = len("0.9900 [0.9805, 0.9949]")


def evaluation_text(result: EvaluationResult, names: Sequence[str], out: Path | None) -> str:
    """The result of `evaluate` for bundles of these names: first the decisions, then all metrics, then notes."""
    lines = [*warning_lines(result.notes), data_line("test", result.data)]
    columns = test_columns(result.evaluation, result.leakage)
    main_columns = dict(list(columns.items())[:1])
    if result.second is not None:
        lines += [f"{position}: {name}" for position, name in zip(("first", "second"), names, strict=True)]
        main_columns = columns = {"first": result.evaluation, "second": result.second}
    if result.leakage.unseen is not None and result.second_unseen is not None:
        main_columns = {"first (unseen)": result.leakage.unseen, "second (unseen)": result.second_unseen}
        columns = main_columns | {f"{name} (inflated)": evaluation for name, evaluation in columns.items()}
    for name, evaluation in main_columns.items():
        lines += [*decision_lines(name, evaluation), *outcome_lines(evaluation), *restated_lines(evaluation)]
        lines += operating_lines(evaluation.operating_table, evaluation.classes)
    if result.comparison is not None:
        position = "the same images" if result.second_unseen is None else "the unseen images"
        position += groups_text(next(iter(main_columns.values()))).replace("; ", ": ")
        lines += comparison_lines(result.comparison, position)
        lines += difference_lines(result.differences, result.evaluation.classes[1])
    lines += metric_lines(columns)
    for name, evaluation in main_columns.items():
        lines += [*detail_lines(name, evaluation), *slice_lines(evaluation.slices)]
    lines += note_lines(note for note in result.notes if note.code != LEAKAGE)
    lines += ["", timing_text(result.seconds)]
    lines += [f"Wrote {out}"] if out is not None else []
    return "\n".join(lines)


def warning_lines(notes: Iterable[Note]) -> list[str]:
    """The warning above all other text where test images duplicate training images: scores on them are inflated."""
    return [line for note in notes if note.code == LEAKAGE for line in (f"WARNING: {note.text}", "")]


def data_line(name: str, data: Mapping[str, Any]) -> str:
    """The number of files and of images of each class."""
    counts = ", ".join(f"{count} {label}" for label, count in data["counts"].items())
    skipped = f", {data['skipped']} skipped" if data["skipped"] else ""
    return f"{name}: {data['files']} files, {data['used']} used{skipped}: {counts} (positive: {data['positive']})"


def test_columns(evaluation: Evaluation, leakage: Leakage) -> dict[str, Evaluation]:
    """The columns of a test set: the headline, then all images where some of them duplicate training images."""
    name, headline = leakage.headline(evaluation)
    return {name: headline} if headline is evaluation else {name: headline, "test (inflated)": evaluation}


def decision_lines(name: str, evaluation: Evaluation) -> list[str]:
    """Confusion matrix with the recall of each class; below it the accuracy and the majority baseline."""
    classes = evaluation.classes
    negative, positive = short_names(classes)
    cells = evaluation.confusion
    recalls = [interval_text(evaluation.per_class[label].recall) for label in classes]
    rows = [
        ["", negative, positive, "", "recall"],
        [negative, f"{cells.tn}", f"{cells.fp}", "", recalls[0]],
        [positive, f"{cells.fn}", f"{cells.tp}", "", recalls[1]],
        ["accuracy", "", "", "", interval_text(evaluation.metrics["accuracy"])],
    ]
    lines = table([[*row[:3], f"{row[4]:<{_INTERVAL_WIDTH}}"] for row in rows])
    return [
        "",
        f"{name}: confusion matrix (rows: true class, columns: predicted)",
        *lines,
        _baseline(evaluation),
        *_undecided_lines(evaluation),
    ]


def _undecided_lines(evaluation: Evaluation) -> list[str]:
    """How many images are decided, and how many of those wrongly; the matrix answers all of them."""
    rule, undecided = evaluation.rule.original, evaluation.undecided
    if not rule.abstains and not undecided:
        return []
    reasons = [f"unsure between {rule.low:.4f} and {rule.high:.4f}"] if rule.abstains else []
    reasons += ["images unlike the training images are unfamiliar"] if "unfamiliar" in undecided else []
    rows = {**evaluation.decided, **undecided}
    names = {"coverage": "decided", "error": "error among decided"}
    return [
        "",
        f"{'; '.join(reasons)}; the matrix has an answer for every image, by the threshold {rule.threshold:.4f}",
        *table([[names.get(name, name), interval_text(interval)] for name, interval in rows.items()]),
    ]


def _baseline(evaluation: Evaluation) -> str:
    fraction = float(np.mean(evaluation.labels == 1))
    majority = evaluation.classes[int(fraction >= 0.5)]
    return f"always {majority}: accuracy {max(fraction, 1 - fraction):.4f}{groups_text(evaluation)}"


def groups_text(evaluation: Evaluation) -> str:
    """The number of groups where any has several images, which the intervals allow for."""
    if evaluation.groups is None:
        return ""
    return f"; {len(evaluation.labels)} images in {evaluation.group_count} groups"


_FORMS: Final = {"calibration_slope": ".2f", "calibration_intercept": ".2f"}  # wide numbers would split the table


def metric_lines(columns: Mapping[str, Evaluation]) -> list[str]:
    """All metrics with their 95% intervals, as many columns side by side as fit. Per-class metrics name the class."""
    (_, positive), *_ = (evaluation.classes for evaluation in columns.values())
    labels = {
        key: f"{text} ({short_name(positive)})" if key in PER_CLASS_METRICS else text
        for key, text in METRIC_NAMES.items()
    }
    cells = {
        name: [interval_text(evaluation.metrics[key], _FORMS.get(key, ".4f")) for key in labels]
        for name, evaluation in columns.items()
    }
    widest = max(len(cell) for column in cells.values() for cell in column)
    fitting = max(1, (WIDTH - max(map(len, labels.values()))) // (widest + 2))
    names, lines = list(columns), list[str]()
    for start in range(0, len(names), fitting):
        block = names[start : start + fitting]
        rows = zip(labels.values(), *(cells[name] for name in block), strict=True)
        lines += ["", *table([["", *block], *rows], left=1 + len(block))]
    return lines


def detail_lines(name: str, evaluation: Evaluation) -> list[str]:
    """Precision, recall and F1 of each class; borderline predictions; the best threshold on this data."""
    rows = [
        [
            label,
            *(number_text(rate.value) for rate in (report.precision, report.recall, report.f1)),
            f"{report.support}",
        ]
        for label, report in zip(short_names(list(evaluation.per_class)), evaluation.per_class.values(), strict=True)
    ]
    lines = table([[name, "precision", "recall", "F1", "images"], *rows])
    return ["", *lines, "", *_threshold_lines(evaluation)]


def _threshold_lines(evaluation: Evaluation) -> list[str]:
    near, rule = evaluation.borderline, evaluation.rule
    predictions = count_text(near.images, "prediction")
    borderline = f"{predictions} within ±{near.distance} of the threshold {rule.threshold:.4f} ({near.errors} wrong)."
    return [borderline, _best_threshold(evaluation)]


def _best_threshold(evaluation: Evaluation) -> str:
    best, policy = evaluation.best_threshold, evaluation.rule.policy.name
    if best is None:
        return f"No image is of class {evaluation.missing[0]}, so there is no best threshold on this data."
    if best.gain <= 0:
        return "No other threshold is more accurate on this data."
    significance = "significant" if best.significant else "not significant"
    remark = f" The threshold in use {_POLICY_REMARKS[policy]}." if policy in _POLICY_REMARKS else ""
    return (
        f"Best threshold on this data: {best.value:.4f} ({best.newly_correct - best.newly_wrong:+d} correct, accuracy "
        f"{best.gain:+.4f}); {significance} (p = {best.p_value:.2g}).{remark}"
    )
