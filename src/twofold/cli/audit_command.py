"""twofold audit"""

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any

import typer

from twofold.cli import terminal
from twofold.cli.engine_environment import prepare_engine
from twofold.cli.output import show, show_json
from twofold.core.options import BackboneOptions, CrossValidationOptions, DataOptions, EngineName, RuntimeOptions


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
        typer.Option(
            help="Write the file report, one row per file, to this CSV file; with --engine, the folder of Parquet files.",
            rich_help_panel="Output",
        ),
    ] = None,
    engine: Annotated[
        EngineName | None,
        typer.Option(
            help="For millions of images: check files and duplicates in parts that a later run continues. DATA needs no labels, "
            "and may be a list.",
            rich_help_panel="Data",
        ),
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
    """Find what is wrong with labelled images: unreadable files, duplicates, leakage, label errors, shortcuts.

    With --engine the folder of --out has a row for each file in parts of 512, and the duplicates; labels are not checked.
    """
    if engine is not None:
        ignored = {"--against": against is not None, "--force": force} | _changed(data_options, backbone_options)
        return _audit_parts(data, out, engine, runtime_options, ignored, json=json, quiet=quiet)
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


def _changed(*records: Any) -> dict[str, bool]:
    """For each option of the records its flag, and whether it is not the default."""
    options = {
        option.name: getattr(record, option.name) != option.default for record in records for option in fields(record)
    }
    return {f"--{name.replace('_', '-')}": changed for name, changed in options.items()}


def _audit_parts(
    data: str,
    out: Path | None,
    engine: EngineName,
    runtime_options: RuntimeOptions,
    ignored: Mapping[str, bool],
    *,
    json: bool,
    quiet: bool,
) -> int:
    """Audits into a folder of parts. `ignored` says for flags that have no meaning with an engine whether they are given."""
    from twofold.core.errors import UsageError
    from twofold.report.parts_audit_text import parts_audit_text
    from twofold.workflows.scale.audit_parts import audit_parts

    if out is None:
        raise UsageError("--engine needs --out, the folder that the parts go to.")
    given = [flag for flag, is_given in ignored.items() if is_given]
    if given:
        raise UsageError(f"--engine checks files and duplicates alone: leave {', '.join(given)} out.")
    prepare_engine(engine)
    runtime = terminal.runtime(runtime_options, quiet=quiet)
    result = audit_parts(data, out, engine, runtime_options, runtime.progress)
    if json:
        show_json(result.as_json())
    else:
        show(parts_audit_text(result), wrap=False)
    return int(result.run.images == sum(result.read_errors.values()))
