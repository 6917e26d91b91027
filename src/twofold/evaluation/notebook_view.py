"""Evaluations as HTML for notebooks: tables, and two small figures drawn as SVG. No library is needed, and no request is made.

Colours follow the text colour of the notebook, so that light and dark themes show the same.
"""

from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from twofold.core.files import printable
from twofold.core.notes import count_text
from twofold.evaluation.curves import Points, roc_points, score_histogram
from twofold.evaluation.metric_names import METRIC_NAMES, PER_CLASS_METRICS

if TYPE_CHECKING:
    from twofold.evaluation.results import Evaluation

_WIDTH, _HEIGHT, _LEFT, _BOTTOM = 220, 170, 16, 24
_PIXELS: Final = 400  # of a curve along each axis: points closer than that are drawn as one
_CELL: Final = "padding:2px 10px;text-align:{}"
_FORMS: Final = {"calibration_slope": ".2f", "calibration_intercept": ".2f"}
_LETTERS: Final = 18  # of a class name in a figure
_POSITIVE, _NEGATIVE = "#cf5f17", "#3b82d0"  # orange and blue, as in the report; seen on white and on black


def result_html(evaluations: "Mapping[str, Evaluation]", notes: Sequence[str]) -> str:
    """Evaluations below each other, each with its name, and the notes of a result."""
    parts = [f"<h4>{_text(name)}</h4>{evaluation_html(evaluation)}" for name, evaluation in evaluations.items()]
    if notes:
        items = "".join(f"<li>{_text(note)}</li>" for note in notes)
        parts.append(f"<details><summary>{count_text(len(notes), 'note')}</summary><ul>{items}</ul></details>")
    return f'<div class="twofold">{"".join(parts)}</div>'


def evaluation_html(evaluation: "Evaluation") -> str:
    """Confusion matrix, all metrics with their 95% intervals, the ROC curve and the histogram of the scores."""
    images = count_text(len(evaluation.labels), "image")
    groups = "" if evaluation.groups is None else f" in {count_text(evaluation.group_count, 'group')}"
    head = f"{images}{groups}; positive class: {evaluation.classes[1]}; threshold {evaluation.rule.threshold:.4f}"
    figures = "" if evaluation.missing else _roc(evaluation)
    blocks = [f"{_confusion(evaluation)}<div>{figures}{_scores(evaluation)}</div>", _metrics(evaluation)]
    row = "".join(f'<div style="margin:0 24px 8px 0">{block}</div>' for block in blocks)
    return f'<p>{_text(head)}</p><div style="display:flex;flex-wrap:wrap;align-items:flex-start">{row}</div>'


def _text(text: str) -> str:
    """The text for HTML; control characters and invalid UTF-8 of file and class names become escapes."""
    return escape(printable(text))


def _table(caption: str, rows: Sequence[Sequence[str]], *, heads: int) -> str:
    """An HTML table of texts; the first `heads` rows and the first column are heads."""
    lines = []
    for number, row in enumerate(rows):
        cells = [
            f'<{tag} style="{_CELL.format("left" if column == 0 else "right")}">{_text(cell)}</{tag}>'
            for column, cell in enumerate(row)
            for tag in ["th" if number < heads or column == 0 else "td"]
        ]
        lines.append(f"<tr>{''.join(cells)}</tr>")
    return f'<table><caption style="text-align:left"><b>{_text(caption)}</b></caption>{"".join(lines)}</table>'


def _confusion(evaluation: "Evaluation") -> str:
    c, (negative, positive) = evaluation.confusion, evaluation.classes
    recalls = [evaluation.per_class[name].recall.text() for name in evaluation.classes]
    rows = [
        ["true class", f"predicted {negative}", f"predicted {positive}", "recall"],
        [negative, str(c.tn), str(c.fp), recalls[0]],
        [positive, str(c.fn), str(c.tp), recalls[1]],
    ]
    return _table("Confusion matrix", rows, heads=1)


def _metrics(evaluation: "Evaluation") -> str:
    positive = evaluation.classes[1]
    rows = [["metric", "value and 95% interval"]]
    for name, words in METRIC_NAMES.items():
        label = f"{words} ({positive})" if name in PER_CLASS_METRICS else words
        rows.append([label, evaluation.metrics[name].text(_FORMS.get(name, ".4f"))])
    undecided = {**evaluation.decided, **evaluation.undecided} if evaluation.undecided else {}
    names = {"coverage": "decided", "error": "error among decided"}
    rows += [[names.get(name, name), interval.text()] for name, interval in undecided.items()]
    return _table("Metrics", rows, heads=1)


