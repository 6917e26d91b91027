"""The command line: one file a verb, each parse -> call -> print -> exit code."""

import os
import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import Annotated

import click
import typer

from twofold.cli.evaluate import evaluate
from twofold.cli.flags import flags
from twofold.cli.predict import predict
from twofold.cli.train import train
from twofold.errors import TwofoldError

app = typer.Typer(
    name="twofold",
    help="Two folders of pictures in, a yes/no model you can trust out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (train, evaluate, predict):
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
    """Runs one command and gives its exit code; the only place, with the server, where errors become text."""
    try:
        return int(app(args=None if arguments is None else list(arguments), standalone_mode=False) or 0)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except TwofoldError as error:
        print(f"twofold: {error}", file=sys.stderr)  # noqa: T201
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        print("twofold: stopped; nothing half-written is left behind.", file=sys.stderr)  # noqa: T201
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains again at exit
        return 0
