"""The range, black to white, of images with more than eight bits per channel: one for a dataset, never one per image."""

import math
from collections.abc import Sequence

from twofold.core.notes import Note, count_text
from twofold.data.bit_depth import Extent
from twofold.data.eight_bits import IntensityRanges

_OUTLIERS = 0.01  # fraction of the images that may exceed the range, at either end
_NARROW = 4  # values that span less than 1/4 of their bits' range are scaled by their own range


def choose_ranges(extents: Sequence[Extent]) -> tuple[IntensityRanges, list[Note]]:
    """The ranges of a dataset whose images have these extents, and a note for each range."""
    integer_extents, float_extents = (
        [extent for extent in extents if extent.kind == kind] for kind in ("integers", "floats")
    )
    ranges, notes = IntensityRanges(), []
    if integer_extents:
        (black, white), reason = _integer_range(integer_extents)
        ranges = IntensityRanges((black, white), None)
        images = f"{count_text(len(integer_extents), 'image')} with more than eight bits per channel"
        notes.append(_note("integers", images, f"{black:,}", f"{white:,}", reason))
    if float_extents:
        low, high = _make_ascending(*_extremes(float_extents))
        ranges = IntensityRanges(ranges.integer_range, (low, high))
        images = f"{count_text(len(float_extents), 'image')} with floating-point values"
        notes.append(_note("floats", images, f"{low:g}", f"{high:g}", "their least and greatest value"))
    return ranges, notes


def _integer_range(extents: Sequence[Extent]) -> tuple[tuple[int, int], str]:
    low, high = map(int, _extremes(extents))
    declared_whites = {extent.white for extent in extents}
    white = declared_whites.pop() if len(declared_whites) == 1 else None
    # Files may have sBIT although their values are scaled to 16 bits, as the PNG standard requires: they exceed it.
    if white is not None and low >= 0 and high <= white:
        return (0, white), "as the files declare"
    bits = max(high.bit_length(), 8)
    if low < 0 or (bits > 8 and low < high and (high - low) * _NARROW < 1 << bits):
        black, top = _make_ascending(low, high)
        return (int(black), int(top)), "their least and greatest value"
    return (0, (1 << bits) - 1), f"because their values take {bits} bits"


def _extremes(extents: Sequence[Extent]) -> tuple[float, float]:
    """The least and the greatest value, without the outliers."""
    lows, highs = sorted(extent.low for extent in extents), sorted(extent.high for extent in extents)
    outliers = math.floor(_OUTLIERS * len(extents))
    return lows[outliers], highs[-1 - outliers]


def _make_ascending(low: float, high: float) -> tuple[float, float]:
    return (low, high) if low < high else (high, high + 1)


def _note(kind: str, images: str, black: str, white: str, reason: str) -> Note:
    text = f"{images}: {black} is black and {white} is white, {reason}. Values beyond are clipped."
    return Note(f"range-{kind}", text)
