"""twofold train"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from twofold.cli.machine import machine
from twofold.errors import UsageError
from twofold.options import (
    BackboneOptions,
    DataOptions,
    DecisionOptions,
    EngineOptions,
    LearningOptions,
    TrainingOptions,
)

if TYPE_CHECKING:
    from twofold.training import Training


def train(
    context: typer.Context,
    data: Annotated[
        str,
        typer.Argument(
            help="A folder or an archive with one sub-folder a class, a CSV with path,label, a flat folder, an address, "
            "cats-dogs, kaggle:OWNER/NAME or hf:OWNER/NAME."
        ),
    ],
    out: Annotated[Path, typer.Option(help="The bundle to write: a folder, NAME.twofold.")],
    picture: DataOptions,
    network: BackboneOptions,
    learning: LearningOptions,
    decision: DecisionOptions,
    engine: EngineOptions,
    test: Annotated[str | None, typer.Option(help="Other pictures of the same classes, to test on.")] = None,
    figures: Annotated[
        Path | None, typer.Option(help="A folder for figures of how it learned and how well it does.")
    ] = None,
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
    from twofold.bundle import prepare_place
    from twofold.cli.show import print_json, print_training
    from twofold.fetching import resolve
    from twofold.place import Place
    from twofold.report import check_drawing
    from twofold.saving import save
    from twofold.training import train as run

    if not out.name:
        raise UsageError(f"--out {out} names no folder of its own; pass NAME.twofold.")
    place = Place(out.with_name(out.name.removesuffix(".twofold") + ".learning"))
    told = prepare_place(out, force=force or (resume and place.begun))
    if figures is not None:
        check_drawing("--figures", figures)
    options = TrainingOptions(picture, network, learning, decision)
    if learning.mode != "frozen":
        place.prepare(resume=resume, force=force)
    elif resume:
        raise UsageError("--resume is for --mode scratch or finetune; training on a frozen network takes seconds.")
    here = machine(engine, quiet=quiet)
    here.notes.extend(told)
    pictures = resolve(data, here.folder, here.watch)
    others = None if test is None else resolve(test, here.folder, here.watch)
    training = run(pictures, options, here, test=others, place=place)
    save(training, out, command=context.obj, force=force or resume)
    if figures is not None:
        _draw(training, figures)
    if json:
        print_json(training.as_json())
    else:
        print_training(training, out, figures)
    if training.interrupted:
        return 130
    if training.learning is not None:
        place.clear()
    return 0


def _draw(training: "Training", folder: Path) -> None:
    from twofold.report import write_curves, write_figures, write_tuning

    of = "validation" if training.scored == "validation" else "out-of-fold"
    write_figures(training.fit.evaluation, folder, of=of)
    if training.test is not None:
        name, judged = training.test.leaks.headline(training.test.evaluation)
        write_figures(judged, folder, of=name, prefix="test_")
    if training.learning is not None:
        course = training.learning.course
        write_curves(course.learned.history, course.learned.best, folder / "curves.svg")
        if course.tuning is not None:
            write_tuning(course.tuning, folder / "tuning.svg")
