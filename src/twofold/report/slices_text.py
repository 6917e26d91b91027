"""Slices as text: the one that is less accurate than the rest."""

from twofold.core.notes import count_text
from twofold.evaluation.slices import Slice, Slices
from twofold.report.layout import interval_text, short_name, short_number, table


def slice_lines(slices: Slices | None) -> list[str]:
    """The worst slice, and how many were looked at; no lines where nothing tells images apart."""
    if slices is None:
        return []
    count, features = len(slices.slices), ", ".join(slices.features)
    if slices.worst is None:
        return [
            "",
            f"slices: none of {count} is less accurate than the other images by more than chance",
            f"({features}).",
        ]
    worst = slices.worst
    intervals = [
        ["accuracy", interval_text(worst.accuracy)],
        ["minus that of all others", interval_text(worst.difference, "+.4f")],
    ]
    return [
        "",
        f"slices: least accurate of {count} where {_values(worst)} ({count_text(worst.images, 'image')})",
        *table(intervals, left=2),
        f"for all slices together, by {features}",
    ]


def _values(worst: Slice) -> str:
    if worst.low is None or worst.high is None:
        return f"{worst.feature} is {short_name(str(worst.value), 40)}"
    low, high = short_number(worst.low), short_number(worst.high)
    return f"{worst.feature} is {low}" if low == high else f"{worst.feature} is {low} to {high}"
