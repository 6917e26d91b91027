"""The tables of the page: each number is one of evaluation.json or of a rule summary, with its interval."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from twofold.core.notes import count_text
from twofold.decision.rule import NEVER
from twofold.report.layout import short_number
from twofold.report.metric_names import METRIC_NAMES
from twofold.workflows.report import ReportData, role_of


@dataclass(frozen=True, slots=True)
class MatrixCell:
    """A cell of a confusion matrix: its number of images, their fraction of the row, and the key of its images; "" where they
    are not at hand."""

    count: int
    fraction: str
    key: str
    right: bool


@dataclass(frozen=True, slots=True)
class MatrixTable:
    """The confusion matrix of a column; `part` numbers its scored images."""

    name: str
    part: int
    rows: tuple[tuple[str, tuple[MatrixCell, MatrixCell], str], ...]  # true class, cells, recall


def interval(value: Mapping[str, Any] | None, digits: int = 4) -> str:
    """A value of evaluation.json with its 95% interval.

    >>> interval({"value": 0.99, "low": 0.98051, "high": 0.99492})
    '0.9900 [0.9805, 0.9949]'
    """
    if value is None or value["value"] is None:
        return "undefined"
    return "{:.{d}f} [{:.{d}f}, {:.{d}f}]".format(value["value"], value["low"], value["high"], d=digits)


def matrices(data: ReportData) -> list[MatrixTable]:
    """The matrix of the headline, and that of every other column that has images."""
    parts = {scored.name: number for number, scored in enumerate(data.scored)}
    return [
        _matrix(column.name, column.block, data.classes, parts.get(column.name))
        for number, column in enumerate(data.columns)
        if number == 0 or column.name in parts
    ]


def _matrix(name: str, block: Mapping[str, Any], classes: tuple[str, str], part: int | None) -> MatrixTable:
    c = block["confusion"]
    counts = ((c["tn"], c["fp"]), (c["fn"], c["tp"]))
    rows = []
    for label, row in enumerate(counts):
        total = max(sum(row), 1)
        cells = tuple(
            MatrixCell(
                count, f"{count / total:.1%}", f"{label}{answer}" if part is not None and count else "", label == answer
            )
            for answer, count in enumerate(row)
        )
        recall = block["per_class"][classes[label]]["intervals"]["recall"]
        rows.append((classes[label], (cells[0], cells[1]), interval(recall)))
    return MatrixTable(name, -1 if part is None else part, tuple(rows))


def metric_rows(data: ReportData) -> list[tuple[str, list[str]]]:
    """The name of each metric, and its value in each column."""
    rows = [
        (name, [interval(column.block["metrics"][metric]) for column in data.columns])
        for metric, name in METRIC_NAMES.items()
        if metric in data.columns[0].block["metrics"]
    ]
    decided = {"coverage": "decided", "error": "error among decided", "unsure": "unsure", "unfamiliar": "unfamiliar"}
    for key, name in decided.items():
        if any(key in column.block["decided"] for column in data.columns):
            rows.append(
                (
                    name,
                    [
                        interval(column.block["decided"].get(key)) if key in column.block["decided"] else ""
                        for column in data.columns
                    ],
                )
            )
    counts = [f"{column.block['images']:,}" for column in data.columns]
    return [("images", counts), *rows]


def class_report(data: ReportData) -> list[tuple[str, list[str]]]:
    """Precision, recall and F1 of each class of the headline, and its number of images."""
    report = data.columns[0].block["per_class"]
    return [
        (
            name,
            [
                *(interval(report[name]["intervals"][metric]) for metric in ("precision", "recall", "f1")),
                f"{report[name]['support']:,}",
            ],
        )
        for name in data.classes
    ]


def rule_rows(data: ReportData) -> list[tuple[str, str]]:
    """What the rule in use does to the scores of the explorer, with intervals, as `twofold decide` shows it."""
    if data.thresholds is None:
        return []
    summary, (negative, positive) = data.thresholds.summary.as_json(), data.classes
    rates = {
        f"{positive} missed": summary["missed"],
        f"{negative} called {positive}": summary["false_alarms"],
        "decided": summary["coverage"],
        "error among decided": summary["error"],
    }
    rows = [(name, interval(rate)) for name, rate in rates.items()]
    return [*rows, ("cost per 1,000 images", interval(summary["cost"], 1))] if summary["cost"] is not None else rows


def rule_difference(data: ReportData) -> str:
    """Why the rule has other numbers here than in the matrix of the training; empty where it has the same."""
    scores, own = data.thresholds, [scored for scored in data.scored if role_of(scored.name) == "train"]
    if scores is None or not own or len(own[0].sample.labels) != len(scores.labels):
        return ""
    differ = int(np.sum(own[0].sample.decisions != scores.rule.answer(scores.probabilities)))
    unfamiliar = " The matrix also has an answer for unfamiliar images." if scores.rule.gate is not None else ""
    if not differ:
        return unfamiliar.strip()
    return (
        "Thresholds are tried with the calibration of the bundle, as twofold decide does. The confusion matrix uses "
        f"calibrations that are each fitted without one fold: {count_text(differ, 'image has', 'images have')} another answer "
        f"there.{unfamiliar}"
    )


def operating_rows(data: ReportData) -> list[list[str]]:
    """The operating table of the column that the explorer's scores belong to."""
    if data.thresholds is None:
        return []
    own = next((column for column in data.columns if role_of(column.name) == "train"), data.columns[0])
    return [
        [
            f"{point['limit']:.0%}",
            interval(point["missed"]),
            interval(point["false_alarms"]),
            "none" if point["threshold"] >= NEVER else f"{point['threshold']:.4f}",
            f"{point['needed']:,}",
        ]
        for point in own.block.get("operating_table", ())
    ]


def slice_rows(data: ReportData) -> dict[str, Any]:
    """The slices of the headline, the least accurate first; empty where nothing tells images apart."""
    slices = data.columns[0].block.get("slices")
    if not slices or not slices["slices"]:
        return {}
    ordered = sorted(slices["slices"], key=lambda entry: entry["difference"]["value"])
    rows = [
        [
            f"{entry['feature']} {_values(entry)}",
            f"{entry['images']:,}",
            interval(entry["accuracy"]),
            _signed(entry["difference"]),
        ]
        for entry in ordered[:10]
    ]
    return {"name": data.columns[0].name, "count": slices["count"], "worst": slices["worst"] is not None, "rows": rows}


def _values(entry: Mapping[str, Any]) -> str:
    if entry["low"] is None or entry["high"] is None:
        return str(entry["value"])
    low, high = short_number(entry["low"]), short_number(entry["high"])
    return low if low == high else f"{low} to {high}"


def _signed(value: Mapping[str, Any]) -> str:
    if value["value"] is None:
        return "undefined"
    return f"{value['value']:+.4f} [{value['low']:+.4f}, {value['high']:+.4f}]"
