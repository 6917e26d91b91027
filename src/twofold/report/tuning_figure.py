"""Settings that were tried, as a figure: what came of them, and which mattered."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from twofold.report.canvas import ACCENT, DASHED, GREY, INK, entitle, save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from twofold.learning.tuning.trial import Setting, Trial, Tuning

ACROSS = 3
LOGARITHMIC = ("learning_rate", "weight_decay")
CHOICES = ("batch_size", "balance")
POINTS: dict[str, dict[str, Any]] = {
    "complete": {"color": ACCENT, "marker": "o", "label": "learned to the end"},
    "pruned": {"color": GREY, "marker": "o", "markerfacecolor": "white", "label": "stopped, others were better"},
    "failed": {"color": GREY, "marker": "x", "label": "failed, or off the scale"},
}


def write_tuning(tuning: "Tuning", file: Path) -> None:
    """The validation loss of every trial, in their order and against each setting, and how much each setting mattered."""
    rows = 1 + -(-len(_names(tuning)) // ACROSS)
    save_figure(lambda figure: settings(figure, tuning), file, (9.0, 0.3 + 2.4 * rows))


def settings(figure: "Figure", tuning: "Tuning") -> None:
    """In the first row all trials, and the shares of what mattered; then a panel for each setting, in the order of these."""
    names, limits = _names(tuning), _limits(tuning)
    grid = figure.add_gridspec(1 + -(-len(names) // ACROSS), ACROSS)
    if tuning.importances:
        _shares(figure.add_subplot(grid[0, -1]), tuning.importances)
    _trials(figure.add_subplot(grid[0, : -1 if tuning.importances else None], ylim=limits), tuning)
    for place, name in enumerate(names):
        axes = figure.add_subplot(grid[1 + place // ACROSS, place % ACROSS], ylim=limits)
        _against(axes, tuning, name)
        if place % ACROSS == 0:
            axes.set_ylabel("validation loss")
        else:
            axes.tick_params(labelleft=False)
    handles, labels = figure.axes[-1 - len(names)].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))


def _names(tuning: "Tuning") -> list[str]:
    """Settings, those that mattered most first."""
    return sorted(tuning.trials[0].settings, key=lambda name: -tuning.importances.get(name, 0))


def _limits(tuning: "Tuning") -> tuple[float, float]:
    """Of the loss: all trials but wild ones, four times as far from the best as the median, which would flatten the others."""
    losses = np.array([trial.loss for trial in tuning.trials if trial.loss is not None])
    low = float(losses.min())
    high = float(min(losses.max(), low + 4 * (np.median(losses) - low)))
    room = 0.12 * max(high - low, 1e-3)
    return low - room, high + room


def _trials(axes: "Axes", tuning: "Tuning") -> None:
    best, complete = tuning.winner, [trial for trial in tuning.trials if trial.state == "complete"]
    assert best.loss is not None
    told = f"best of {len(tuning.trials)} settings: number {best.number}, validation loss {best.loss:.4f}"
    entitle(axes, "Tuning", told)
    so_far = np.minimum.accumulate([trial.loss for trial in complete if trial.loss is not None])
    numbers = [*(trial.number for trial in complete), len(tuning.trials) + 0.8]
    axes.step(
        numbers, [*so_far, so_far[-1]], where="post", color=INK, linewidth=1, linestyle=DASHED, label="best so far"
    )
    _points(axes, tuning, {trial.number: trial.number for trial in tuning.trials})
    axes.set(ylabel="validation loss", xlabel="setting; number 1 is the recipe as it is")
    axes.set_xlim(0.2, len(tuning.trials) + 0.8)
    axes.locator_params(axis="x", integer=True, min_n_ticks=1)


def _shares(axes: "Axes", importances: dict[str, float]) -> None:
    names, fractions = list(importances), list(importances.values())
    entitle(axes, "What mattered", "share of each setting")
    axes.barh(range(len(names)), fractions, color=ACCENT, height=0.6)
    for place, fraction in enumerate(fractions):
        axes.annotate(f"{fraction:.0%}", (fraction, place), (4, 0), textcoords="offset points", va="center")
    axes.set_yticks(range(len(names)), [_said(name) for name in names])
    axes.set(xlim=(0, 1.15 * max(fractions)), xticks=[])
    axes.invert_yaxis()
    axes.tick_params(length=0)
    axes.spines["bottom"].set_visible(False)
    axes.grid(visible=False)


def _against(axes: "Axes", tuning: "Tuning", name: str) -> None:
    from matplotlib.ticker import LogLocator

    values = {trial.number: trial.settings[name] for trial in tuning.trials}
    axes.set_title(_said(name), fontsize=9.5)
    axes.set_title(f"best: {_short(values[tuning.best])}", loc="right", fontsize=9, fontweight="normal")
    if name in CHOICES:
        choices = [str(choice) for choice in sorted({value for value in values.values() if value is not None})]
        _points(axes, tuning, {number: choices.index(str(value)) + _aside(number) for number, value in values.items()})
        axes.set_xticks(range(len(choices)), choices)
        axes.set_xlim(-0.5, len(choices) - 0.5)
        return
    across = {number: float(value) for number, value in values.items() if value is not None}
    if name in LOGARITHMIC:
        least = min((value for value in across.values() if value > 0), default=1.0)
        across = {number: value or least / 2 for number, value in across.items()}
        span = max(across.values(), default=1.0) / min(across.values(), default=1.0)
        axes.set_xscale("log", subs=[])
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if span < 20 else (1, 3) if span < 200 else (1,)))
        axes.xaxis.set_major_formatter("{x:g}")
    _points(axes, tuning, across)


def _points(axes: "Axes", tuning: "Tuning", across: dict[int, float]) -> None:
    """Trials at these places; what is off the scale, or failed, stands at its upper end."""
    low, high = axes.get_ylim()
    edge = high - 0.03 * (high - low)
    for state, preprocess in POINTS.items():
        shown = [trial for trial in tuning.trials if trial.number in across and _shown(trial, edge) == state]
        heights = [edge if state == "failed" or trial.loss is None else trial.loss for trial in shown]
        if shown:
            axes.plot([across[trial.number] for trial in shown], heights, linestyle="", markersize=4.5, **preprocess)
    if tuning.best in across:
        axes.plot(
            across[tuning.best],
            tuning.winner.loss or 0.0,
            "o",
            color=INK,
            markersize=9,
            markerfacecolor="none",
            zorder=5,
        )


def _shown(trial: "Trial", edge: float) -> str:
    return "failed" if trial.loss is None or trial.loss > edge else trial.state


def _aside(number: int) -> float:
    """Somewhat to the left or right, so that trials with the same choice do not lie on one another."""
    return ((0.618 * number) % 1 - 0.5) * 0.4


def _said(name: str) -> str:
    return name.replace("_", " ")


def _short(value: "Setting | None") -> str:
    return "the recipe's" if value is None else f"{value:.3g}" if isinstance(value, float) else str(value)
