"""Building blocks of the text views: numbers with intervals, aligned tables of at most 80 columns, notes."""

import math
from collections.abc import Iterable, Sequence
from typing import Final

from twofold.core.notes import Note
from twofold.evaluation import Interval

WIDTH: Final = 80
"""Columns of a terminal that every table fits into."""

_UNITS: Final = ((1e9, "G"), (1e6, "M"), (1e3, "k"))


def interval_text(interval: Interval, form: str = ".4f") -> str:
    """A value and its 95% interval.

    >>> interval_text(Interval(0.99, 0.98051, 0.99492))
    '0.9900 [0.9805, 0.9949]'
    >>> interval_text(Interval(0.01, -0.02, 0.04), "+.2f")
    '+0.01 [-0.02, +0.04]'
    """
    return interval.text(form)


def number_text(value: float | None) -> str:
    """Four decimals, or powers of ten for large numbers; nothing for None.

    >>> [number_text(value) for value in (0.5, 12345.678, None)]
    ['0.5000', '1.23e+04', '']
    """
    if value is None:
        return ""
    return "undefined" if math.isnan(value) else f"{value:.4f}" if abs(value) < 1000 else f"{value:.2e}"


def short_number(value: float) -> str:
    """Three digits, with k, M or G for thousands, millions or billions.

    >>> [short_number(value) for value in (0.1234, 64.0, 224.0, 7874.0, 82290.0, 1.5e7)]
    ['0.123', '64', '224', '7.87k', '82.3k', '15M']
    """
    for unit, letter in _UNITS:
        if abs(value) >= unit:
            return f"{value / unit:.3g}{letter}"
    return f"{value:.3g}"


def short_name(name: str, length: int = 16) -> str:
    """The name in at most `length` characters, cut in the middle: names often differ at their ends only.

    >>> short_name("solar_cell_with_a_crack")
    'solar_c…_a_crack'
    """
    if len(name) <= length:
        return name
    head = (length - 1) // 2
    return f"{name[:head]}…{name[head + 1 - length :]}"


def short_names(names: Sequence[str], length: int = 16) -> list[str]:
    """The names in at most `length` characters each; different names stay different.

    >>> short_names(["cells_without_a_defect", "cells_with_a_defect"])
    ['…out_a_defect', '…_a_defect']
    """
    short_forms = [short_name(name, length) for name in names]
    if len(set(short_forms)) == len(set(names)):
        return short_forms
    differing_positions = (
        position for position, letters in enumerate(zip(*names, strict=False)) if len(set(letters)) > 1
    )
    start = next(differing_positions, min(map(len, names)))
    return [f"…{name[start : start + length - 1]}" for name in names]


def joined_lines(first: str, second: str, length: int) -> str:
    """Both texts in one line, or in two where that would have more than `length` characters.

    >>> joined_lines("recall", "(dogs)", 20), joined_lines("recall", "(dogs)", 10)
    ('recall (dogs)', 'recall\\n(dogs)')
    """
    line = f"{first} {second}"
    return line if len(line) <= length else f"{first}\n{second}"


def table(rows: Sequence[Sequence[str]], *, left: int = 1) -> list[str]:
    """The lines of a table: the first `left` columns are left-aligned, the others right-aligned, two spaces between.

    >>> print("\\n".join(table([["", "precision", "recall"], ["cats", "0.9827", "0.9950"]])))
          precision  recall
    cats     0.9827  0.9950
    """
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(
            f"{cell:<{width}}" if column < left else f"{cell:>{width}}"
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def note_lines(notes: Iterable[Note]) -> list[str]:
    """An empty line and a line for each note; nothing where there are none."""
    lines = [f"note: {note.text}" for note in notes]
    return ["", *lines] if lines else []
