"""twofold split"""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from twofold.cli import terminal
from twofold.cli.output import show, show_json
from twofold.core.options import DataOptions, RuntimeOptions


def split(
    data: Annotated[str, typer.Argument(help="Labelled images, as for train.", metavar="DATA")],
    data_options: DataOptions,
    runtime_options: RuntimeOptions,
    out: Annotated[Path, typer.Option(help="The folder to write train.csv and test.csv to.", rich_help_panel="Output")],
    test: Annotated[
        float, typer.Option(help="Fraction of the images of each class in the test part.", rich_help_panel="Data")
    ] = 0.25,
    seed: Annotated[int, typer.Option(help="Seed of the random choice.", rich_help_panel="Data")] = 0,
    quick: Annotated[
        bool,
        typer.Option(
            "--quick",
            help="Use no network: duplicates that are cropped or slightly rotated are not detected.",
            rich_help_panel="Network",
        ),
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace existing lists.", rich_help_panel="Output")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.", rich_help_panel="Output")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress.", rich_help_panel="Output")] = False,
) -> int:
    """Split labelled images into a training and a test part, as two lists that train takes. Nothing is moved or copied.

    Duplicates, images that show the same object, and images of one group in DATA are in one part.
    """
    from twofold.fetching import resolve
    from twofold.report.split_text import split_text
    from twofold.workflows.split import split as split_images

    runtime = terminal.runtime(runtime_options, quiet=quiet)
    images = resolve(data, runtime.folder, runtime.progress)
    result = split_images(images, out, test, data_options, runtime, seed=seed, quick=quick, force=force)
    train_list, test_list = (shlex.quote(str(result.files[part])) for part in ("train", "test"))
    command = f"twofold train {train_list} --test {test_list} --out NAME.twofold"
    if json:
        show_json({**result.as_json(), "next": [command]})
    else:
        show(split_text(result))
        show(f"\nNext:\n  {command}", wrap=False)  # not wrapped, so that it can be copied
    return 0
