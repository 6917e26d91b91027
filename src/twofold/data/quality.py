"""How strongly a JPEG file was compressed, read off its quantisation tables."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Final

# Of luma, in Annex K of ITU-T T.81: what libjpeg scales by the quality.
_BASE: Final = (
    *(16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55),
    *(14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62),
    *(18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92),
    *(49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99),
)


def jpeg_quality(tables: Mapping[int, Sequence[int]]) -> int | None:
    """The quality, 1 to 100, at which libjpeg's table of luma comes nearest to the file's in its sum; None without a table.

    Files of libjpeg, and so of most programs, give the very number that they were saved with.
    """
    if not tables:
        return None
    total = sum(tables[min(tables)])
    return min(range(100, 0, -1), key=lambda quality: abs(_total(quality) - total))


@cache
def _total(quality: int) -> int:
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    return sum(min(max((number * scale + 50) // 100, 1), 255) for number in _BASE)
