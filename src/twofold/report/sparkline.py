"""Curves as one line of text."""

from collections.abc import Sequence

import numpy as np

_BLOCKS = "▁▂▃▄▅▆▇█"
_MAX_LENGTH = 40


def sparklines(series: Sequence[Sequence[float]]) -> list[str]:
    """A line of blocks for each series, all of the same length and on one scale; long series are averaged in sections.

    The scale ends a quarter above the 90% quantile, because one very high loss would flatten all others.

    >>> sparklines([[0.0, 1.0, 2.0], [1.0, 1.0, 2.0]])
    ['▁▅█', '▅▅█']
    """
    values = np.array(
        [[section.mean() for section in np.array_split(np.array(row), min(len(row), _MAX_LENGTH))] for row in series]
    )
    low, high = values.min(), min(values.max(), 1.25 * np.quantile(values, 0.9))
    levels = np.clip((values - low) / max(high - low, 1e-9), 0, 1) * (len(_BLOCKS) - 1)
    return ["".join(_BLOCKS[round(level)] for level in line) for line in levels]
