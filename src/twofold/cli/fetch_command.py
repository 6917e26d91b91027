"""twofold fetch"""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from twofold.cli import terminal
from twofold.cli.output import show, show_json
from twofold.core.options import RuntimeOptions

if TYPE_CHECKING:
    from twofold.workflows.fetch import FetchResult


def fetch(
    source: Annotated[
        str,
        typer.Argument(
            help="The address of a zip, tar or Parquet file, cats-dogs, kaggle:OWNER/NAME, hf:OWNER/NAME, or a local folder or "
            "archive.",
            metavar="SOURCE",
        ),
    ],
    out: Annotated[Path, typer.Option(help="The folder to write.", rich_help_panel="Output")],
    sha256: Annotated[
        str | None, typer.Option(help="The SHA-256 that the file must have.", rich_help_panel="Data")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.", rich_help_panel="Output")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress.", rich_help_panel="Output")] = False,
) -> int:
    """Download images and unpack them into a folder that train and evaluate take."""
    from twofold.report.fetch_text import fetch_text
    from twofold.workflows.fetch import fetch as fetch_images

    runtime = terminal.runtime(RuntimeOptions(), quiet=quiet)
    result = fetch_images(source, out, runtime, sha256=sha256)
    commands = _next_commands(result)
    if json:
        show_json({**result.as_json(), "next": commands})
    else:
        show(fetch_text(result))
        if commands:  # not wrapped, so that they can be copied
            show("\n".join(["", "Next:", *(f"  {command}" for command in commands)]), wrap=False)
    return 0


def _next_commands(result: "FetchResult") -> list[str]:
    """The commands to run next; none where the folder does not hold two classes."""
    plan = result.plan
    if plan is None:
        return []
    commands = [f"twofold train {shlex.quote(str(plan.train))} --out NAME.twofold"]
    if plan.evaluate is not None:
        commands.append(f"twofold evaluate NAME.twofold {shlex.quote(str(plan.evaluate))}")
    elif plan.predict is not None:
        commands.append(f"twofold predict NAME.twofold {shlex.quote(str(plan.predict))}")
    return commands
