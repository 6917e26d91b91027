"""twofold review"""

from pathlib import Path
from typing import Annotated

import typer

from twofold.cli import terminal
from twofold.cli.local_page import check_serving, serve
from twofold.cli.output import show_error, show_notes
from twofold.core.options import RuntimeOptions


def review(
    bundle: Annotated[Path, typer.Argument(help="A bundle.", metavar="BUNDLE")],
    runtime_options: RuntimeOptions,
    data: Annotated[
        str | None,
        typer.Option(
            help="The labelled images, if they are not where the bundle was trained on them, or others.",
            rich_help_panel="Data",
        ),
    ] = None,
    decisions: Annotated[
        Path | None,
        typer.Option(
            help="The file that decisions are appended to; default: decisions.csv beside the bundle.",
            rich_help_panel="Output",
        ),
    ] = None,
    port: Annotated[
        int, typer.Option(help="Port of the page; the next free one is used.", rich_help_panel="Runtime")
    ] = 8711,
    browser: Annotated[bool, typer.Option(help="Open the page in a browser.", rich_help_panel="Runtime")] = True,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress.", rich_help_panel="Output")] = False,
) -> int:
    """Look at the images that are most worth a look, and correct their labels on a local page, until Ctrl-C.

    Decisions are kept in a file that train and audit read with --decisions; no image is changed or moved.
    """
    from twofold.bundle.storage import load_bundle
    from twofold.fetching import resolve
    from twofold.review.app import build_app, training_command
    from twofold.review.evidence import evidence_maps
    from twofold.review.server import PageServer
    from twofold.workflows.explain import Explainer
    from twofold.workflows.review import open_review

    check_serving("review", port)
    loaded_bundle = load_bundle(bundle)
    runtime = terminal.runtime(runtime_options, quiet=quiet)
    images = None if data is None else resolve(data, runtime.folder, runtime.progress)
    file = bundle.absolute().with_name("decisions.csv") if decisions is None else decisions
    opened = open_review(loaded_bundle, images, file, runtime)
    show_notes(opened.notes)
    render_map = evidence_maps(opened, Explainer(loaded_bundle, runtime))
    max_pixels = runtime.options.max_pixels
    server = PageServer(lambda token, number: build_app(opened, token, number, render_map, max_pixels=max_pixels), port)
    show_error(f"Decisions go to {file}. Ctrl-C ends the review.")
    serve(server, browser=browser)
    progress = opened.progress()
    show_error(
        f"{progress.checked} of {progress.images} images checked: {progress.relabelled} labels changed, "
        f"{progress.excluded} images excluded. Use them: {training_command(opened)}"
    )
    return 0
