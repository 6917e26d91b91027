"""twofold audit"""

from pathlib import Path
from typing import Annotated

import typer

from twofold.cli.machine import machine
from twofold.options import BackboneOptions, DataOptions, DecisionOptions, EngineOptions


def audit(
    data: Annotated[str, typer.Argument(help="Labelled pictures: as for train.")],
    picture: DataOptions,
    network: BackboneOptions,
    engine: EngineOptions,
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
    from twofold.auditing import audit as run
    from twofold.cli.findings import print_audit
    from twofold.cli.show import print_json
    from twofold.data import write_ledger
    from twofold.fetching import resolve
    from twofold.writing import check_replaceable

    if out is not None:
        check_replaceable(out, "path,label,fate,", "ledger", force=force)
    here = machine(engine, quiet=quiet)
    others = None if against is None else resolve(against, here.folder, here.watch)
    found = run(
        resolve(data, here.folder, here.watch),
        picture,
        network,
        DecisionOptions(),
        here,
        against=others,
        quick=quick,
    )
    if out is not None:
        write_ledger(found.audit.ledger(), out)
    if json:
        print_json(found.as_json())
    else:
        print_audit(found, out)
    return 0
