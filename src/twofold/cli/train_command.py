"""twofold train"""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from twofold.cli.terminal import runtime
from twofold.core.errors import UsageError
from twofold.core.options import (
    BackboneOptions,
    CrossValidationOptions,
    DataOptions,
    DecisionOptions,
    LearningOptions,
    RuntimeOptions,
    TrainingOptions,
)

if TYPE_CHECKING:
    from twofold.workflows.training_result import TrainingResult


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
    image: DataOptions,
    network: BackboneOptions,
    learning: LearningOptions,
    cross_validation: CrossValidationOptions,
    decision: DecisionOptions,
    engine: RuntimeOptions,
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
    from twofold.bundle.storage import prepare_output
    from twofold.fetching import resolve
    from twofold.learning.run_folder import RunFolder
    from twofold.report import check_drawing
    from twofold.report.result_text import print_json, print_training
    from twofold.workflows.save import save
    from twofold.workflows.train import train as run

    if not out.name:
        raise UsageError(f"--out {out} names no folder of its own; pass NAME.twofold.")
    place = RunFolder(out.with_name(out.name.removesuffix(".twofold") + ".learning"))
    told = prepare_output(out, force=force or (resume and place.begun))
    if figures is not None:
        check_drawing("--figures", figures)
    options = TrainingOptions(image, network, learning, cross_validation, decision)
    if learning.mode != "frozen":
        place.prepare(resume=resume, force=force)
    elif resume:
        raise UsageError("--resume is for --mode scratch or finetune; training on a frozen network takes seconds.")
    here = runtime(engine, quiet=quiet)
    images = resolve(data, here.folder, here.progress)
    others = None if test is None else resolve(test, here.folder, here.progress)
    training = run(images, options, here, test=others, run_folder=place)
    training = replace(training, notes=(*training.notes, *told))
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


def _draw(training: "TrainingResult", folder: Path) -> None:
    from twofold.report import write_curves, write_figures, write_tuning

    of = "validation" if training.evidence == "validation" else "out-of-fold"
    write_figures(training.fit.evaluation, folder, of=of)
    if training.test is not None:
        name, judged = training.test.leakage.headline(training.test.evaluation)
        write_figures(judged, folder, of=name, prefix="test_")
    if training.learning is not None:
        training_run = training.learning.run
        write_curves(training_run.history.epochs, training_run.history.best, folder / "curves.svg")
        if training_run.tuning is not None:
            write_tuning(training_run.tuning, folder / "tuning.svg")
