"""twofold audit"""

from pathlib import Path
from typing import Annotated

import typer

from twofold.cli import terminal
from twofold.cli.output import show, show_json
from twofold.core.options import BackboneOptions, CrossValidationOptions, DataOptions, RuntimeOptions


def audit(
    data: Annotated[str, typer.Argument(help="Labelled images, as for train.", metavar="DATA")],
    data_options: DataOptions,
    backbone_options: BackboneOptions,
    runtime_options: RuntimeOptions,
    against: Annotated[
        str | None,
        typer.Option(
            help="A second dataset, OTHER, to search for duplicates of DATA: a folder, an archive or a CSV file.",
            rich_help_panel="Data",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Write the file report, one row per file, to this CSV file.", rich_help_panel="Output"),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace an existing file report.", rich_help_panel="Output")
    ] = False,
    quick: Annotated[
        bool,
        typer.Option(
            "--quick",
            help="Use no network: check files, duplicates and shortcuts, but no labels.",
            rich_help_panel="Network",
        ),
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.", rich_help_panel="Output")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress.", rich_help_panel="Output")] = False,
) -> int:
    """Find what is wrong with labelled images: unreadable files, duplicates, leakage, label errors, shortcuts."""
    from twofold.audit import write_file_report
    from twofold.core.files import check_replaceable
    from twofold.fetching import resolve
    from twofold.report.audit_text import audit_text
    from twofold.workflows.audit import audit as audit_images

    if out is not None:
        check_replaceable(out, "path,label,status,", "file report", force=force)
    runtime = terminal.runtime(runtime_options, quiet=quiet)
    other_images = None if against is None else resolve(against, runtime.folder, runtime.progress)
    result = audit_images(
        resolve(data, runtime.folder, runtime.progress),
        data_options,
        backbone_options,
        CrossValidationOptions(),
        runtime,
        against=other_images,
        quick=quick,
    )
    if out is not None:
        write_file_report(result.audit.file_report(), out)
    if json:
        show_json(result.as_json())
    else:
        show(audit_text(result, out))
    return 0
