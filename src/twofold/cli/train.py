"""twofold train"""

from pathlib import Path
from typing import Annotated

import typer

from twofold.cli.machine import machine
from twofold.options import (
    BackboneOptions,
    DataOptions,
    DecisionOptions,
    EngineOptions,
    LearningOptions,
    TrainingOptions,
)


def train(
    context: typer.Context,
    data: Annotated[
        Path, typer.Argument(help="A folder with one sub-folder a class, a CSV with path,label, or a flat folder.")
    ],
    out: Annotated[Path, typer.Option(help="The bundle to write: a folder, NAME.twofold.")],
    picture: DataOptions,
    network: BackboneOptions,
    learning: LearningOptions,
    decision: DecisionOptions,
    engine: EngineOptions,
    test: Annotated[Path | None, typer.Option(help="Other pictures of the same classes, to test on.")] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace an existing bundle, or learning that was begun.")
    ] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with learning that was broken off.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
) -> int:
    """Learn a model from labelled pictures and write it as a bundle.

    With --mode scratch or finetune the network learns, too: checkpoints and logs stand in NAME.learning beside the bundle.
    """
    from twofold.bundle import check_free
    from twofold.cli.show import print_json, print_training
    from twofold.place import Place
    from twofold.saving import save
    from twofold.training import train as run

    place = Place(out.with_name(out.name.removesuffix(".twofold") + ".learning"))
    check_free(out, force=force or (resume and place.begun))
    if learning.mode != "frozen":
        place.prepare(resume=resume, force=force)
    options = TrainingOptions(picture, network, learning, decision)
    training = run(data, options, machine(engine, quiet=quiet), test=test, place=place)
    save(training, out, command=context.obj, force=force or resume)
    if json:
        print_json(training.as_json())
    else:
        print_training(training, out)
    if training.learning is not None and training.learning.course.learned.interrupted:
        return 130
    place.clear()
    return 0
