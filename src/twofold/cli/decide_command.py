"""twofold decide"""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from twofold.cli import terminal
from twofold.cli.output import show, show_json
from twofold.cli.report_command import read_report_images, write_decided_report
from twofold.core.options import DataOptions, DecisionOptions, RuntimeOptions


def decide(
    context: typer.Context,
    bundle: Annotated[Path, typer.Argument(help="A bundle.", metavar="BUNDLE")],
    decision_options: DecisionOptions,
    data_options: DataOptions,
    runtime_options: RuntimeOptions,
    data: Annotated[
        str | None,
        typer.Option(
            help="Labelled images that the model has not seen, to choose the rule on; with --prevalence auto unlabelled images.",
            rich_help_panel="Data",
        ),
    ] = None,
    write: Annotated[
        bool, typer.Option("--write", help="Write the rule into the bundle.", rich_help_panel="Output")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="Write a bundle with the rule here instead.", rich_help_panel="Output")
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace an existing bundle at --out.", rich_help_panel="Output")
    ] = False,
    undo: Annotated[
        bool, typer.Option("--undo", help="Return to the rule before the last one.", rich_help_panel="Output")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.", rich_help_panel="Output")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress.", rich_help_panel="Output")] = False,
) -> int:
    """Choose another rule for a bundle, on its scores and without training again.

    Without --write or --out nothing is written. Without a policy it shows the rule in use, and the operating table.
    """
    from twofold.bundle.storage import load_bundle
    from twofold.core.errors import UsageError
    from twofold.fetching import resolve
    from twofold.report.decision_text import decision_text
    from twofold.workflows import decide as workflow

    if write and out is not None:
        raise UsageError("`write` changes the bundle and `out` writes another one; give one of them.")
    if undo and (decision_options != DecisionOptions() or data is not None):
        raise UsageError("`undo` returns to an earlier rule; give no policy, prevalence or data with it.")
    loaded_bundle = load_bundle(bundle)
    if force and out is None:
        raise UsageError("`force` is for `out`; `write` replaces the rule of the bundle without it.")
    if data is None and data_options != DataOptions():
        raise UsageError("`classes`, `label_pattern` and `decisions` are for `data`.")
    target = bundle if write else out
    place = None if target is None else Path(os.path.abspath(target))  # of "." the name
    workflow.check_target(loaded_bundle, place, force=write or force)
    runtime = terminal.runtime(runtime_options, quiet=quiet)
    if undo:
        result = workflow.undo(loaded_bundle)
    else:
        origin = workflow.Origin(datetime.now(UTC).isoformat(timespec="seconds"), tuple(context.obj))
        images = None if data is None else resolve(data, runtime.folder, runtime.progress)
        result = workflow.decide(loaded_bundle, decision_options, data_options, runtime, origin, data=images)
    if place is not None:
        images_of_report = read_report_images(bundle / "report.html")  # before the folder is replaced
        workflow.save(loaded_bundle, result, place, force=write or force)
        if images_of_report is not None:
            write_decided_report(place, images_of_report)
    if json:
        show_json(result.as_json())
    else:
        show(decision_text(result, bundle.name or str(bundle), target))
    return 0
