"""The command line: one file a verb, each parse -> call -> print -> exit code."""

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import version
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, Final

import typer

from twofold.cli.audit_command import audit
from twofold.cli.evaluate_command import evaluate
from twofold.cli.fetch_command import fetch
from twofold.cli.flags import flags, with_flags
from twofold.cli.predict_command import predict
from twofold.cli.train_command import train
from twofold.core.errors import TwofoldError
from twofold.core.files import printable, reason

_CLOSED: Final = 141  # whoever read the output has ended, as head does: what a shell gives for other programs then

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
    _prepare_streams()
    try:
        code = _run(words)
        sys.stdout.flush()  # here, where what goes wrong can be told
    except TwofoldError as error:
        code = _tell(str(error), error.exit_code)
    except OSError as error:
        code = _tell_system(error)
    return code


def _run(words: Sequence[str]) -> int:
    try:
        app(args=words, obj=["twofold", *words])
    except SystemExit as stop:  # how Typer ends, well or not
        if isinstance(stop.__context__, BrokenPipeError):  # which Typer takes for an error like others
            raise stop.__context__ from None
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    return 0


def _tell(sentence: str, code: int) -> int:
    with suppress(OSError):  # nobody listens there, either
        typer.echo(f"twofold: {printable(with_flags(sentence))}", err=True)
    return code


def _tell_system(error: OSError) -> int:
    if error.filename is not None:
        return _tell(f"{error.filename} cannot be read or written: {reason(error)}.", 1)
    # What is left of stdout would be tried again, and told in a traceback, when the process ends.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return (
        _CLOSED if isinstance(error, BrokenPipeError) else _tell(f"The output cannot be written: {reason(error)}.", 1)
    )


def _prepare_streams() -> None:
    """Any name of a file can be read and shown, and a stream that whoever started twofold has closed takes what comes."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115  # until the end
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a terminal that lacks a letter shows its number
            stream.reconfigure(errors="backslashreplace")
    if isinstance(sys.stdin, TextIOWrapper):  # names of files need not be UTF-8
        sys.stdin.reconfigure(errors="surrogateescape")
