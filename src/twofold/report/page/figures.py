"""The charts of the page."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup

from twofold.evaluation.curves import (
    Band,
    always_positive_benefit,
    net_benefit_at,
    net_benefit_curve,
    precision_recall_band,
    prevalence_of,
    reliability_bins,
    roc_band,
)
from twofold.report.layout import short_number
from twofold.report.page.charts import Area, Axis, Line, axis_of, chart, unit_axis
from twofold.report.page.numbers import interval
from twofold.workflows.report import ReportData
from twofold.workflows.report_images import ScoredImages


@dataclass(frozen=True, slots=True)
class Figure:
    """A chart with its title and a caption."""

    title: str
    caption: str
    svg: Markup


def curve_images(data: ReportData) -> ScoredImages | None:
    """The first images that have scores of both classes, and a column."""
    names = {column.name for column in data.columns}
    both = (scored for scored in data.scored if 0 < int(scored.sample.labels.sum()) < len(scored.sample.labels))
    return next((scored for scored in both if scored.name in names), None)


def curve_figures(data: ReportData) -> list[Figure]:
    """The curves of `curve_images`."""
    scored = curve_images(data)
    if scored is None:
        return []
    metrics = next(column.block["metrics"] for column in data.columns if column.name == scored.name)
    return _curves(scored, data, metrics)


def _curves(scored: ScoredImages, data: ReportData, metrics: Mapping[str, Any]) -> list[Figure]:
    (negative, positive), sample = data.classes, scored.sample
    threshold, prevalence = scored.rule.threshold, prevalence_of(sample.labels)
    recall, specificity, precision = (metrics[name]["value"] for name in ("recall", "specificity", "precision"))
    rule = "the circle is the rule in use"
    roc, pr = roc_band(sample), precision_recall_band(sample)
    return [
        Figure(
            "ROC curve",
            f"AUC {interval(metrics['roc_auc'])}; {rule}.",
            chart(
                "ROC curve",
                unit_axis(f"{negative} called {positive}"),
                unit_axis(f"{positive} found (recall)"),
                [Line(np.array([0.0, 1.0]), np.array([0.0, 1.0]), "reference"), _line(roc, (0.0, 0.0), (1.0, 1.0))],
                [Area(roc.x, roc.low, roc.high)],
                [(1 - specificity, recall, "rule")],
            ),
        ),
        Figure(
            "Precision and recall",
            f"average precision {interval(metrics['average_precision'])}; dashed: one answer for all.",
            chart(
                "Precision against recall",
                unit_axis(f"{positive} found (recall)"),
                unit_axis("precision"),
                [Line(np.array([0.0, 1.0]), np.array([prevalence] * 2), "reference"), Line(pr.x, pr.value)],
                [Area(pr.x, pr.low, pr.high)],
                [(recall, np.nan if precision is None else precision, "rule")],
            ),
        ),
        _reliability(scored, positive, metrics),
        _net_benefit(scored, negative, positive, threshold, prevalence),
    ]


def _line(band: Band, first: tuple[float, float], last: tuple[float, float]) -> Line:
    return Line(np.concatenate([first[:1], band.x, last[:1]]), np.concatenate([first[1:], band.value, last[1:]]))


def _reliability(scored: ScoredImages, positive: str, metrics: Mapping[str, Any]) -> Figure:
    bins = reliability_bins(scored.sample.labels, scored.sample.probabilities)
    return Figure(
        "Reliability",
        f"calibration error {interval(metrics['ece'])}; each dot with its 95% interval.",
        chart(
            "Fraction of positives in each bin of probability",
            unit_axis(f"predicted probability of {positive}"),
            unit_axis(f"fraction of {positive}"),
            [Line(np.array([0.0, 1.0]), np.array([0.0, 1.0]), "reference")],
            dots=[(bin.probability, bin.positives.value, "dot") for bin in bins],
            bars=[(bin.probability, bin.positives.low, bin.positives.high) for bin in bins],
        ),
    )


def _net_benefit(scored: ScoredImages, negative: str, positive: str, threshold: float, prevalence: float) -> Figure:
    band = net_benefit_curve(scored.sample)
    top, bottom = 1.08 * max(prevalence, 0.01), -0.12 * max(prevalence, 0.01)
    inside = (band.value >= bottom) & (band.x <= 0.99)
    always = always_positive_benefit(scored.sample.labels, band.x)
    value = net_benefit_at(scored.sample, threshold).value if 0 < threshold < 1 else np.nan
    return Figure(
        "Net benefit",
        f"{positive} found, less false alarms at their price; dotted: always {positive}, dashed: always {negative}.",
        chart(
            "Net benefit against the threshold probability",
            unit_axis(f"threshold probability of {positive}"),
            axis_of("net benefit", bottom, top),
            [
                Line(band.x[always >= bottom], always[always >= bottom], "reference dotted"),
                Line(np.array([0.0, 1.0]), np.zeros(2), "reference"),
                Line(band.x[inside], band.value[inside]),
            ],
            [Area(band.x[inside], np.maximum(band.low, bottom)[inside], np.minimum(band.high, top)[inside])],
            [(threshold, value, "rule")],
        ),
    )


def learning_figures(data: ReportData) -> list[Figure]:
    """Loss and accuracy of each epoch; none where no network was trained."""
    learning = data.result.get("learning")
    if not learning or not learning["history"]:
        return []
    history = learning["history"]
    epochs = np.array([float(row["epoch"]) for row in history])
    figures = []
    for metric in ("loss", "accuracy"):
        series = {split: np.array([float(row[f"{split}_{metric}"]) for row in history]) for split in ("train", "val")}
        values = np.concatenate(list(series.values()))
        low, high = (0.0, float(np.nanmax(values))) if metric == "loss" else (float(np.nanmin(values)), 1.0)
        best = learning["best_epoch"]
        figures.append(
            Figure(
                f"{metric.capitalize()} by epoch",
                f"solid: train, dashed: validation; the circle is the best epoch, {best} of {len(history)}.",
                chart(
                    f"{metric} by epoch",
                    axis_of("epoch", 1.0, max(2.0, float(len(history)))),
                    axis_of(metric, low, high if high > low else low + 1),
                    [Line(epochs, series["train"], "line negative"), Line(epochs, series["val"], "line positive")],
                    dots=[(float(best), float(series["val"][best - 1]), "rule")],
                ),
            )
        )
    return figures


def shortcut_figures(data: ReportData) -> list[Figure]:
    """The distribution of each metadata feature that predicts the class, of both classes."""
    return [_shortcut(shortcut, data.classes) for shortcut in data.result.get("audit", {}).get("shortcuts", ())[:6]]


def _shortcut(shortcut: Mapping[str, Any], classes: tuple[str, str]) -> Figure:
    auc = "{value:.2f} [{low:.2f}, {high:.2f}]".format(**shortcut["auc"])
    quantiles = {name: shortcut["quantiles"].get(name) for name in classes}
    caption = f"AUC {auc}"
    if not all(quantiles.values()):
        return Figure(shortcut["feature"], f"{caption}. {_fractions(shortcut, classes)}", Markup(""))
    levels = np.linspace(0, 1, 21)
    values = np.concatenate([quantiles[name] for name in classes])
    axis = axis_of(shortcut["feature"], float(values.min()), float(values.max()))
    lines = [
        Line(np.array(quantiles[name]), levels, f"line {side}")
        for name, side in zip(classes, ("negative", "positive"), strict=True)
    ]
    svg = chart(f"Distribution of {shortcut['feature']}", axis, unit_axis("fraction of the images below"), lines)
    return Figure(shortcut["feature"], f"{caption}; solid: {classes[0]}, dashed: {classes[1]}.", svg)


def _fractions(shortcut: Mapping[str, Any], classes: tuple[str, str]) -> str:
    texts = []
    for name in classes:
        values = list(shortcut["fractions"].get(name, {}).items())[:3]
        texts.append(f"{name}: " + ", ".join(f"{value or 'unknown'} {fraction:.0%}" for value, fraction in values))
    return "; ".join(texts) + "."


def size_figure(data: ReportData) -> Figure | None:
    """The learning curve of the head with its forecast; None where it was not computed."""
    curve = data.result.get("audit", {}).get("learning_curve") or data.result.get("learning_curve")
    if not curve or not curve["curve"]:
        return None
    points = [(float(point["images"]), float(point["error"])) for point in curve["curve"]]
    x, y = np.array(points).T
    forecast = curve["error"]
    bars, dots = [], [(at, value, "dot") for at, value in points]
    text = "Too few images for a forecast."
    most = float(x[-1])
    if forecast is not None:
        most *= 2
        bars, dots = [(most, forecast["low"], forecast["high"])], [*dots, (most, forecast["value"], "rule")]
        text = (
            f"Twice as many images would bring the error from {y[-1]:.4f} to about {forecast['value']:.4f} "
            f"[{forecast['low']:.4f}, {forecast['high']:.4f}]."
        )
    top = 1.1 * max(float(y.max()), forecast["high"] if forecast is not None else 0.0, 0.001)
    axis = Axis(
        "training images",
        0.0,
        most * 1.05,
        tuple((at, short_number(at)) for at in dict.fromkeys((0.0, float(x[-1]), most))),
    )
    return Figure(
        "How many images would help",
        text,
        chart(
            "Error by the number of training images",
            axis,
            axis_of("error", 0.0, top),
            [Line(x, y)],
            dots=dots,
            bars=bars,
        ),
    )
