"""Learning curves of a training run: loss and accuracy by epoch, as a figure."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from twofold.report.canvas import DASHED, INK, NEGATIVE, POSITIVE, entitle, save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = {"train": NEGATIVE, "val": POSITIVE}  # as on the page
LINES: dict[str, Any] = {"train": "solid", "val": DASHED}
NAMES = {"train": "train", "val": "validation"}
MAX_MARKED = 12  # epochs up to which each has a marker


def write_curves(history: Sequence[Mapping[str, float]], best: int, file: Path) -> None:
    """Writes loss and accuracy on training and validation images by epoch, with the best epoch (from 1), as `file` and as PNG.

    A row of the history has epoch, train_loss, train_accuracy, val_loss and val_accuracy.
    """
    save_figure(lambda figure: curves(figure, history, best), file, (6.4, 4.8))


def curves(figure: "Figure", history: Sequence[Mapping[str, float]], best: int) -> None:
    """Loss above, accuracy below."""
    panels = figure.subplots(2, 1, sharex=True)
    epochs = [row["epoch"] for row in history]
    for axes, metric in zip(panels, ("loss", "accuracy"), strict=True):
        series = {name: np.array([row[f"{name}_{metric}"] for row in history]) for name in COLOURS}
        for name, values in series.items():
            marker = "o" if len(history) <= MAX_MARKED else ""
            axes.plot(
                epochs, values, color=COLOURS[name], linestyle=LINES[name], linewidth=1.8, marker=marker, markersize=3.5
            )
        axes.axvline(best, color=INK, linewidth=1, linestyle=DASHED)
        axes.set(ylabel=metric, ylim=_limits(np.concatenate(list(series.values()))))
        _mark(axes, best, series["val"][best - 1])
        _name_ends(axes, {name: values[-1] for name, values in series.items()}, epochs[-1])
    top, bottom = panels
    row = history[best - 1]
    text = f"best epoch: {best} of {len(history)}, validation loss {row['val_loss']:.4f}, accuracy {row['val_accuracy']:.4f}"
    entitle(top, "Learning curves", text)
    bottom.set_xlabel("epoch (train: on augmented images, during the epoch)")
    bottom.locator_params(axis="x", integer=True, min_n_ticks=1)
    bottom.set_xlim(min(epochs) - 0.5, max(epochs) + 0.5)


def _limits(values: "np.typing.NDArray[np.float64]") -> tuple[float, float]:
    """The range of the axis; very high values are cut off, because they would flatten the rest."""
    low, high = float(values.min()), float(min(values.max(), 1.25 * np.quantile(values, 0.9)))
    margin = 0.06 * max(high - low, 1e-3)
    return low - margin, high + margin


def _mark(axes: "Axes", best: int, value: float) -> None:
    axes.plot(best, value, "o", color=INK, markersize=6, markerfacecolor="white", clip_on=False, zorder=5)


def _name_ends(axes: "Axes", ends: Mapping[str, float], epoch: float) -> None:
    """Writes the name at the end of each line, with a minimum distance between names."""
    low, high = axes.get_ylim()
    distance = 0.11 * (high - low)
    lower, upper = sorted(ends, key=lambda name: ends[name])
    heights = {name: min(max(value, low), high) for name, value in ends.items()}
    overlap = max(0.0, distance - (heights[upper] - heights[lower]))
    heights[lower] -= overlap / 2
    heights[upper] += overlap / 2
    for name, height in heights.items():
        axes.annotate(
            NAMES[name], (epoch, height), (9, 0), textcoords="offset points", va="center", color=COLOURS[name]
        )
