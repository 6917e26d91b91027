"""twofold evaluate"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from twofold.cli import terminal
from twofold.cli.output import show, show_error, show_json
from twofold.cli.report_command import write_report
from twofold.core.options import DataOptions, DecisionOptions, RuntimeOptions

if TYPE_CHECKING:
    from twofold.bundle.storage import Bundle
    from twofold.embedding import Runtime
    from twofold.evaluation import Requirement
    from twofold.workflows.evaluate import EvaluationResult
    from twofold.workflows.report import ReportData


def evaluate(
    bundle: Annotated[Path, typer.Argument(help="A bundle.", metavar="BUNDLE")],
    bundle_and_data: Annotated[
        list[str],
        typer.Argument(
            help="Labelled images, as for train; before them, a second bundle to compare with.",
            metavar="[BUNDLE] DATA",
        ),
    ],
    data_options: DataOptions,
    decision_options: DecisionOptions,
    runtime_options: RuntimeOptions,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for report.html, figures, predictions.csv and evaluation.json; of two bundles also differences.csv.",
            rich_help_panel="Output",
        ),
    ] = None,
    thumbnails: Annotated[
        bool,
        typer.Option(
            "--thumbnails/--no-thumbnails",
            help="Show images in report.html.",
            rich_help_panel="Output",
        ),
    ] = True,
    require: Annotated[
        list[str] | None,
        typer.Option(
            help="Requirement on a metric of the first bundle on unseen images; exit code 3 if not met: 'accuracy>=0.95', "
            "'recall:CLASS>=0.95', or, for the lower end of the interval, 'recall:CLASS.low>=0.95'.",
            rich_help_panel="Output",
        ),
    ] = None,
    positive: Annotated[
        str | None,
        typer.Option(
            help="The class of precision, recall and F1; decisions do not change.",
            rich_help_panel="Output",
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.", rich_help_panel="Output")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress.", rich_help_panel="Output")] = False,
) -> int:
    """Evaluate a bundle, or compare two, on labelled images.

    With a policy the bundle's rule is replaced for this evaluation; nothing is written to it.
    """
    from twofold.bundle.storage import load_bundle
    from twofold.core.errors import UsageError
    from twofold.core.privacy import public_address
    from twofold.evaluation import parse_requirement
    from twofold.fetching import resolve
    from twofold.report import check_drawing
    from twofold.report.evaluation_files import write_evaluation
    from twofold.report.evaluation_text import evaluation_text
    from twofold.workflows.decide import with_rule
    from twofold.workflows.evaluate import evaluate_bundles, is_alphabetical

    if len(bundle_and_data) > 2:
        raise UsageError("evaluate takes BUNDLE DATA, or BUNDLE BUNDLE DATA.")
    if out is not None:
        check_drawing("--out", out)
    for text in require or []:
        parse_requirement(text)  # before anything is read
    *second, data = bundle_and_data
    paths = [bundle, *map(Path, second)]
    bundles = [with_rule(load_bundle(path), decision_options) for path in paths]
    by_alphabet, classes = positive is None and is_alphabetical(bundles[0]), bundles[0].model.classes
    rule = bundles[0].model.rule
    requirements = [parse_requirement(text, classes, alphabetical=by_alphabet, rule=rule) for text in require or []]
    runtime = terminal.runtime(runtime_options, quiet=quiet)
    images = resolve(data, runtime.folder, runtime.progress)
    result = evaluate_bundles(bundles, images, data_options, runtime, positive=positive)
    names = [path.name or str(path) for path in paths]
    if out is not None:
        write_evaluation(result, list(map(str, paths)), public_address(data), out)
        write_report(
            lambda: _report(bundles[0], names[0], result, runtime, thumbnails=thumbnails),
            out / "report.html",
        )
    if json:
        show_json(result.as_json())
    else:
        show(evaluation_text(result, names, out))
    return _check(result, requirements)


def _report(
    bundle: "Bundle", name: str, result: "EvaluationResult", runtime: "Runtime", *, thumbnails: bool
) -> "ReportData":
    from twofold.report.page.maps import with_maps
    from twofold.workflows.explain import Explainer
    from twofold.workflows.report import report_of_evaluation

    report = report_of_evaluation(bundle, name, result, thumbnails=thumbnails, max_pixels=runtime.options.max_pixels)
    return with_maps(report, Explainer(bundle, runtime))


def _check(result: "EvaluationResult", requirements: Sequence["Requirement"]) -> int:
    """The exit code. A message for each requirement that is not met goes to stderr."""
    evaluation = result.unseen
    if evaluation is None:
        failures = [
            f"{requirement} is not met: all test images duplicate training images." for requirement in requirements
        ]
    else:
        failures = [
            requirement.shortfall(evaluation) for requirement in requirements if not requirement.is_met(evaluation)
        ]
    for sentence in failures:
        show_error(f"twofold: {sentence}")
    return 3 if failures else 0
