"""twofold train"""

from pathlib import Path
from typing import Annotated

import typer

from twofold.cli.machine import machine
from twofold.options import BackboneOptions, DataOptions, DecisionOptions, EngineOptions


def train(
    context: typer.Context,
    data: Annotated[
        Path, typer.Argument(help="A folder with one sub-folder a class, a CSV with path,label, or a flat folder.")
    ],
    out: Annotated[Path, typer.Option(help="The bundle to write: a folder, NAME.twofold.")],
    picture: DataOptions,
    network: BackboneOptions,
    decision: DecisionOptions,
    engine: EngineOptions,
    test: Annotated[Path | None, typer.Option(help="Other pictures of the same classes, to test on.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing bundle.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
) -> int:
    """Learn a model from labelled pictures and write it as a bundle."""
    from twofold.bundle import check_free
    from twofold.cli.show import print_json, print_training
    from twofold.saving import save
    from twofold.training import Recipe
    from twofold.training import train as run

    check_free(out, force=force)
    training = run(data, Recipe(picture, network, decision), machine(engine, quiet=quiet), test=test)
    save(training, out, command=context.obj, force=force)
    if json:
        print_json(training.as_json())
    else:
        print_training(training, out)
    return 0
