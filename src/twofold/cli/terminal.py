"""The runtime of a command: the user's cache folder, and progress on the terminal."""

import sys
from functools import partial
from typing import TYPE_CHECKING

from twofold.core.options import RuntimeOptions

if TYPE_CHECKING:
    from rich.console import Console

    from twofold.embedding import Runtime


def runtime(options: RuntimeOptions, *, quiet: bool) -> "Runtime":
    """The runtime of a command; progress goes to stderr where that is a terminal."""
    from platformdirs import user_cache_path

    from twofold.core.progress import no_progress
    from twofold.embedding import cached_runtime
    from twofold.report.progress_bars import terminal_bars

    progress = no_progress if quiet or not sys.stderr.isatty() else terminal_bars(_open_console)
    return cached_runtime(partial(user_cache_path, "twofold"), options, progress)


def _open_console() -> "Console":
    from rich.console import Console

    return Console(stderr=True)
