"""Shortcuts as text: a table of the metadata features that predict the label."""

import math
from collections.abc import Mapping, Sequence
from typing import Final

from twofold.audit.shortcuts import MIN_AUC, Shortcut, Shortcuts
from twofold.evaluation import Interval
from twofold.report.layout import interval_text, short_name, short_number, table

SHORTCUT: Final = "shortcut"
"""The code of the notes that the table replaces."""

_MAX_ROWS: Final = 10
_MAX_LENGTH: Final = 20  # characters of the values of a class


def shortcut_lines(shortcuts: Shortcuts, model_auc: Interval | None = None) -> list[str]:
    """The AUC of all metadata features, then a table row per feature; no lines where the label cannot be predicted from them.

    `model_auc` is the model's own ROC AUC, to compare with.
    """
    if not shortcuts.features and shortcuts.combined_auc.low < MIN_AUC:
        return []
    lines = ["", _summary(shortcuts, model_auc)]
    if shortcuts.features:
        labels = _classes(shortcuts.features[0])
        rows = [
            [shortcut.feature, interval_text(shortcut.auc, ".2f"), *(_values(shortcut, label) for label in labels)]
            for shortcut in shortcuts.features[:_MAX_ROWS]
        ]
        lines += table([["feature", "AUC", *(short_name(label) for label in labels)], *rows], left=4)
        omitted_count = len(shortcuts.features) - _MAX_ROWS
        lines += [f"and {omitted_count} more"] if omitted_count > 0 else []
        lines += ["numbers: median (10% to 90%)"] if any(shortcut.quantiles for shortcut in shortcuts.features) else []
        lines += shortcuts.advice
    return lines


def _summary(shortcuts: Shortcuts, model_auc: Interval | None) -> str:
    model = "" if model_auc is None or math.isnan(model_auc.value) else f"; the model has {model_auc.value:.2f}"
    auc = interval_text(shortcuts.combined_auc, ".2f")
    return f"shortcuts: all metadata features together, without file names, reach an AUC of {auc}{model}."


def _classes(shortcut: Shortcut) -> Sequence[str]:
    return list(shortcut.quantiles or shortcut.fractions)


def _values(shortcut: Shortcut, label: str) -> str:
    if shortcut.quantiles:
        return _range(shortcut.quantiles[label])
    return _frequent_values(shortcut.fractions[label])


def _range(quantiles: Sequence[float]) -> str:
    """Median and the middle 80%, from the quantiles at 0, 5, ..., 100%."""
    if not quantiles:
        return "unknown"
    dash = " to " if quantiles[2] < 0 else "–"
    return f"{short_number(quantiles[10])} ({short_number(quantiles[2])}{dash}{short_number(quantiles[18])})"


def _frequent_values(fractions: Mapping[str, float]) -> str:
    """The most frequent values of a class."""
    cells = [f"{short_name(value or 'unknown', 10)} {fraction:.0%}" for value, fraction in fractions.items()]
    text = ", ".join(cells[:2])
    return text if len(text) <= _MAX_LENGTH else cells[0]
