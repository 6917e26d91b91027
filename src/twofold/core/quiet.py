"""Keeping libraries quiet that talk while they work; what fails is still raised."""

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout

from twofold.core.privacy import public_text


@contextmanager
def hushed(*loggers: str) -> Iterator[None]:
    """Nothing from these loggers and those below them."""
    chatty = [logging.getLogger(name) for name in loggers]
    levels = [logger.level for logger in chatty]
    for logger in chatty:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for logger, level in zip(chatty, levels, strict=True):
            logger.setLevel(level)


@contextmanager
def silence(*loggers: str) -> Iterator[None]:
    """Nothing from these loggers, no warnings and nothing on standard output: all over the process, so not for long."""
    with hushed(*loggers), warnings.catch_warnings(), redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


def reason(error: BaseException) -> str:
    """The first line of what lies at the bottom of an error: libraries wrap it in pages of advice."""
    while isinstance(error.__cause__, Exception):
        error = error.__cause__
    return public_text((str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".:"))
