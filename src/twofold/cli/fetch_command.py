"""twofold fetch"""

from pathlib import Path
from typing import Annotated

import typer

from twofold.cli.terminal import runtime
from twofold.core.options import RuntimeOptions


def fetch(
    source: Annotated[
        str,
        typer.Argument(
            help="An address of a zip, tar or Parquet file, cats-dogs, kaggle:OWNER/NAME, hf:OWNER/NAME, or a local archive.",
            metavar="SOURCE",
        ),
    ],
    out: Annotated[Path, typer.Option(help="The folder to make.")],
    sha256: Annotated[str | None, typer.Option(help="The SHA-256 that the file must have.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
) -> int:
    """Download pictures and unpack them into a folder that train and evaluate take."""
    from twofold.fetching import check_out, find, unpack
    from twofold.report.fetch_text import gathered, print_gathered
    from twofold.report.result_text import print_json

    check_out(out)
    here = runtime(RuntimeOptions(), quiet=quiet)
    found = find(source, here.folder, here.progress, sha256=sha256 and sha256.lower())
    result = gathered(source, out, found.sha256, unpack(found.path, out, here.progress))
    if json:
        print_json(result)
    else:
        print_gathered(result)
    return 0
