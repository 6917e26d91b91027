"""Small charts as SVG, in the colours of the page's theme."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from markupsafe import Markup, escape

from twofold.core.arrays import Reals

WIDTH, HEIGHT = 340, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 48, 12, 10, 38
_MOST_POINTS: Final = 240
"""Points of a line; a curve of many thousand scores looks the same with fewer."""


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """A line through points (k,), with its name for screen readers and the CSS classes of its look."""

    x: Reals = field(repr=False)
    y: Reals = field(repr=False)
    look: str = "line"


@dataclass(frozen=True, slots=True, eq=False)
class Area:
    """The area between `low` and `high` (k,)."""

    x: Reals = field(repr=False)
    low: Reals = field(repr=False)
    high: Reals = field(repr=False)
    look: str = "band"


@dataclass(frozen=True, slots=True)
class Axis:
    """An axis with its label, its range and its ticks, (value, text) each."""

    label: str
    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]


UNIT_TICKS: Final = tuple((tick, f"{tick:g}") for tick in (0.0, 0.25, 0.5, 0.75, 1.0))


def unit_axis(label: str) -> Axis:
    """An axis from 0 to 1."""
    return Axis(label, 0.0, 1.0, UNIT_TICKS)


def axis_of(label: str, low: float, high: float, count: int = 4) -> Axis:
    """An axis with round ticks."""
    span = high - low if high > low else max(abs(high), 1.0)
    step = 10.0 ** np.floor(np.log10(span / count))
    step = next(step * factor for factor in (1, 2, 5, 10) if span / (step * factor) <= count)
    ticks = np.arange(np.ceil(low / step - 1e-9), np.floor((low + span) / step + 1e-9) + 1) * step
    return Axis(
        label, low, low + span, tuple((float(tick), f"{tick:.6g}" if abs(tick) > 1e-12 else "0") for tick in ticks)
    )


def chart(
    title: str,
    x: Axis,
    y: Axis,
    lines: Sequence[Line] = (),
    regions: Sequence[Area] = (),
    dots: Sequence[tuple[float, float, str]] = (),
    bars: Sequence[tuple[float, float, float]] = (),
) -> Markup:
    """An SVG element. `dots` are (x, y, CSS class), `bars` vertical ones of (x, low, high), as for the intervals of dots."""
    parts = [_frame(x, y)]
    parts += [f'<path class="{region.look}" d="{_area(region, x, y)}"/>' for region in regions]
    parts += [f'<path class="{line.look}" d="{_path(line.x, line.y, x, y)}"/>' for line in lines]
    parts += [f'<path class="whisker" d="M{_x(at, x)} {_y(low, y)}V{_y(high, y)}"/>' for at, low, high in bars]
    parts += [
        f'<circle class="{look}" cx="{_x(at, x)}" cy="{_y(value, y)}" r="4"/>'
        for at, value, look in dots
        if np.isfinite(at) and np.isfinite(value)
    ]
    return Markup(
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">{"".join(parts)}</svg>'
    )


def _x(value: float, axis: Axis) -> str:
    fraction = (min(max(value, axis.low), axis.high) - axis.low) / (axis.high - axis.low)
    return f"{_LEFT + fraction * (WIDTH - _LEFT - _RIGHT):.1f}"


def _y(value: float, axis: Axis) -> str:
    fraction = (min(max(value, axis.low), axis.high) - axis.low) / (axis.high - axis.low)
    return f"{HEIGHT - _BOTTOM - fraction * (HEIGHT - _TOP - _BOTTOM):.1f}"


def _frame(x: Axis, y: Axis) -> str:
    bottom, right = HEIGHT - _BOTTOM, WIDTH - _RIGHT
    parts = []
    for value, text in x.ticks:
        at = _x(value, x)
        parts.append(
            f'<path class="grid" d="M{at} {_TOP}V{bottom}"/><text class="tick" x="{at}" y="{bottom + 14}">{text}</text>'
        )
    for value, text in y.ticks:
        at = _y(value, y)
        parts.append(f'<path class="grid" d="M{_LEFT} {at}H{right}"/>')
        parts.append(f'<text class="tick end" x="{_LEFT - 6}" y="{float(at) + 3.5:.1f}">{text}</text>')
    parts.append(f'<path class="axis" d="M{_LEFT} {_TOP}V{bottom}H{right}"/>')
    middle = (_TOP + bottom) / 2
    parts.append(f'<text class="label" x="{(_LEFT + right) / 2}" y="{HEIGHT - 6}">{escape(x.label)}</text>')
    parts.append(f'<text class="label" transform="translate(12 {middle}) rotate(-90)">{escape(y.label)}</text>')
    return "".join(parts)


def _path(xs: Reals, ys: Reals, x: Axis, y: Axis) -> str:
    """Straight lines through the points; undefined points are left out."""
    xs, ys = _thinned(np.asarray(xs, np.float64), np.asarray(ys, np.float64))
    points = (f"{_x(at, x)} {_y(value, y)}" for at, value in zip(xs.tolist(), ys.tolist(), strict=True))
    text = "L".join(points)
    return f"M{text}" if text else ""


def _area(region: Area, x: Axis, y: Axis) -> str:
    there = _path(region.x, region.high, x, y)
    back = _path(region.x[::-1], region.low[::-1], x, y)
    return f"{there}L{back[1:]}Z" if there and back else ""


def _thinned(xs: Reals, ys: Reals) -> tuple[Reals, Reals]:
    """At most `_MOST_POINTS` of the defined points, evenly spaced along the line."""
    defined = np.isfinite(xs) & np.isfinite(ys)
    xs, ys = xs[defined], ys[defined]
    if len(xs) <= _MOST_POINTS:
        return xs, ys
    spread = max(float(np.ptp(xs)), 1e-12), max(float(np.ptp(ys)), 1e-12)
    length = np.append(0.0, np.cumsum(np.hypot(np.diff(xs) / spread[0], np.diff(ys) / spread[1])))
    rows = np.unique(np.searchsorted(length, np.linspace(0, length[-1], _MOST_POINTS)).clip(0, len(xs) - 1))
    return xs[rows], ys[rows]
