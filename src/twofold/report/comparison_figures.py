"""The figures of two models on the same images: both curves in one figure; what has no curve stands side by side."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from twofold.core.files import write_errors
from twofold.evaluation import Evaluation
from twofold.evaluation.curves import (
    Band,
    Points,
    always_positive_benefit,
    cost_curve,
    net_benefit_curve,
    precision_recall_points,
    prevalence_of,
    reliability_bins,
    roc_points,
)
from twofold.evaluation.metric_names import METRIC_NAMES
from twofold.report.canvas import ACCENT, BAND, DASHED, MUTED, SECOND, entitle, save_figure
from twofold.report.evaluation_figures import (
    ALWAYS_NEGATIVE,
    ALWAYS_POSITIVE,
    CROWDED,
    DOT,
    FIGURES,
    class_names,
    count_label,
    enlarge,
    false_positive_rate,
    fraction_of,
    free_height,
    unit_square,
    weight_of_missed,
    write_title,
)
from twofold.report.layout import interval_text, joined_lines, short_names

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_STYLES: Final[tuple[dict[str, Any], ...]] = (
    {"color": ACCENT, "linewidth": 1.8},
    {"color": SECOND, "linewidth": 1.8, "linestyle": (0, (5, 1.5))},
)
_MARKERS: Final = ("o", "D")
_SIDE_BY_SIDE: Final = ("confusion", "scores")
_SIZE: Final = (4.4, 4.9)  # inches: room for a legend below the axes


@dataclass(frozen=True, slots=True, eq=False)
class ModelPair:
    """Two evaluations of the same images, and the names of the models."""

    evaluations: tuple[Evaluation, Evaluation]
    names: tuple[str, str]

    @property
    def first(self) -> Evaluation:
        """The evaluation of the first model, which has the labels of both."""
        return self.evaluations[0]

    def styled(self) -> Iterator[tuple[Evaluation, str, dict[str, Any], str]]:
        """(evaluation, name, style of its lines, marker of its threshold) of each model."""
        first, second = short_names(self.names, 24)
        names = (first, second) if first != second else (f"first: {first}", f"second: {second}")
        yield from zip(self.evaluations, names, _STYLES, _MARKERS, strict=True)


def write_comparison_figures(pair: ModelPair, folder: Path, *, title: str = "", prefix: str = "") -> list[Path]:
    """The files written, as by `write_figures`: the same names, each with both models."""
    with write_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    files = []
    for name, draw in COMPARISON_FIGURES.items():
        file = folder / f"{prefix}{name}.svg"
        files += save_figure(_titled(draw, pair, title), file, _SIZE)
    for name in _SIDE_BY_SIDE:
        file = folder / f"{prefix}{name}.svg"
        files += save_figure(_titled(_panels(name), pair, title), file, (2 * _SIZE[0], _SIZE[1]))
    return files


def _titled(draw: Callable[["Figure", ModelPair], None], pair: ModelPair, title: str) -> Callable[["Figure"], None]:
    def draw_titled(figure: "Figure") -> None:
        draw(figure, pair)
        if title:
            write_title(figure, title)

    return draw_titled


def _panels(name: str) -> Callable[["Figure", ModelPair], None]:
    """A function that draws this figure of each model, one beside the other."""

    def draw(figure: "Figure", pair: ModelPair) -> None:
        panels = np.asarray(figure.subfigures(1, 2))
        for panel, (evaluation, model, style, _) in zip(panels, pair.styled(), strict=True):
            FIGURES[name](panel, evaluation)
            panel.supxlabel(model, fontsize=9, fontweight="bold", color=style["color"])

    return draw


def roc(figure: "Figure", pair: ModelPair) -> None:
    """Recall against the false positive rate of both models, with their thresholds."""
    negative, positive = class_names(pair.first)
    axes = unit_square(figure, false_positive_rate(negative, positive), f"recall ({positive})")
    entitle(axes, "ROC curve", count_label(pair.first))
    axes.plot([0, 1], [0, 1], color=MUTED, linestyle=DASHED, linewidth=1, label="chance")
    _curves(axes, pair, "roc_auc", _roc)
    if _crowded(pair, "roc_auc"):
        _curves(enlarge(axes, (0.42, 0.14), (-0.002, 0.1)), pair, "roc_auc", _roc)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center")


def precision_recall(figure: "Figure", pair: ModelPair) -> None:
    """Precision against recall of both models, with their thresholds."""
    _, positive = class_names(pair.first)
    axes = unit_square(figure, f"recall ({positive})", f"precision ({positive})")
    entitle(axes, "Precision-recall curve", count_label(pair.first))
    prevalence = prevalence_of(pair.first.labels)
    axes.axhline(prevalence, color=MUTED, linestyle=DASHED, linewidth=1, label=f"prevalence of {positive}")
    _curves(axes, pair, "average_precision", _precision_recall)
    if _crowded(pair, "average_precision"):
        corner = enlarge(axes, (0.14, free_height(prevalence)), (0.9, 1.002), side=0.34)
        _curves(corner, pair, "average_precision", _precision_recall)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center")


def reliability(figure: "Figure", pair: ModelPair) -> None:
    """The fraction of positives in each bin of probability of both models, with its interval."""
    _, positive = class_names(pair.first)
    axes = unit_square(figure, f"predicted probability of {positive}", fraction_of(positive))
    entitle(axes, "Reliability", count_label(pair.first))
    axes.plot([0, 1], [0, 1], color=MUTED, linestyle=DASHED, linewidth=1)
    for evaluation, name, style, marker in pair.styled():
        bins = reliability_bins(evaluation.labels, evaluation.probabilities)
        x, y = [bin.probability for bin in bins], [bin.positives.value for bin in bins]
        axes.vlines(x, [bin.positives.low for bin in bins], [bin.positives.high for bin in bins], style["color"])
        axes.plot(x, y, marker, color=style["color"], clip_on=False, label=_label(name, evaluation, "ece"))
    figure.legend(loc="outside lower center")


def net_benefit(figure: "Figure", pair: ModelPair) -> None:
    """The net benefit of both models at each threshold probability with its band, beside one answer for all."""
    negative, positive = class_names(pair.first)
    prevalence = max(prevalence_of(pair.first.labels), 0.01)
    axes = figure.add_subplot(xlabel=f"threshold probability of {positive}", ylabel=f"net benefit ({positive} found)")
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.12 * prevalence, 1.08 * prevalence))
    entitle(axes, "Net benefit", f"with 95% bands, {count_label(pair.first)}")
    for evaluation, name, style, _ in pair.styled():
        band = net_benefit_curve(evaluation.sample)
        _band(axes, band, style, name)
    always = always_positive_benefit(pair.first.labels, band.x)
    axes.plot(band.x, always, **ALWAYS_POSITIVE, label=f"always {positive}")
    axes.axhline(0, **ALWAYS_NEGATIVE, label=f"always {negative}")
    _legend(figure, axes)


def costs(figure: "Figure", pair: ModelPair) -> None:
    """The normalised expected cost of both models for each weight of the errors, with its band."""
    negative, positive = class_names(pair.first)
    axes = figure.add_subplot(xlabel=weight_of_missed(positive), ylabel="normalised expected cost")
    bands = [cost_curve(evaluation.sample) for evaluation in pair.evaluations]
    highest = max(2 * np.nan_to_num(band.high).max() for band in bands)
    axes.set(xlim=(-0.02, 1.02), ylim=(0, min(0.52, max(0.05, highest))))
    entitle(axes, "Cost curve", f"with 95% bands, {count_label(pair.first)}")
    for band, (_, name, style, _) in zip(bands, pair.styled(), strict=True):
        _band(axes, band, style, name)
    axes.plot([0, 1], [1, 0], **ALWAYS_POSITIVE, label=f"always {positive}")
    axes.plot([0, 1], [0, 1], **ALWAYS_NEGATIVE, label=f"always {negative}")
    _legend(figure, axes)


COMPARISON_FIGURES: dict[str, Callable[["Figure", ModelPair], None]] = {
    "roc": roc,
    "precision_recall": precision_recall,
    "reliability": reliability,
    "net_benefit": net_benefit,
    "cost_curve": costs,
}
"""Functions that draw both models on an empty figure, by the names of their files."""


def _roc(evaluation: Evaluation) -> tuple[Points, tuple[float, float]]:
    """The curve, and the point of the threshold in use."""
    point = 1 - evaluation.metrics["specificity"].value, evaluation.metrics["recall"].value
    return roc_points(evaluation.labels, evaluation.ranks), point


def _precision_recall(evaluation: Evaluation) -> tuple[Points, tuple[float, float]]:
    point = evaluation.metrics["recall"].value, evaluation.metrics["precision"].value
    return precision_recall_points(evaluation.labels, evaluation.ranks), point


def _curves(
    axes: "Axes",
    pair: ModelPair,
    metric: str,
    curve: Callable[[Evaluation], tuple[Points, tuple[float, float]]],
) -> None:
    for evaluation, name, style, marker in pair.styled():
        points, threshold = curve(evaluation)
        drawstyle = "steps-pre" if metric == "average_precision" else "default"
        axes.plot(*points, **style, drawstyle=drawstyle, label=_label(name, evaluation, metric))
        if axes.viewLim.contains(*threshold):  # not outside of an enlarged corner, nor undefined
            axes.plot(*threshold, marker, color=style["color"], **DOT, clip_on=False)


def _crowded(pair: ModelPair, metric: str) -> bool:
    return all(evaluation.metrics[metric].value > CROWDED for evaluation in pair.evaluations)


def _label(name: str, evaluation: Evaluation, metric: str) -> str:
    return joined_lines(f"{name}:", f"{METRIC_NAMES[metric]} {interval_text(evaluation.metrics[metric])}", 56)


def _legend(figure: "Figure", axes: "Axes") -> None:
    """Below the axes: the models, and one answer for all beside them where the names leave room for it."""
    _, labels = axes.get_legend_handles_labels()
    columns = 2 if max(map(len, labels[:2])) + max(map(len, labels[2:])) <= 42 else 1
    figure.legend(loc="outside lower center", ncols=columns)


def _band(axes: "Axes", band: Band, style: dict[str, Any], label: str) -> None:
    axes.fill_between(band.x, band.low, band.high, color=style["color"], **BAND)
    axes.plot(band.x, band.value, **style, label=label)
