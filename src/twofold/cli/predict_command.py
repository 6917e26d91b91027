"""twofold predict"""

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import typer

from twofold.cli.terminal import runtime
from twofold.core.options import RuntimeOptions

_SHOWN: Final = 3  # addresses


def predict(
    bundle: Annotated[Path, typer.Argument(help="A bundle.")],
    paths: Annotated[
        list[str],
        typer.Argument(help="Pictures, folders and archives of pictures; - reads paths from stdin.", metavar="PATH…"),
    ],
    engine: RuntimeOptions,
    out: Annotated[Path | None, typer.Option(help="Write the answers to this CSV file.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file of answers.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the answers as JSON.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
) -> int:
    """Answer for new pictures: path, label, probability, logit and, where there is no label, the reason.

    The exit code is 1 where no picture could be read.
    """
    from twofold.bundle.storage import load_bundle
    from twofold.core.errors import DataError
    from twofold.core.files import check_replaceable, printable
    from twofold.data import list_files
    from twofold.report.result_text import print_answers

    if out is not None:
        check_replaceable(out, "path,label,probability,", "table of answers", force=force)
    loaded = load_bundle(bundle)
    given = _lines() if paths == ["-"] else paths
    _refuse_addresses(given)
    files = list_files([Path(path) for path in given])
    if not files:
        raise DataError(f"There is no file in {' '.join(paths)}; name pictures or folders that hold some.")
    here = runtime(engine, quiet=quiet)
    answers = loaded.predict(files, here)
    print_answers(answers, out, as_json=json)
    for note in here.notes:  # stdout is for the answers
        typer.echo(f"note: {printable(note.text)}", err=True)
    reasons = Counter(answer.reason for answer in answers if answer.label is None)
    if reasons:
        told = ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items(), key=str))
        typer.echo(f"twofold: {reasons.total()} of {len(answers)} files have no answer ({told}).", err=True)
    return int(reasons.total() == len(answers))


def _lines() -> list[str]:
    return [line.rstrip("\r\n") for line in sys.stdin if line.strip()]


def _refuse_addresses(given: Sequence[str]) -> None:
    """UsageError where a path is an address, of which a path would make something else."""
    from twofold.core.errors import UsageError
    from twofold.core.privacy import public_address
    from twofold.data import advice, is_address

    found = [public_address(text) for text in given if is_address(text)]
    if found:
        more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        raise UsageError(
            f"predict reads files on this machine and no addresses, got {', '.join(found[:_SHOWN])}{more}: {advice(found[0])}."
        )
