"""twofold label"""

from pathlib import Path
from typing import Annotated

import typer

from twofold.cli import terminal
from twofold.cli.local_page import check_serving, serve
from twofold.cli.output import show_error, show_notes
from twofold.core.options import RuntimeOptions


def label(
    pool: Annotated[
        str, typer.Argument(help="Images without labels: a folder or an archive.", metavar="POOL", show_default=False)
    ],
    runtime_options: RuntimeOptions,
    classes: Annotated[
        tuple[str, str], typer.Option(help="The two classes: keys 0 and 1.", rich_help_panel="Data", show_default=False)
    ],
    out: Annotated[
        Path, typer.Option(help="The labels, as a list that train takes. They are continued.", rich_help_panel="Output")
    ],
    port: Annotated[
        int, typer.Option(help="Port of the page; the next free one is used.", rich_help_panel="Runtime")
    ] = 8712,
    browser: Annotated[bool, typer.Option(help="Open the page in a browser.", rich_help_panel="Runtime")] = True,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress.", rich_help_panel="Output")] = False,
) -> int:
    """Label a folder of images with the keyboard on a local page, until Ctrl-C: a model asks about those it learns most from.

    The page shows the accuracy of the model with its interval, from images that are drawn at random, and what more labels would
    bring. No image is changed or moved.
    """
    from twofold.core.notes import count_text
    from twofold.fetching import resolve
    from twofold.review.label_app import build_label_app, label_training_command
    from twofold.review.server import PageServer
    from twofold.workflows.label_file import LabelFile
    from twofold.workflows.labelling import Labelling, embed_pool

    check_serving("label", port)
    file = LabelFile(out, classes)
    runtime = terminal.runtime(runtime_options, quiet=quiet)
    labelling = Labelling(embed_pool(resolve(pool, runtime.folder, runtime.progress), out, runtime), file)
    show_notes(labelling.notes)
    max_pixels = runtime.options.max_pixels
    server = PageServer(lambda token, number: build_label_app(labelling, token, number, max_pixels=max_pixels), port)
    show_error(f"Labels go to {out}. Ctrl-C ends the page.")
    serve(server, browser=browser)
    answers, images = len(labelling.session.answers), len(labelling.pool.paths)
    show_error(
        f"{answers} of {count_text(images, 'image')} labelled. Train on them: {label_training_command(labelling)}"
    )
    return 0
