"""The runtime of a command: the user's cache folder, and progress on the terminal."""

import sys
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final

from twofold.cli.output import show_error
from twofold.core.options import RuntimeOptions

if TYPE_CHECKING:
    from rich.console import Console

    from twofold.embedding import Runtime
    from twofold.workflows.forecast import Forecast

_MIN_SECONDS: Final = 5.0  # a run that is over sooner needs no forecast


def runtime(options: RuntimeOptions, *, quiet: bool) -> "Runtime":
    """The runtime of a command; progress goes to stderr where that is a terminal."""
    from platformdirs import user_cache_path

    from twofold.core.progress import no_progress
    from twofold.embedding import cached_runtime
    from twofold.report.progress_bars import terminal_bars

    progress = no_progress if quiet or not sys.stderr.isatty() else terminal_bars(_open_console)
    return cached_runtime(partial(user_cache_path, "twofold"), options, progress)


def forecast(*, quiet: bool) -> "Callable[[Forecast], None] | None":
    """The function that shows a forecast on stderr, where that is a terminal and the run takes more than a few seconds; None with
    `quiet`."""
    if quiet or not sys.stderr.isatty():
        return None
    from twofold.report.forecast_text import forecast_text

    def tell(forecast: "Forecast") -> None:
        if forecast.seconds >= _MIN_SECONDS:
            show_error(forecast_text(forecast))

    return tell


def _open_console() -> "Console":
    from rich.console import Console

    return Console(stderr=True)