def _roc(evaluation: "Evaluation") -> str:
    x, y = _thinned(roc_points(evaluation.labels, evaluation.ranks))
    points = " ".join(f"{_x(a):.1f},{_y(b):.1f}" for a, b in zip(x.tolist(), y.tolist(), strict=True))
    area = evaluation.metrics["roc_auc"].text()
    marks = (
        f'<line x1="{_x(0)}" y1="{_y(0)}" x2="{_x(1)}" y2="{_y(1)}" stroke="currentColor" stroke-dasharray="3 3" opacity="0.4"/>'
        f'<polyline points="{points}" fill="none" stroke="{_NEGATIVE}" stroke-width="2"/>'
    )
    return _figure("ROC curve", f"ROC curve, area {area}", "false positive rate", marks)


def _thinned(points: Points) -> Points:
    """The points of a curve without those that fall onto the pixel of the point before."""
    pixels = np.round(np.stack(points) * _PIXELS).astype(np.int64)
    kept = np.r_[True, (np.diff(pixels, axis=1) != 0).any(axis=0)]
    kept[-1] = True
    return points[0][kept], points[1][kept]


def _scores(evaluation: "Evaluation") -> str:
    """The histogram of each class, the positive one upwards; the height is the square root of the count."""
    negative, positive = evaluation.classes
    counts = [score_histogram(evaluation.probabilities[evaluation.labels == label])[0] for label in (0, 1)]
    highest = max(1.0, float(np.sqrt(max(count.max() for count in counts))))
    marks = _bars(counts[1], highest, 1, _POSITIVE) + _bars(counts[0], highest, -1, _NEGATIVE)
    threshold = evaluation.rule.threshold
    if threshold <= 1:
        place = f'x1="{_x(threshold):.1f}" x2="{_x(threshold):.1f}" y1="{_y(0)}" y2="{_y(1)}"'
        marks += f'<line {place} stroke="currentColor" stroke-dasharray="4 3"/>'
    marks += _key(positive, "upwards", _POSITIVE, f'x="{_x(0.02):.1f}" y="{_y(1) + 10}"')
    marks += _key(negative, "downwards", _NEGATIVE, f'x="{_x(1)}" y="{_y(0) - 6}" text-anchor="end"')
    title = f"Scores: {positive} upwards, {negative} downwards, heights as square roots"
    return _figure("Scores", title, f"probability of {_short(positive)}", marks)


def _key(name: str, direction: str, colour: str, place: str) -> str:
    return f'<text {place}><tspan fill="{colour}">■</tspan> {_text(_short(name))}, {direction}</text>'


def _short(name: str) -> str:
    """A class name that fits into a figure."""
    return name if len(name) <= _LETTERS else f"{name[: _LETTERS - 1]}…"


def _bars(counts: NDArray[np.int64], highest: float, direction: int, colour: str) -> str:
    """The bars of one class from the middle of the figure, up (1) or down (-1)."""
    width, bars = 1 / len(counts), []
    for number in np.flatnonzero(counts).tolist():
        height = 0.5 * float(np.sqrt(counts[number])) / highest
        top = _y(0.5 + height if direction > 0 else 0.5)
        size = f'width="{(_x(width) - _x(0)):.2f}" height="{(_y(0) - _y(height)):.2f}"'
        bars.append(f'<rect x="{_x(number * width):.2f}" y="{top:.2f}" {size} fill="{colour}"/>')
    return "".join(bars)


def _x(fraction: float) -> float:
    return _LEFT + fraction * (_WIDTH - _LEFT - 8)


def _y(fraction: float) -> float:
    return _HEIGHT - _BOTTOM - fraction * (_HEIGHT - _BOTTOM - 20)


def _figure(title: str, label: str, axis: str, marks: str) -> str:
    """An SVG figure with a title, which screen readers read as `label`, and the name of the axis from 0 to 1."""
    frame = f'<path d="M{_x(0)} {_y(1)}V{_y(0)}H{_x(1)}" fill="none" stroke="currentColor" opacity="0.5"/>'
    words = (
        f'<text x="{_x(0)}" y="12" font-weight="bold">{_text(title)}</text>'
        f'<text x="{_x(0)}" y="{_HEIGHT - 10}">0</text>'
        f'<text x="{_x(1)}" y="{_HEIGHT - 10}" text-anchor="end">1</text>'
        f'<text x="{_x(0.5)}" y="{_HEIGHT - 10}" text-anchor="middle">{_text(axis)}</text>'
    )
    head = f'<svg role="img" aria-label="{_text(label)}" width="{_WIDTH}" height="{_HEIGHT}" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
    style = 'font-family="sans-serif" font-size="10" fill="currentColor">'
    return f"{head}{style}<title>{_text(label)}</title>{frame}{marks}{words}</svg>"
