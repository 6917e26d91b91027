"""A hyper-parameter search as a figure: the loss of each trial, and the importance of each hyper-parameter."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from twofold.report.canvas import ACCENT, DASHED, INK, MUTED, entitle, save_figure
from twofold.report.tuning_text import parameter_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from twofold.learning.tuning.trial import Setting, Trial, Tuning

COLUMNS = 3
LOGARITHMIC = ("learning_rate", "weight_decay")
CHOICES = ("batch_size", "balance")
POINTS: dict[str, dict[str, Any]] = {
    "complete": {"color": ACCENT, "marker": "o", "label": "complete"},
    "pruned": {"color": MUTED, "marker": "o", "markerfacecolor": "white", "label": "stopped early"},
    "failed": {"color": MUTED, "marker": "x", "label": "failed, or off the scale"},
}


def write_tuning(tuning: "Tuning", file: Path) -> None:
    """Writes the validation loss of every trial, in order and by each hyper-parameter, and importances, as `file` and as PNG."""
    rows = 1 + -(-len(_names(tuning)) // COLUMNS)
    save_figure(lambda figure: settings(figure, tuning), file, (9.0, 0.3 + 2.4 * rows))


def settings(figure: "Figure", tuning: "Tuning") -> None:
    """First row: all trials, and the importances. Then a panel for each hyper-parameter, the most important first."""
    names, limits = _names(tuning), _limits(tuning)
    grid = figure.add_gridspec(1 + -(-len(names) // COLUMNS), COLUMNS)
    if tuning.importances:
        _importances(figure.add_subplot(grid[0, -1]), tuning.importances)
    _trials(figure.add_subplot(grid[0, : -1 if tuning.importances else None], ylim=limits), tuning)
    for panel, name in enumerate(names):
        axes = figure.add_subplot(grid[1 + panel // COLUMNS, panel % COLUMNS], ylim=limits)
        _draw_hyper_parameter(axes, tuning, name)
        if panel % COLUMNS == 0:
            axes.set_ylabel("validation loss")
        else:
            axes.tick_params(labelleft=False)
    handles, labels = figure.axes[-1 - len(names)].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))


def _names(tuning: "Tuning") -> list[str]:
    """The hyper-parameters, the most important first."""
    return sorted(tuning.trials[0].settings, key=lambda name: -tuning.importances.get(name, 0))


def _limits(tuning: "Tuning") -> tuple[float, float]:
    """The range of the axis; it ends at four times the distance of the median from the best: high losses would flatten it."""
    losses = np.array([trial.loss for trial in tuning.trials if trial.loss is not None])
    low = float(losses.min())
    high = float(min(losses.max(), low + 4 * (np.median(losses) - low)))
    margin = 0.12 * max(high - low, 1e-3)
    return low - margin, high + margin


def _trials(axes: "Axes", tuning: "Tuning") -> None:
    best, complete = tuning.best_trial, [trial for trial in tuning.trials if trial.state == "complete"]
    assert best.loss is not None
    text = f"best of {len(tuning.trials)} trials: number {best.number}, validation loss {best.loss:.4f}"
    entitle(axes, "Hyper-parameter search", text)
    so_far = np.minimum.accumulate([trial.loss for trial in complete if trial.loss is not None])
    numbers = [*(trial.number for trial in complete), len(tuning.trials) + 0.8]
    axes.step(
        numbers, [*so_far, so_far[-1]], where="post", color=INK, linewidth=1, linestyle=DASHED, label="best so far"
    )
    _points(axes, tuning, {trial.number: trial.number for trial in tuning.trials})
    axes.set(ylabel="validation loss", xlabel="trial; number 1 is the recipe")
    axes.set_xlim(0.2, len(tuning.trials) + 0.8)
    axes.locator_params(axis="x", integer=True, min_n_ticks=1)


def _importances(axes: "Axes", importances: dict[str, float]) -> None:
    names, fractions = list(importances), list(importances.values())
    entitle(axes, "Importance", "fraction of each hyper-parameter")
    axes.barh(range(len(names)), fractions, color=ACCENT, height=0.6)
    for row, fraction in enumerate(fractions):
        axes.annotate(f"{fraction:.0%}", (fraction, row), (4, 0), textcoords="offset points", va="center")
    axes.set_yticks(range(len(names)), [parameter_name(name) for name in names])
    axes.set(xlim=(0, 1.15 * max(fractions)), xticks=[])
    axes.invert_yaxis()
    axes.tick_params(length=0)
    axes.spines["bottom"].set_visible(False)
    axes.grid(visible=False)


def _draw_hyper_parameter(axes: "Axes", tuning: "Tuning", name: str) -> None:
    from matplotlib.ticker import LogLocator

    values = {trial.number: trial.settings[name] for trial in tuning.trials}
    axes.set_title(parameter_name(name), fontsize=9.5)
    axes.set_title(f"best: {_format_setting(values[tuning.best_number])}", loc="right", fontsize=9, fontweight="normal")
    if name in CHOICES:
        choices = [str(choice) for choice in sorted({value for value in values.values() if value is not None})]
        _points(axes, tuning, {number: choices.index(str(value)) + _jitter(number) for number, value in values.items()})
        axes.set_xticks(range(len(choices)), choices)
        axes.set_xlim(-0.5, len(choices) - 0.5)
        return
    positions = {number: float(value) for number, value in values.items() if value is not None}
    if name in LOGARITHMIC:
        lowest = min((value for value in positions.values() if value > 0), default=1.0)
        positions = {number: value or lowest / 2 for number, value in positions.items()}
        span = max(positions.values(), default=1.0) / min(positions.values(), default=1.0)
        axes.set_xscale("log", subs=[])
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if span < 20 else (1, 3) if span < 200 else (1,)))
        axes.xaxis.set_major_formatter("{x:g}")
    _points(axes, tuning, positions)


def _points(axes: "Axes", tuning: "Tuning", positions: dict[int, float]) -> None:
    """Draws the trials at these positions; trials that failed or are off the scale are at the upper end."""
    low, high = axes.get_ylim()
    edge = high - 0.03 * (high - low)
    for state, style in POINTS.items():
        trials = [trial for trial in tuning.trials if trial.number in positions and _state(trial, edge) == state]
        heights = [edge if state == "failed" or trial.loss is None else trial.loss for trial in trials]
        if trials:
            axes.plot([positions[trial.number] for trial in trials], heights, linestyle="", markersize=4.5, **style)
    if tuning.best_number in positions:
        axes.plot(
            positions[tuning.best_number],
            tuning.best_trial.loss or 0.0,
            "o",
            color=INK,
            markersize=9,
            markerfacecolor="none",
            zorder=5,
        )


def _state(trial: "Trial", edge: float) -> str:
    return "failed" if trial.loss is None or trial.loss > edge else trial.state


def _jitter(number: int) -> float:
    """A small shift to the left or right, so that trials with the same choice do not cover each other."""
    return ((0.618 * number) % 1 - 0.5) * 0.4


def _format_setting(value: "Setting | None") -> str:
    return "the recipe's" if value is None else f"{value:.3g}" if isinstance(value, float) else str(value)
