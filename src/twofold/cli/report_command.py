"""twofold report"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from twofold.cli import terminal
from twofold.cli.flags import with_flags
from twofold.cli.output import show, show_error
from twofold.core.options import RuntimeOptions

if TYPE_CHECKING:
    from twofold.report.page import PageImages
    from twofold.workflows.report import ReportData


def report(
    bundle: Annotated[Path, typer.Argument(help="A bundle.", metavar="BUNDLE")],
    runtime_options: RuntimeOptions,
    data: Annotated[
        str | None,
        typer.Option(
            help="The images that the bundle was trained on, to show them; files that have moved are found by their content.",
            rich_help_panel="Data",
        ),
    ] = None,
    test: Annotated[
        str | None,
        typer.Option(help="The test set that the bundle was trained with, to show its images.", rich_help_panel="Data"),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="The HTML file to write; default: report.html in the bundle.", rich_help_panel="Output"),
    ] = None,
    open_: Annotated[
        bool, typer.Option("--open", help="Open the report in the browser.", rich_help_panel="Output")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress.", rich_help_panel="Output")] = False,
) -> int:
    """Write the report of a bundle: one HTML file with its evaluation, to read and to try other thresholds.

    Images that are not given, or not found, are taken from the report in the bundle, if there is one.
    """
    from twofold.bundle.storage import load_bundle
    from twofold.core.files import check_writable_file
    from twofold.fetching import resolve
    from twofold.report.page import with_images
    from twofold.report.page.maps import with_map_checks, with_maps
    from twofold.workflows.explain import Explainer
    from twofold.workflows.report import report_of_bundle

    loaded_bundle = load_bundle(bundle)
    path = bundle / "report.html" if out is None else out
    check_writable_file(path)
    runtime = terminal.runtime(runtime_options, quiet=quiet)
    images, test_images = (
        None if address is None else resolve(address, runtime.folder, runtime.progress) for address in (data, test)
    )
    result = report_of_bundle(loaded_bundle, images, test_images, max_pixels=runtime.options.max_pixels)
    if result.sources:
        explainer = Explainer(loaded_bundle, runtime)
        result = with_map_checks(with_maps(result, explainer), explainer)
    old = read_report_images(bundle / "report.html")
    if old is not None:
        result = with_images(result, old)
    write_page(result, path)
    for remark in (*result.remarks, *_missing_images(result)):
        show_error(f"note: {remark}")
    show(f"Wrote {path}")
    if open_:
        _open(path)
    return 0


def write_report(make: "Callable[[], ReportData]", path: Path) -> None:
    """Writes the page of a result that is saved already. Where that fails, a note says so: the result itself is safe."""
    try:
        write_page(make(), path)
    except Exception as error:  # whatever it is, hours of training must not end in a traceback
        show_error(f"note: {path} could not be written ({error}); everything else was. Write it with twofold report.")


def _missing_images(result: "ReportData") -> list[str]:
    """What the page shows no image of, and the option that would show them."""
    from twofold.workflows.report import role_of

    options = {"train": ("training", "--data"), "test": ("test", "--test")}
    scored, shown = {role_of(each.name) for each in result.scored}, {role for role, _ in result.thumbnails.places}
    return [
        f"No {kind} image is shown; give them with {option}."
        for role, (kind, option) in options.items()
        if role in scored - shown
    ]


def write_decided_report(bundle: Path, images: "PageImages") -> None:
    """Writes the page of a bundle that has another rule now, with the images of the page that it had before."""
    from twofold.bundle.storage import load_bundle
    from twofold.report.page import with_images
    from twofold.workflows.report import report_of_bundle

    write_report(lambda: with_images(report_of_bundle(load_bundle(bundle)), images), bundle / "report.html")


def read_report_images(page: Path) -> "PageImages | None":
    """The images of a page; None where there is no page."""
    from twofold.report.page import read_images

    return read_images(page.read_text(encoding="utf-8", errors="replace")) if page.is_file() else None


def write_page(report_data: "ReportData", path: Path) -> None:
    """Writes the page, whole or not at all."""
    from twofold.core.files import open_replacement, write_errors
    from twofold.report.page import report_page

    with write_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with open_replacement(path) as file:
            file.write(report_page(report_data, with_flags))


def _open(path: Path) -> None:
    """Opens the file in the browser; where there is none, its address is printed."""
    import webbrowser

    address = path.resolve().as_uri()
    if not webbrowser.open(address):
        show_error(f"twofold: No browser could be opened; open {address} in one.")
