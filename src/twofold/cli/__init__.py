"""The command line: one file a verb, each parse -> call -> print -> exit code."""

import sys
from collections.abc import Sequence
from importlib.metadata import version
from io import TextIOWrapper
from typing import Annotated

import typer

from twofold.cli.audit import audit
from twofold.cli.evaluate import evaluate
from twofold.cli.fetch import fetch
from twofold.cli.flags import flags
from twofold.cli.predict import predict
from twofold.cli.train import train
from twofold.errors import TwofoldError
from twofold.writing import printable

app = typer.Typer(
    name="twofold",
    help="Two folders of pictures in, a yes/no model you can trust out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (train, evaluate, predict, audit, fetch):
    app.command()(flags(command))


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"twofold {version('twofold')}")
        raise typer.Exit


@app.callback()
def _top(
    _: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    pass


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and gives its exit code; the only place where errors become text."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a terminal that lacks a letter shows its number
            stream.reconfigure(errors="backslashreplace")
    if isinstance(sys.stdin, TextIOWrapper):  # names of files need not be UTF-8
        sys.stdin.reconfigure(errors="surrogateescape")
    try:
        app(args=words, obj=["twofold", *words])
    except SystemExit as stop:  # how Typer ends, well or not
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except TwofoldError as error:
        typer.echo(f"twofold: {printable(str(error))}", err=True)
        return error.exit_code
    except OSError as error:
        typer.echo(f"twofold: {printable(str(error))}; nothing half-written is left behind.", err=True)
        return 1
    return 0
