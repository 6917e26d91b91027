"""The command `twofold`, and python -m twofold."""

import os
import signal
import sys
from types import FrameType


def run() -> int:
    """The exit code of the command. Ctrl-C ends it with 130 and no traceback, from the first import on."""
    handler = signal.getsignal(signal.SIGINT)
    if handler is signal.default_int_handler:  # a shell starts background jobs with Ctrl-C ignored
        # An exception could end anywhere in the modules that are being loaded, and some of them catch all.
        signal.signal(signal.SIGINT, _leave)
    from twofold.cli import main

    signal.signal(signal.SIGINT, handler)
    try:
        return main()
    except KeyboardInterrupt:
        return 130


def _leave(number: int, frame: FrameType | None) -> None:
    os._exit(130)


if __name__ == "__main__":
    sys.exit(run())
