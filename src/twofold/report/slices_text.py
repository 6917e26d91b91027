"""Slices as text: the one that is less accurate than the rest."""

from twofold.core.notes import count_text
from twofold.evaluation.slices import Slice, Slices
from twofold.report.layout import interval_text, short_name, short_number


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
    return [
        "",
        f"slices: least accurate where {_values(worst)}:",
        f"accuracy {interval_text(worst.accuracy)} of {_images(worst)},",
        f"difference to all others {interval_text(worst.difference, '+.4f')}.",
        f"These intervals hold for all {count} slices together ({features}).",
    ]


def _values(worst: Slice) -> str:
    if worst.low is None or worst.high is None:
        return f"{worst.feature} is {short_name(str(worst.value), 40)}"
    low, high = short_number(worst.low), short_number(worst.high)
    return f"{worst.feature} is {low}" if low == high else f"{worst.feature} is {low} to {high}"


def _images(worst: Slice) -> str:
    images = count_text(worst.images, "image")
    return images if worst.groups == worst.images else f"{images} in {worst.groups} groups"
