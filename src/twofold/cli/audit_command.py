"""twofold audit"""

from pathlib import Path
from typing import Annotated

import typer

from twofold.cli.terminal import runtime
from twofold.core.options import BackboneOptions, CrossValidationOptions, DataOptions, RuntimeOptions


def audit(
    data: Annotated[str, typer.Argument(help="Labelled pictures: as for train.")],
    image: DataOptions,
    network: BackboneOptions,
    engine: RuntimeOptions,
    against: Annotated[
        str | None, typer.Option(help="Other pictures: which of DATA are also there? A folder, an archive or a CSV.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Write the ledger, a row for every file met, to this CSV file.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing ledger.")] = False,
    quick: Annotated[
        bool, typer.Option("--quick", help="Without a network: files, copies and shortcuts; labels are not judged.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
) -> int:
    """Look for what is wrong with labelled pictures: bad files, copies, pictures that are elsewhere too, wrong labels."""
    from twofold.audit import write_file_report
    from twofold.core.files import check_replaceable
    from twofold.fetching import resolve
    from twofold.report.audit_text import print_audit
    from twofold.report.result_text import print_json
    from twofold.workflows.audit import audit as run

    if out is not None:
        check_replaceable(out, "path,label,status,", "file report", force=force)
    here = runtime(engine, quiet=quiet)
    others = None if against is None else resolve(against, here.folder, here.progress)
    found = run(
        resolve(data, here.folder, here.progress),
        image,
        network,
        CrossValidationOptions(),
        here,
        against=others,
        quick=quick,
    )
    if out is not None:
        write_file_report(found.audit.file_report(), out)
    if json:
        print_json(found.as_json())
    else:
        print_audit(found, out)
    return 0
