"""Third-party libraries: their log messages and warnings muted for a while, and their errors in one line."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from twofold.core.privacy import public_text


@contextmanager
def mute_loggers(*names: str) -> Iterator[None]:
    """Within this context, these loggers and their children emit nothing; their levels are restored afterwards."""
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextmanager
def mute(*names: str) -> Iterator[None]:
    """Within this context, these loggers emit nothing and warnings are ignored. Filters are restored afterwards.

    Before Python 3.14 warning filters belong to the process, so a context should be short.
    """
    with mute_loggers(*names), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def summarise_error(error: BaseException) -> str:
    """The first line of the root cause of `error`, without its full stop: libraries wrap it in pages of advice."""
    while isinstance(error.__cause__, Exception):
        error = error.__cause__
    return public_text((str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".:"))
