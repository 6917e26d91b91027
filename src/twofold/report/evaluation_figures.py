"""The figures of an evaluation, with the look of the page, readable in greys."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from twofold.core.files import write_errors
from twofold.evaluation import Evaluation
from twofold.evaluation.curves import (
    Band,
    Points,
    always_positive_benefit,
    expected_cost_at,
    net_benefit_at,
    net_benefit_curve,
    precision_recall_band,
    precision_recall_points,
    prevalence_of,
    probability_cost,
    reliability_bins,
    roc_band,
    roc_points,
    score_histogram,
)
from twofold.evaluation.curves import cost_curve as cost_curve_of
from twofold.evaluation.intervals import UNDEFINED
from twofold.evaluation.metric_names import METRIC_NAMES
from twofold.report.canvas import (
    ACCENT,
    BAND,
    DASHED,
    INK,
    LINE,
    MUTED,
    NEGATIVE,
    PANEL,
    POSITIVE,
    WARNING,
    WARNING_LINE,
    entitle,
    save_figure,
)
from twofold.report.layout import interval_text, joined_lines, short_names

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

CROWDED: Final = 0.97
"""Area under a curve above which its corner is enlarged."""

_MAX_VECTOR_DOTS: Final = 2000
"""Dots above which a panel is stored as pixels: SVG files of many thousand dots are slow to show."""


ALWAYS_POSITIVE: Final[dict[str, Any]] = {"color": MUTED, "linewidth": 1, "linestyle": "dotted"}
ALWAYS_NEGATIVE: Final[dict[str, Any]] = {"color": MUTED, "linewidth": 1, "linestyle": DASHED}

DOT: Final[dict[str, Any]] = {"markersize": 6, "markerfacecolor": "white", "zorder": 5}


def write_figures(evaluation: Evaluation, folder: Path, *, title: str = "", prefix: str = "") -> list[Path]:
    """The files written: an SVG and a PNG file for each of `FIGURES`, in the folder, which is made where it is missing.

    `title` names the images in each figure, `prefix` begins the file names. The same evaluation gives the same bytes. Raises
    TwofoldError where the folder cannot be written; no file is left half-written.
    """
    with write_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    files = []
    for name, draw in FIGURES.items():
        files += save_figure(_titled(draw, evaluation, title), folder / f"{prefix}{name}.svg")
    return files


def _titled(
    draw: Callable[["Figure", Evaluation], None], evaluation: Evaluation, title: str
) -> Callable[["Figure"], None]:
    def draw_titled(figure: "Figure") -> None:
        draw(figure, evaluation)
        if title:
            write_title(figure, title)

    return draw_titled


def write_title(figure: "Figure", title: str) -> None:
    """Names the images above the whole figure."""
    figure.suptitle(title, x=0.01, ha="left", fontsize=9, color=MUTED)


def confusion(figure: "Figure", evaluation: Evaluation) -> None:
    """Rows: true class, columns: predicted class. A cell holds its number of images and their fraction of the row."""
    c, (negative, positive) = evaluation.confusion, class_names(evaluation)
    cells = np.array([[c.tn, c.fp], [c.fn, c.tp]])
    fractions = cells / np.maximum(cells.sum(axis=1, keepdims=True), 1)
    axes = figure.add_subplot()
    _entitle(axes, evaluation, "Confusion matrix", "accuracy")
    for (row, column), images in np.ndenumerate(cells):
        axes.add_patch(_cell(row, column, right=row == column or not images))
        axes.text(column, row, f"{images:,}", ha="center", va="bottom", fontsize=20, weight="bold")
        axes.text(column, row + 0.06, f"{fractions[row, column]:.1%}", ha="center", va="top")
    axes.set(xlim=(-0.5, 1.5), ylim=(1.5, -0.5), aspect="equal")
    axes.set_xticks([0, 1], [negative, positive])
    axes.set_yticks([0, 1], [negative, positive], rotation=90, va="center")
    axes.set(xlabel=f"predicted class, threshold {evaluation.rule.threshold:.3g}", ylabel="true class")
    axes.tick_params(length=0, labelcolor=INK)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)


def _cell(row: int, column: int, *, right: bool) -> "Rectangle":
    """The ground of a cell of the confusion matrix; that of wrong answers has a dashed border, for greys."""
    from matplotlib.patches import Rectangle

    look: dict[str, Any] = {"facecolor": PANEL, "edgecolor": LINE}
    if not right:
        look = {"facecolor": WARNING, "edgecolor": WARNING_LINE, "linestyle": DASHED}
    return Rectangle((column - 0.47, row - 0.47), 0.94, 0.94, linewidth=1, **look)


def roc(figure: "Figure", evaluation: Evaluation) -> None:
    """Recall against the false positive rate, with the threshold in use."""
    negative, positive = class_names(evaluation)
    axes = unit_square(figure, false_positive_rate(negative, positive), f"recall ({positive})")
    _entitle(axes, evaluation, "ROC curve", "roc_auc")
    axes.plot([0, 1], [0, 1], color=MUTED, linestyle=DASHED, linewidth=1, label="chance")
    points = roc_points(evaluation.labels, evaluation.ranks)
    threshold = 1 - evaluation.metrics["specificity"].value, evaluation.metrics["recall"].value
    band = None if evaluation.missing else roc_band(evaluation.sample)
    _curve(axes, points, band, threshold, evaluation)
    axes.legend(loc="lower right")
    if evaluation.metrics["roc_auc"].value > CROWDED:
        _curve(enlarge(axes, (0.42, 0.28), (-0.002, 0.1)), points, band, threshold, evaluation)


def false_positive_rate(negative: str, positive: str) -> str:
    """The name of the axis."""
    return joined_lines("false positive rate", f"({negative} predicted as {positive})", 52)


def precision_recall(figure: "Figure", evaluation: Evaluation) -> None:
    """Precision against recall, with the prevalence and the threshold in use."""
    _, positive = class_names(evaluation)
    axes = unit_square(figure, f"recall ({positive})", f"precision ({positive})")
    _entitle(axes, evaluation, "Precision-recall curve", "average_precision")
    prevalence = prevalence_of(evaluation.labels)
    axes.axhline(prevalence, color=MUTED, linestyle=DASHED, linewidth=1, label=f"prevalence of {positive}")
    points = precision_recall_points(evaluation.labels, evaluation.ranks)
    threshold = evaluation.metrics["recall"].value, evaluation.metrics["precision"].value
    band = None if evaluation.missing else precision_recall_band(evaluation.sample)
    _curve(axes, points, band, threshold, evaluation, steps=True)
    axes.legend(loc="lower left")
    if evaluation.metrics["average_precision"].value > CROWDED:
        corner = enlarge(axes, (0.14, free_height(prevalence)), (0.9, 1.002), side=0.34)
        _curve(corner, points, band, threshold, evaluation, steps=True)


def free_height(prevalence: float) -> float:
    """The height of the enlarged corner at which it covers neither the prevalence line nor the legend."""
    return 0.2 if prevalence > 0.6 else max(0.26, prevalence + 0.08) if prevalence < 0.46 else 0.6


def reliability(figure: "Figure", evaluation: Evaluation) -> None:
    """The fraction of positives in each bin of probability, with its interval; the area of a dot shows its number of images."""
    _, positive = class_names(evaluation)
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    _entitle(top, evaluation, "Reliability", "ece")
    top.plot([0, 1], [0, 1], color=MUTED, linestyle=DASHED, linewidth=1)
    bins = reliability_bins(evaluation.labels, evaluation.probabilities)
    x, y = [bin.probability for bin in bins], [bin.positives.value for bin in bins]
    sizes = np.array([bin.images for bin in bins]) / max(bin.images for bin in bins)
    top.vlines(x, [bin.positives.low for bin in bins], [bin.positives.high for bin in bins], ACCENT, linewidth=1.5)
    top.scatter(x, y, s=12 + 130 * sizes, color=ACCENT, edgecolor="white", linewidth=0.6, clip_on=False, zorder=3)
    top.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), ylabel=fraction_of(positive))
    _histogram(bottom, evaluation.probabilities, MUTED)
    bottom.set(xlabel=f"predicted probability of {positive}", ylabel="images")


def fraction_of(positive: str) -> str:
    """The name of the axis."""
    return joined_lines(f"fraction of {positive},", "95% interval", 32)


def scores(figure: "Figure", evaluation: Evaluation) -> None:
    """The probabilities of each class as counts of images, and below them each wrong prediction as a dot."""
    names = short_names(evaluation.classes, 14)  # along the height of a panel
    top, wrong_top, bottom, wrong_bottom = figure.subplots(4, 1, sharex=True, height_ratios=(4, 1, 4, 1))
    _entitle(top, evaluation, "Scores", "log_loss")
    decisions = evaluation.rule.answer(evaluation.probabilities)
    for histogram, strip, label, color in ((top, wrong_top, 1, POSITIVE), (bottom, wrong_bottom, 0, NEGATIVE)):
        of_class = evaluation.labels == label
        wrong = evaluation.probabilities[of_class & (decisions != label)]
        _histogram(histogram, evaluation.probabilities[of_class], color)
        histogram.set_ylabel(joined_lines("images of", names[label], 16))
        _dots(strip, wrong, color)
        strip.set_ylabel(f"wrong: {len(wrong):,}", rotation=0, ha="right", va="center")
        for axes in (histogram, strip):
            axes.axvline(evaluation.rule.threshold, color=INK, linewidth=1, linestyle=DASHED)
    highest = max(top.get_ylim()[1], bottom.get_ylim()[1])
    top.set_ylim(0, highest)
    bottom.set_ylim(0, highest)
    threshold = f"threshold {evaluation.rule.threshold:.3g}"
    wrong_bottom.set(xlabel=f"predicted probability of {names[1]}, {threshold}", xlim=(-0.02, 1.02))


def net_benefit(figure: "Figure", evaluation: Evaluation) -> None:
    """The net benefit at each threshold probability with its band, beside one answer for all; the threshold in use as a dot."""
    negative, positive = class_names(evaluation)
    sample, threshold = evaluation.sample, evaluation.rule.threshold
    band, prevalence = net_benefit_curve(sample), prevalence_of(evaluation.labels)
    point = net_benefit_at(sample, threshold) if 0 < threshold < 1 else UNDEFINED
    axes = figure.add_subplot(xlabel=f"threshold probability of {positive}", ylabel=f"net benefit ({positive} found)")
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.12 * max(prevalence, 0.01), 1.08 * max(prevalence, 0.01)))
    entitle(axes, "Net benefit", f"{interval_text(point)} at {threshold:.3g}", count_label(evaluation))
    axes.plot(band.x, always_positive_benefit(evaluation.labels, band.x), **ALWAYS_POSITIVE, label=f"always {positive}")
    axes.axhline(0, **ALWAYS_NEGATIVE, label=f"always {negative}")
    _band(axes, band)
    _rule_point(axes, (threshold, point.value), evaluation)
    figure.legend(loc="outside lower center", ncols=2)


def weight_of_missed(positive: str) -> str:
    """The name of the axis."""
    return joined_lines(f"weight of missed {positive}:", "prevalence × cost", 50)


def cost_curve(figure: "Figure", evaluation: Evaluation) -> None:
    """The normalised expected cost for each weight of the errors, and the line and the dot of the threshold in use."""
    negative, positive = class_names(evaluation)
    sample, threshold = evaluation.sample, evaluation.rule.threshold
    band = cost_curve_of(sample)
    axes = figure.add_subplot(xlabel=weight_of_missed(positive), ylabel="normalised expected cost")
    weight = 0.5 if evaluation.missing else probability_cost(evaluation.labels, min(threshold, 1.0))
    point = expected_cost_at(sample, threshold, weight)
    highest = np.nan_to_num(band.value).max(), np.nan_to_num(band.high).max()
    axes.set(xlim=(-0.02, 1.02), ylim=(0, max(0.05, min(0.52, 2 * highest[1]), 1.05 * highest[0])))
    entitle(axes, "Cost curve", f"{interval_text(point)} at {weight:.3g}", count_label(evaluation))
    axes.plot([0, 1], [1, 0], **ALWAYS_POSITIVE, label=f"always {positive}")
    axes.plot([0, 1], [0, 1], **ALWAYS_NEGATIVE, label=f"always {negative}")
    ends = [expected_cost_at(sample, threshold, end).value for end in (0.0, 1.0)]
    _band(axes, band)
    line = [0, weight, 1], [ends[0], point.value, ends[1]]
    label = f"threshold in use, {threshold:.3g}"
    axes.plot(*line, "o-", color=INK, linewidth=0.8, markevery=[1], **DOT, label=label)
    figure.legend(loc="outside lower center", ncols=2)


FIGURES: dict[str, Callable[["Figure", Evaluation], None]] = {
    "confusion": confusion,
    "roc": roc,
    "precision_recall": precision_recall,
    "reliability": reliability,
    "scores": scores,
    "net_benefit": net_benefit,
    "cost_curve": cost_curve,
}
"""Functions that draw an evaluation on an empty figure, by the names of their files."""


def _entitle(axes: "Axes", evaluation: Evaluation, title: str, metric: str) -> None:
    value = interval_text(evaluation.metrics[metric])
    entitle(axes, title, f"{METRIC_NAMES[metric]} {value}", count_label(evaluation))


def count_label(evaluation: Evaluation) -> str:
    groups = "" if evaluation.groups is None else f" in {evaluation.group_count:,} groups"
    return f"n = {len(evaluation.labels):,}{groups}"


def class_names(evaluation: Evaluation) -> tuple[str, str]:
    negative, positive = short_names(evaluation.classes, 20)
    return negative, positive


def unit_square(figure: "Figure", x: str, y: str) -> "Axes":
    axes = figure.add_subplot(xlabel=x, ylabel=y, xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    axes.set_aspect("equal")
    return axes


def enlarge(axes: "Axes", corner: tuple[float, float], x: tuple[float, float], side: float = 0.5) -> "Axes":
    """The top of the axes enlarged, in a square with its lower left at `corner`."""
    inset = axes.inset_axes((*corner, side, side), xlim=x, ylim=(0.9, 1.002))
    inset.set_xticks([round(end, 1) for end in x])
    inset.set_yticks([0.9, 1.0])
    inset.spines[:].set_visible(True)
    axes.indicate_inset_zoom(inset, edgecolor=MUTED)
    return inset


def _curve(
    axes: "Axes",
    points: Points,
    band: Band | None,
    threshold: tuple[float, float],
    evaluation: Evaluation,
    *,
    steps: bool = False,
) -> None:
    if band is not None:
        axes.fill_between(band.x, band.low, band.high, color=ACCENT, label="95% band", **BAND)
    axes.plot(*points, color=ACCENT, linewidth=1.8, drawstyle="steps-pre" if steps else "default")
    if not axes.viewLim.contains(*threshold):  # outside of the enlarged corner, or undefined
        return
    axes.plot(*threshold, "o", color=INK, **DOT, clip_on=False)
    side, offset = ("right", -6) if steps else ("left", 6)
    text = f"{evaluation.rule.threshold:.3g}"
    axes.annotate(text, threshold, (offset, -12), textcoords="offset points", ha=side)


def _band(axes: "Axes", band: Band) -> None:
    axes.fill_between(band.x, band.low, band.high, color=ACCENT, **BAND)
    axes.plot(band.x, band.value, color=ACCENT, linewidth=1.8, label="this model, 95% band")


def _rule_point(axes: "Axes", point: tuple[float, float], evaluation: Evaluation) -> None:
    if axes.viewLim.contains(*point):  # else undefined, or far below
        label = f"threshold in use, {evaluation.rule.threshold:.3g}"
        axes.plot(*point, "o", color=INK, **DOT, clip_on=False, label=label)


def _histogram(axes: "Axes", probabilities: "np.typing.NDArray[np.float64]", color: str) -> None:
    counts, edges = score_histogram(probabilities)
    axes.stairs(counts, edges, fill=True, color=color)
    axes.set_ylim(0, 1.05 * max(1, int(counts.max())))
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.locator_params(axis="y", integer=True, nbins=4, min_n_ticks=1)


def _dots(axes: "Axes", probabilities: "np.typing.NDArray[np.float64]", color: str) -> None:
    """Draws a dot for each probability, at evenly spaced heights: dots of close probabilities do not overlap."""
    heights = (0.618 * np.arange(len(probabilities))) % 1
    many = len(probabilities) > _MAX_VECTOR_DOTS
    axes.plot(probabilities, heights, "o", color=color, markersize=3, alpha=0.3 if many else 0.8, rasterized=many)
    axes.set(yticks=[], ylim=(-0.25, 1.25))
    axes.grid(visible=False, axis="y")
