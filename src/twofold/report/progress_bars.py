"""Progress bars, drawn on what a face gives: a terminal, or a cell of a notebook."""

import time
from collections.abc import Callable, Iterable, Iterator
from html import escape
from typing import TYPE_CHECKING, Any, Final

from twofold.core.progress import Progress

if TYPE_CHECKING:
    from rich.console import Console

_SECONDS: Final = 0.1  # between two drawings in a notebook

Show = Callable[[str], Callable[[str], None]]
"""(HTML) -> the function that replaces this HTML, once it is shown in a cell."""


def terminal_bars(open_console: "Callable[[], Console]") -> Progress:
    """Progress bars with their speed and the remaining time on a console of rich."""

    def bar(stream: Iterable[Any], length: int, what: str) -> Iterator[Any]:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=open_console(), transient=True) as progress:
            task = progress.add_task(what, total=length, rate="")
            for item in stream:
                yield item
                speed = progress.tasks[task].speed
                progress.update(task, advance=1, rate=_rate(speed, _unit(what)))

    return bar


def notebook_bars(show: Show, clock: Callable[[], float] = time.monotonic) -> Progress:
    """Progress bars in cells of a notebook. They need no widgets, and are removed at the end.

    `clock` tells the time in seconds.
    """

    def bar(stream: Iterable[Any], length: int, what: str) -> Iterator[Any]:
        start = drawn = clock()
        replace_bar = show(_bar_html(0, length, what, ""))
        try:
            for count, item in enumerate(stream, start=1):
                yield item
                if clock() - drawn >= _SECONDS:
                    drawn = clock()
                    replace_bar(_bar_html(count, length, what, _rate(count / (drawn - start), _unit(what))))
        finally:
            replace_bar("")

    return bar


def _bar_html(count: int, length: int, what: str, rate: str) -> str:
    """
    >>> _bar_html(1, 2, "images", "")
    '<label>images <progress value="1" max="2"></progress> 1/2 </label>'
    """
    return f'<label>{escape(what)} <progress value="{count}" max="{length}"></progress> {count}/{length} {rate}</label>'


def _unit(what: str) -> str:
    """The unit of the items: the last word after a comma, as in "weights, MB", else images."""
    return what.rpartition(", ")[2] if ", " in what else "images"


def _rate(speed: float | None, unit: str) -> str:
    """Items per second as text; empty where the speed is unknown or very low.

    >>> [_rate(speed, "epochs") for speed in (None, 812.3, 2.34, 0.004)]
    ['', '812 epochs/s', '2.3 epochs/s', '']
    """
    if not speed or speed < 0.05:
        return ""
    return f"{speed:.0f} {unit}/s" if speed >= 10 else f"{speed:.1f} {unit}/s"
