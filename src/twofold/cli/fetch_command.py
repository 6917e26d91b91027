"""twofold fetch"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from twofold.cli import progress_bar
from twofold.cli.output import show, show_json
from twofold.core.options import RuntimeOptions

if TYPE_CHECKING:
    from twofold.workflows.fetch import FetchResult


def fetch(
    source: Annotated[
        str,
        typer.Argument(
            help="The address of a zip, tar or Parquet file, cats-dogs, kaggle:OWNER/NAME, hf:OWNER/NAME, or a local archive.",
            metavar="SOURCE",
        ),
    ],
    out: Annotated[Path, typer.Option(help="The folder to write.", rich_help_panel="Output")],
    sha256: Annotated[
        str | None, typer.Option(help="The SHA-256 that the file must have.", rich_help_panel="Data")
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="Print the result as JSON.", rich_help_panel="Output")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress.", rich_help_panel="Output")] = False,
) -> int:
    """Download images and unpack them into a folder that train and evaluate take."""
    from twofold.report.fetch_text import fetch_text
    from twofold.workflows.fetch import fetch as fetch_images

    runtime = progress_bar.runtime(RuntimeOptions(), quiet=quiet)
    result = fetch_images(source, out, runtime, sha256=sha256)
    commands = _next_commands(result)
    if json:
        show_json({**result.as_json(), "next": commands})
    else:
        show(fetch_text(result, commands))
    return 0
