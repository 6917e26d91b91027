"""The local pages of review and label: checks before any work, and serving until Ctrl-C."""

import sys
import webbrowser
from typing import TYPE_CHECKING

from twofold.cli.output import show_error
from twofold.core.errors import UsageError
from twofold.core.hints import require

if TYPE_CHECKING:
    from twofold.review.server import PageServer


def check_serving(command: str, port: int) -> None:
    """Raises UsageError where the packages of the extra `review` are missing, or the port is illegal."""
    require(f"twofold {command}", "starlette", "uvicorn", extra="review")
    if not 0 <= port <= 65_535:
        raise UsageError(f"`port` must be in [0, 65535], got {port}.")


def serve(server: "PageServer", *, browser: bool) -> None:
    """Prints the address of the page, opens it in a browser where that is asked for, and serves it until Ctrl-C."""
    sys.stdout.write(server.address + "\n")
    sys.stdout.flush()
    if browser and not webbrowser.open(server.address):
        show_error("No browser could be opened: open the address above.")
    server.run()
