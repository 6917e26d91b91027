"""Black and white for images of more than eight bits: one range for a whole data set, never one for each image."""

import math
from collections.abc import Sequence

from twofold.core.notes import Note
from twofold.data.bit_depth import Extent
from twofold.data.eight_bits import Ranges

_OFF = 0.01  # share of the images that may reach further than the range, at either end
_NARROW = 4  # times that a band of numbers would fit into its bits: below, it is taken for what it is


def choose_ranges(extents: Sequence[Extent]) -> tuple[Ranges, list[Note]]:
    """The ranges of a data set whose images reach this far, and a note for each that says why."""
    deep, floats = ([extent for extent in extents if extent.kind == kind] for kind in ("deep", "floats"))
    ranges, notes = Ranges(), []
    if deep:
        (black, white), why = _of_integers(deep)
        ranges = Ranges((black, white), None)
        notes.append(_note("deep", f"{len(deep)} images have more than eight bits", f"{black:,}", f"{white:,}", why))
    if floats:
        least, greatest = _rising(*_reach(floats))
        ranges = Ranges(ranges.deep, (least, greatest))
        what = f"{len(floats)} images hold floating-point numbers"
        notes.append(_note("floats", what, f"{least:g}", f"{greatest:g}", "their own least and greatest"))
    return ranges, notes


def _of_integers(extents: Sequence[Extent]) -> tuple[tuple[int, int], str]:
    low, high = map(int, _reach(extents))
    declared = {extent.white for extent in extents}
    white = declared.pop() if len(declared) == 1 else None
    # sBIT also stands in files whose numbers were scaled to all of 16 bits, as its standard asks: these go beyond.
    if white is not None and low >= 0 and high <= white:
        return (0, white), "as the files declare"
    bits = max(high.bit_length(), 8)
    if low < 0 or (bits > 8 and low < high and (high - low) * _NARROW < 1 << bits):
        black, top = _rising(low, high)
        return (int(black), int(top)), "their own least and greatest"
    return (0, (1 << bits) - 1), f"as their numbers take {bits} bits"


def _reach(extents: Sequence[Extent]) -> tuple[float, float]:
    """How far all but a few of the images reach."""
    lows, highs = sorted(extent.low for extent in extents), sorted(extent.high for extent in extents)
    few = math.floor(_OFF * len(extents))
    return lows[few], highs[-1 - few]


def _rising(low: float, high: float) -> tuple[float, float]:
    return (low, high) if low < high else (high, high + 1)


def _note(kind: str, what: str, black: str, white: str, why: str) -> Note:
    text = f"{what}: for all of them {black} is black and {white} is white, {why}. Numbers beyond are clipped."
    return Note(f"range-{kind}", text)
