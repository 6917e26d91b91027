"""twofold train"""

from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated

import typer

from twofold.cli import terminal
from twofold.cli.output import show, show_json
from twofold.cli.report_command import write_report
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
    from twofold.embedding import Runtime
    from twofold.workflows.report import ReportData
    from twofold.workflows.training_result import TrainingResult


def train(
    context: typer.Context,
    data: Annotated[
        str,
        typer.Argument(
            help="A folder or archive with one sub-folder per class, a CSV file with path,label, a flat folder, an address, "
            "cats-dogs, kaggle:OWNER/NAME or hf:OWNER/NAME.",
            metavar="DATA",
        ),
    ],
    data_options: DataOptions,
    cross_validation_options: CrossValidationOptions,
    out: Annotated[Path, typer.Option(help="The bundle to write, NAME.twofold.", rich_help_panel="Output")],
    decision_options: DecisionOptions,
    backbone_options: BackboneOptions,
    learning_options: LearningOptions,
    runtime_options: RuntimeOptions,
    features_from: Annotated[
        Path | None,
        typer.Option(
            help="Open no image: take features and network from this folder of predict --save-features. DATA gives the labels.",
            rich_help_panel="Data",
        ),
    ] = None,
    positive: Annotated[
        str | None,
        typer.Option(help="The positive class; default: the second in alphabetical order.", rich_help_panel="Decision"),
    ] = None,
    test: Annotated[
        str | None,
        typer.Option(help="A test set with the same classes, in any form that DATA may have.", rich_help_panel="Data"),
    ] = None,
    figures: Annotated[Path | None, typer.Option(help="Folder to write figures to.", rich_help_panel="Output")] = None,
    thumbnails: Annotated[
        bool,
        typer.Option(
            "--thumbnails/--no-thumbnails",
            help="Show images in report.html. Without them a bundle holds no image.",
            rich_help_panel="Output",
        ),
    ] = True,
    force: Annotated[
        bool,
        typer.Option(
            "--force",
            help="Replace an existing bundle; start an unfinished training run again.",
            rich_help_panel="Output",
        ),
    ] = False,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume", help="Continue interrupted training; it ends with identical weights.", rich_help_panel="Output"
        ),
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.", rich_help_panel="Output")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress.", rich_help_panel="Output")] = False,
) -> int:
    """Train a model on labelled images and write it as a bundle.

    With --mode finetune or scratch the network is trained, too; NAME.learning beside the bundle holds checkpoints and logs.
    """
    from twofold.bundle.storage import prepare_output
    from twofold.core.timing import with_step
    from twofold.fetching import resolve
    from twofold.learning.run_folder import RunFolder
    from twofold.report import check_drawing
    from twofold.report.training_text import training_text
    from twofold.workflows.save import save
    from twofold.workflows.train import train as train_model

    if not out.name:
        raise UsageError(f"--out {out} does not name a folder; pass NAME.twofold.")
    run_folder = RunFolder(out.with_name(out.name.removesuffix(".twofold") + ".learning"))
    output_notes = prepare_output(out, force=force or (resume and run_folder.resumable))
    if figures is not None:
        check_drawing("--figures", figures)
    options = TrainingOptions(
        data_options, backbone_options, learning_options, cross_validation_options, decision_options, positive
    )
    if learning_options.mode != "frozen":
        run_folder.prepare(resume=resume, force=force)
    elif resume:
        raise UsageError("--resume needs --mode finetune or scratch; with a frozen network training takes seconds.")
    runtime = terminal.runtime(runtime_options, quiet=quiet)
    images = resolve(data, runtime.folder, runtime.progress)
    test_images = None if test is None else resolve(test, runtime.folder, runtime.progress)
    if features_from is not None:
        from twofold.workflows.feature_training import train_on_features

        result, thumbnails = train_on_features(images, features_from, options, runtime, test=test_images), False
    else:
        announce = terminal.forecast(quiet=quiet)
        result = train_model(images, options, runtime, test=test_images, run_folder=run_folder, announce=announce)
    result = replace(result, notes=(*result.notes, *output_notes))
    save(result, out, command=context.obj, force=force or resume)
    start = perf_counter()
    write_report(lambda: _report(result, out, runtime, thumbnails=thumbnails), out / "report.html")
    shown = replace(result, seconds=with_step(result.seconds, "report", start))  # evaluation.json is written already
    if figures is not None:
        _draw(result, figures)
    if json:
        show_json(result.as_json())
    else:
        show(training_text(shown, out, figures))
    if result.interrupted:
        return 130
    if result.learning is not None:
        run_folder.clear()
    return 0


def _report(result: "TrainingResult", out: Path, runtime: "Runtime", *, thumbnails: bool) -> "ReportData":
    from twofold.bundle.storage import load_bundle
    from twofold.report.page.maps import with_maps
    from twofold.workflows.explain import Explainer
    from twofold.workflows.report import report_of_training

    bundle = load_bundle(out)
    report = report_of_training(bundle, result, thumbnails=thumbnails, max_pixels=runtime.options.max_pixels)
    return with_maps(report, Explainer(bundle, runtime))


def _draw(result: "TrainingResult", folder: Path) -> None:
    from twofold.report import write_curves, write_figures, write_tuning

    title = "validation" if result.evidence == "validation" else "out-of-fold"
    write_figures(result.fit.evaluation, folder, title=title)
    if result.test is not None:
        test_title, test_evaluation = result.test.leakage.headline(result.test.evaluation)
        write_figures(test_evaluation, folder, title=test_title, prefix="test_")
    if result.learning is not None:
        training_run = result.learning.run
        write_curves(training_run.history.epochs, training_run.history.best_epoch, folder / "curves.svg")
        if training_run.tuning is not None:
            write_tuning(training_run.tuning, folder / "tuning.svg")
