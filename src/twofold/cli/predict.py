"""twofold predict"""

import sys
from pathlib import Path
from typing import Annotated

import typer

from twofold.cli.machine import machine
from twofold.options import EngineOptions


def predict(
    bundle: Annotated[Path, typer.Argument(help="A bundle.")],
    paths: Annotated[
        list[str],
        typer.Argument(help="Pictures, folders and archives of pictures; - reads paths from stdin.", metavar="PATH…"),
    ],
    engine: EngineOptions,
    out: Annotated[Path | None, typer.Option(help="Write the answers to this CSV file.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the answers as JSON.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
) -> int:
    """Answer for new pictures: path, label, probability, logit and, where there is no label, the reason."""
    from twofold.bundle import load_bundle
    from twofold.cli.show import print_answers
    from twofold.data import list_files
    from twofold.errors import DataError
    from twofold.writing import check_replaceable

    if out is not None:
        check_replaceable(out, "path,label,probability,", "table of answers")
    loaded = load_bundle(bundle)
    files = list_files([Path(path) for path in (_lines() if paths == ["-"] else paths)])
    if not files:
        raise DataError(f"There is no file in {' '.join(paths)}; name pictures or folders that hold some.")
    answers = loaded.predict(files, machine(engine, quiet=quiet))
    print_answers(answers, out, as_json=json)
    return 0


def _lines() -> list[str]:
    return [line.rstrip("\r\n") for line in sys.stdin if line.strip()]
