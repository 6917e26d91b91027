"""twofold doctor"""

import os
from pathlib import Path
from typing import Annotated

import typer

from twofold.cli import terminal
from twofold.cli.flags import with_flags
from twofold.cli.output import show, show_json
from twofold.core.options import RuntimeOptions


def doctor(
    bundle: Annotated[
        Path | None, typer.Argument(help="A bundle to check too.", metavar="BUNDLE", show_default=False)
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> int:
    """Check this computer, the installation and a bundle, and name the command that mends each fault.

    A warning costs time or room; a fault makes work fail or changes predictions. The exit code is 1 where there is a fault.
    Nothing is sent, and nothing is changed.
    """
    from twofold.core.privacy import change_texts
    from twofold.report.doctor_text import doctor_text
    from twofold.workflows.doctor import diagnose

    runtime = terminal.runtime(RuntimeOptions(), quiet=True)
    diagnosis = diagnose(runtime, os.environ, bundle)
    if json:
        show_json(change_texts(diagnosis.as_json(), with_flags))
    else:
        show(doctor_text(diagnosis), wrap=False)
    return int(not diagnosis.healthy)
