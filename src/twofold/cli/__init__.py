"""The command line: one file per command, each parse -> call -> print -> exit code."""

import errno
import os
import sys
from collections.abc import Sequence
from importlib.metadata import version
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, Final

import typer

from twofold.cli.audit_command import audit
from twofold.cli.decide_command import decide
from twofold.cli.doctor_command import doctor
from twofold.cli.evaluate_command import evaluate
from twofold.cli.explain_command import explain
from twofold.cli.export_command import export
from twofold.cli.fetch_command import fetch
from twofold.cli.flags import flags
from twofold.cli.help_pages import Command, Group
from twofold.cli.label_command import label
from twofold.cli.output import show_error
from twofold.cli.predict_command import predict
from twofold.cli.report_command import report
from twofold.cli.review_command import review
from twofold.cli.serve_command import serve
from twofold.cli.split_command import split
from twofold.cli.train_command import train
from twofold.cli.usage_errors import explain as explain_usage_error
from twofold.cli.watch_command import watch
from twofold.core.errors import NotRankZeroError, TwofoldError
from twofold.core.files import reason

_CLOSED: Final = 141  # stdout was closed by its reader, such as `head`: the exit code of a process that SIGPIPE ends


app = typer.Typer(
    name="twofold",
    cls=Group,
    help="Two folders of images in, a yes/no model you can trust out.",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (
    train,
    evaluate,
    predict,
    explain,
    decide,
    report,
    review,
    label,
    audit,
    split,
    fetch,
    serve,
    watch,
    export,
    doctor,
):
    app.command(cls=Command)(flags(command))


def _show_version(show: bool) -> None:
    if show:
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
    """The exit code of one command, which is run here. The only place where errors become text."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    _prepare_streams()
    try:
        code = _run(words) if words else _run(["--help"]) or 2
        sys.stdout.flush()  # here, where an error can still be shown
    except typer.TyperException as error:
        code = _fail(explain_usage_error(error), error.exit_code)
    except NotRankZeroError as error:  # the first process prints the result
        code = error.exit_code
    except TwofoldError as error:
        code = _fail(str(error), error.exit_code)
    except OSError as error:
        code = _fail_on_system(error)
    except ModuleNotFoundError as error:  # where twofold was installed to answer alone
        package = (error.name or "").partition(".")[0]
        if package in ("", "twofold"):
            raise
        code = _fail(
            f"This needs the package {package}, which is not installed: twofold doctor says what is missing.", 1
        )
    return code


def _run(words: Sequence[str]) -> int:
    try:
        return app(args=words, prog_name="twofold", standalone_mode=False, obj=["twofold", *words]) or 0
    except SystemExit as stop:
        if isinstance(stop.__context__, BrokenPipeError):  # which Typer turns into exit code 1
            raise stop.__context__ from None
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)


def _fail(sentence: str, code: int) -> int:
    show_error(f"twofold: {sentence}")
    return code


def _fail_on_system(error: OSError) -> int:
    if error.filename is not None:
        return _fail(f"{error.filename} cannot be read or written: {reason(error)}.", 1)
    output_error = _output_error(error)
    if output_error is None:
        return _fail(
            f"Reading or writing failed: {reason(error)}. Check files and disks, and run the command again.", 1
        )
    # Python flushes stdout once more when the process ends, and would print a traceback.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    if isinstance(output_error, BrokenPipeError):
        return _CLOSED
    return _fail(f"The output cannot be written: {reason(output_error)}.", 1)


def _output_error(error: OSError) -> OSError | None:
    """The error of stdout: this one where the disk is full or the reader is gone, else the one that a flush raises."""
    if isinstance(error, BrokenPipeError) or error.errno == errno.ENOSPC:
        return error
    try:
        sys.stdout.flush()
    except OSError as output_error:
        return output_error
    return None


def _prepare_streams() -> None:
    """Makes closed streams usable, and lets file names in any encoding be read and shown."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115  # until the process ends
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # characters outside the terminal's encoding become escapes
            stream.reconfigure(errors="backslashreplace")
    if isinstance(sys.stdin, TextIOWrapper):  # file names need not be UTF-8
        sys.stdin.reconfigure(errors="surrogateescape")
