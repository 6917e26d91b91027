"""The course of learning, as a figure."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from twofold.report.canvas import ACCENT, DASHED, GREY, INK, entitle, save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PARTS = {"train": GREY, "val": ACCENT}
NAMES = {"train": "train", "val": "validation"}
MARKED = 12  # epochs up to which each has a point of its own


def write_curves(history: Sequence[Mapping[str, float]], best: int, file: Path) -> None:
    """Loss and accuracy of training pictures and validation part, epoch by epoch, and which was the best, counted from 1.

    A row of the history has epoch, train_loss, train_accuracy, val_loss and val_accuracy.
    """
    save_figure(lambda figure: curves(figure, history, best), file, (6.4, 4.8))


def curves(figure: "Figure", history: Sequence[Mapping[str, float]], best: int) -> None:
    """Loss above, accuracy below."""
    panels = figure.subplots(2, 1, sharex=True)
    epochs = [row["epoch"] for row in history]
    for axes, measure in zip(panels, ("loss", "accuracy"), strict=True):
        series = {part: np.array([row[f"{part}_{measure}"] for row in history]) for part in PARTS}
        for part, values in series.items():
            marker = "o" if len(history) <= MARKED else ""
            axes.plot(epochs, values, color=PARTS[part], linewidth=1.8, marker=marker, markersize=3.5)
        axes.axvline(best, color=INK, linewidth=1, linestyle=DASHED)
        axes.set(ylabel=measure, ylim=_limits(np.concatenate(list(series.values()))))
        _mark(axes, best, series["val"][best - 1])
        _name_ends(axes, {part: values[-1] for part, values in series.items()}, epochs[-1])
    top, bottom = panels
    told = history[best - 1]
    text = f"best epoch: {best} of {len(history)}, validation loss {told['val_loss']:.4f}, accuracy {told['val_accuracy']:.4f}"
    entitle(top, "Learning curves", text)
    bottom.set_xlabel("epoch (train: on varied pictures, while the network still changed)")
    bottom.locator_params(axis="x", integer=True, min_n_ticks=1)
    bottom.set_xlim(min(epochs) - 0.5, max(epochs) + 0.5)


def _limits(values: "np.typing.NDArray[np.float64]") -> tuple[float, float]:
    """All values, but for wild epochs: one of them would flatten the rest."""
    low, high = float(values.min()), float(min(values.max(), 1.25 * np.quantile(values, 0.9)))
    room = 0.06 * max(high - low, 1e-3)
    return low - room, high + room


def _mark(axes: "Axes", best: int, value: float) -> None:
    axes.plot(best, value, "o", color=INK, markersize=6, markerfacecolor="white", clip_on=False, zorder=5)


def _name_ends(axes: "Axes", ends: Mapping[str, float], epoch: float) -> None:
    """A name at the end of each line, those of two lines that end together apart."""
    low, high = axes.get_ylim()
    least = 0.11 * (high - low)
    lower, upper = sorted(ends, key=lambda part: ends[part])
    places = {part: min(max(value, low), high) for part, value in ends.items()}
    overlap = max(0.0, least - (places[upper] - places[lower]))
    places[lower] -= overlap / 2
    places[upper] += overlap / 2
    for part, place in places.items():
        axes.annotate(NAMES[part], (epoch, place), (9, 0), textcoords="offset points", va="center", color=PARTS[part])
