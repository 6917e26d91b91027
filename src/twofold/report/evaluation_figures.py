"""The figures of an evaluation, readable in greys."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from twofold.core.files import write_errors
from twofold.evaluation import PER_CLASS_METRICS, Evaluation
from twofold.evaluation.curves import (
    Points,
    precision_recall_points,
    reliability_bins,
    roc_points,
    score_histogram,
    share_of_positives,
)
from twofold.report.canvas import ACCENT, DASHED, GREY, INK, PAD, PALE, entitle, save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def write_figures(evaluation: Evaluation, folder: Path, *, of: str = "", prefix: str = "") -> list[Path]:
    """The files written: one SVG for each of `FIGURES` in the folder, which is made when it is missing.

    `of` says in the titles which pictures these are, `prefix` begins the names of the files. The same evaluation gives the
    same bytes. Raises TwofoldError when the folder cannot be written; each file is whole or as it was.
    """
    with write_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    files = []
    for name in FIGURES:
        files.append(folder / f"{prefix}{name}.svg")
        write_figure(name, evaluation, files[-1], of=of)
    return files


def write_figure(name: str, evaluation: Evaluation, file: Path, *, of: str = "") -> None:
    """One of `FIGURES` into a file; its suffix (.svg, .png, .pdf) says how."""

    def draw(figure: "Figure") -> None:
        FIGURES[name](figure, evaluation)
        if of:
            figure.axes[0].set_title(f"{figure.axes[0].get_title('left')}, {of}", pad=PAD)

    save_figure(draw, file)


def confusion(figure: "Figure", evaluation: Evaluation) -> None:
    """Rows are the truth, columns the answers; each cell tells its pictures and its share of the row."""
    c, (negative, positive) = evaluation.confusion, _names(evaluation)
    cells = np.array([[c.tn, c.fp], [c.fn, c.tp]])
    fractions = cells / np.maximum(cells.sum(axis=1, keepdims=True), 1)
    axes = figure.add_subplot()
    _entitle(axes, evaluation, "Confusion matrix", "accuracy")
    axes.imshow(fractions, cmap="Blues", vmin=0, vmax=2.2)
    for (row, column), images in np.ndenumerate(cells):
        weight = "bold" if row == column else "normal"
        axes.text(column, row, f"{images:,}", ha="center", va="bottom", fontsize=20, color=INK, weight=weight)
        axes.text(column, row + 0.06, f"{fractions[row, column]:.1%}", ha="center", va="top", color=INK)
    axes.set_xticks([0, 1], [negative, positive])
    axes.set_yticks([0, 1], [negative, positive], rotation=90, va="center")
    axes.set(xlabel=f"answer, at threshold {evaluation.rule.threshold:.3g}", ylabel="truth")
    axes.axhline(0.5, color="white", linewidth=3)
    axes.axvline(0.5, color="white", linewidth=3)
    axes.tick_params(length=0)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)


def roc(figure: "Figure", evaluation: Evaluation) -> None:
    """Recall against the false positive rate, with the threshold in use."""
    negative, positive = _names(evaluation)
    axes = _square(figure, f"{negative} called {positive} (1 - specificity)", f"{positive} found (recall)")
    _entitle(axes, evaluation, "ROC curve", "roc_auc")
    axes.plot([0, 1], [0, 1], color=GREY, linestyle=DASHED, linewidth=1, label="chance")
    axes.legend(loc="lower right")
    points = roc_points(evaluation.labels, evaluation.probabilities)
    here = 1 - evaluation.metrics["specificity"].value, evaluation.metrics["recall"].value
    _curve(axes, points, here, evaluation)
    if evaluation.metrics["roc_auc"].value > CROWDED:
        _curve(_corner(axes, 0.42, (-0.002, 0.1)), points, here, evaluation)


def precision_recall(figure: "Figure", evaluation: Evaluation) -> None:
    """Precision against recall, with the share of positives and the threshold in use."""
    _, positive = _names(evaluation)
    axes = _square(figure, f"{positive} found (recall)", f"right among those called {positive} (precision)")
    _entitle(axes, evaluation, "Precision and recall", "average_precision")
    fraction = share_of_positives(evaluation.labels)
    axes.axhline(fraction, color=GREY, linestyle=DASHED, linewidth=1, label=f"share of {positive}")
    axes.legend(loc="lower left")
    points = precision_recall_points(evaluation.labels, evaluation.probabilities)
    here = evaluation.metrics["recall"].value, evaluation.metrics["precision"].value
    _curve(axes, points, here, evaluation, steps=True)
    if evaluation.metrics["average_precision"].value > CROWDED:
        _curve(_corner(axes, 0.2, (0.9, 1.002)), points, here, evaluation, steps=True)


def reliability(figure: "Figure", evaluation: Evaluation) -> None:
    """The share of positives in each bin of probability, with its interval, above the pictures that it rests on."""
    _, positive = _names(evaluation)
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    _entitle(top, evaluation, "Reliability", "ece")
    top.plot([0, 1], [0, 1], color=GREY, linestyle=DASHED, linewidth=1)
    bins = reliability_bins(evaluation.labels, evaluation.probabilities)
    x, y = [part.probability for part in bins], [part.positives.value for part in bins]
    top.vlines(x, [part.positives.low for part in bins], [part.positives.high for part in bins], ACCENT, linewidth=1.2)
    top.plot(x, y, "o", color=ACCENT, markersize=5, clip_on=False)
    top.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), ylabel=f"share of {positive}, 95% interval")
    _bars(bottom, evaluation.probabilities, GREY)
    bottom.set(xlabel=f"probability of {positive}", ylabel="images")


def scores(figure: "Figure", evaluation: Evaluation) -> None:
    """The probabilities of each class, right answers pale and wrong ones dark, on the two sides of the threshold."""
    names = _names(evaluation)
    panels = figure.subplots(2, 1, sharex=True, sharey=True)
    _entitle(panels[0], evaluation, "Scores", "log_loss")
    answers = evaluation.rule.decide(evaluation.probabilities)
    for axes, label in zip(panels, (1, 0), strict=True):
        own = evaluation.labels == label
        _bars(axes, evaluation.probabilities[own], PALE, label="right")
        _bars(axes, evaluation.probabilities[own & (answers != label)], ACCENT, label="wrong")
        axes.axvline(evaluation.rule.threshold, color=INK, linewidth=1, linestyle=DASHED)
        axes.set_ylabel(f"{names[label]}, pictures")
    panels[0].legend(loc="upper left")
    panels[1].set(xlabel=f"probability of {names[1]}, threshold {evaluation.rule.threshold:.3g}", xlim=(-0.02, 1.02))


FIGURES: dict[str, Callable[["Figure", Evaluation], None]] = {
    "confusion": confusion,
    "roc": roc,
    "precision_recall": precision_recall,
    "reliability": reliability,
    "scores": scores,
}
"""Each draws an evaluation on an empty figure; the name is that of its file."""

CROWDED = 0.97
"""Above this area a curve hugs its corner, which is then drawn larger."""

SHORT = {"roc_auc": "area", "ece": "calibration error"}


def _entitle(axes: "Axes", evaluation: Evaluation, title: str, metric: str) -> None:
    told, name = evaluation.metrics[metric], SHORT.get(metric, metric.replace("_", " "))
    numbers = f"{told.value:.4f} [{told.low:.4f}, {told.high:.4f}]" if told.value == told.value else "undefined"
    name = f"{name} ({_names(evaluation)[1]})" if metric in PER_CLASS_METRICS else name
    text = f"{name} {numbers}, n = {len(evaluation.labels):,}"
    entitle(axes, title, text)


def _names(evaluation: Evaluation) -> tuple[str, str]:
    negative, positive = (name if len(name) <= 20 else f"{name[:19]}…" for name in evaluation.classes)
    return negative, positive


def _square(figure: "Figure", x: str, y: str) -> "Axes":
    axes = figure.add_subplot(xlabel=x, ylabel=y, xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    axes.set_aspect("equal")
    return axes


def _corner(axes: "Axes", left: float, x: tuple[float, float]) -> "Axes":
    inset = axes.inset_axes((left, 0.22, 0.5, 0.5), xlim=x, ylim=(0.9, 1.002))
    inset.set_xticks([round(end, 1) for end in x])
    inset.set_yticks([0.9, 1.0])
    inset.spines[:].set_visible(True)
    axes.indicate_inset_zoom(inset, edgecolor=GREY)
    return inset


def _curve(
    axes: "Axes", points: Points, here: tuple[float, float], evaluation: Evaluation, *, steps: bool = False
) -> None:
    axes.plot(*points, color=ACCENT, linewidth=1.8, drawstyle="steps-pre" if steps else "default")
    if not axes.viewLim.contains(*here):  # beyond the corner that is drawn larger, or undefined
        return
    axes.plot(*here, "o", color=INK, markersize=6, markerfacecolor="white", clip_on=False, zorder=5)
    side, offset = ("right", -6) if steps else ("left", 6)
    axes.annotate(f"{evaluation.rule.threshold:.3g}", here, (offset, -12), textcoords="offset points", ha=side)


def _bars(axes: "Axes", probabilities: "np.typing.NDArray[np.float64]", color: str, label: str | None = None) -> None:
    counts, edges = score_histogram(probabilities)
    axes.stairs(counts, edges, fill=True, color=color, label=label)
    axes.set_yscale("symlog", linthresh=1)
    axes.yaxis.set_major_formatter("{x:,.0f}")
