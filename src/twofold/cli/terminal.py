"""The runtime of a command: the user's cache folder, and progress on the terminal."""

import sys
from collections.abc import Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from twofold.core.options import RuntimeOptions

if TYPE_CHECKING:
    from twofold.embedding import Runtime


def runtime(options: RuntimeOptions, *, quiet: bool) -> "Runtime":
    """The runtime of a command; progress goes to stderr where that is a terminal."""
    from platformdirs import user_cache_path

    from twofold.core.progress import no_progress
    from twofold.embedding import cached_runtime

    progress = no_progress if quiet or not sys.stderr.isatty() else progress_bar
    return cached_runtime(partial(user_cache_path, "twofold"), options, progress)


def progress_bar(stream: Iterable[Any], length: int, what: str) -> Iterator[Any]:
    """The stream, with a progress bar that shows its speed and the remaining time."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    unit = what.rpartition(", ")[2] if ", " in what else "images"  # as in "weights, MB"
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(what, total=length, rate="")
        for item in stream:
            yield item
            speed = progress.tasks[task].speed
            progress.update(task, advance=1, rate=_rate(speed, unit))


def _rate(speed: float | None, unit: str) -> str:
    """Items per second as text; empty where the speed is unknown or very low.

    >>> [_rate(speed, "epochs") for speed in (None, 812.3, 2.34, 0.004)]
    ['', '812 epochs/s', '2.3 epochs/s', '']
    """
    if not speed or speed < 0.05:
        return ""
    return f"{speed:.0f} {unit}/s" if speed >= 10 else f"{speed:.1f} {unit}/s"
