"""twofold evaluate"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from twofold.cli.terminal import runtime
from twofold.core.options import DataOptions, RuntimeOptions

if TYPE_CHECKING:
    from twofold.evaluation import Requirement
    from twofold.workflows.evaluate import EvaluationResult


def evaluate(
    bundle: Annotated[Path, typer.Argument(help="A bundle.", metavar="BUNDLE")],
    others: Annotated[
        list[str],
        typer.Argument(
            help="Labelled pictures; before them, a second bundle to compare with.", metavar="[BUNDLE] DATA"
        ),
    ],
    image: DataOptions,
    engine: RuntimeOptions,
    out: Annotated[Path | None, typer.Option(help="A folder for the figures and the JSON.")] = None,
    require: Annotated[
        list[str] | None,
        typer.Option(
            help="What the first bundle must reach on images not trained on, as 'accuracy>=0.95', 'recall:CLASS>=0.95', or "
            "'recall:CLASS.low>=0.95' for the lower end of its interval; else exit code 3."
        ),
    ] = None,
    positive: Annotated[
        str | None,
        typer.Option(help="The class that precision, recall and the like speak of; the answers do not change."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
) -> int:
    """Measure a bundle, or two, on labelled pictures."""
    from twofold.bundle.storage import load_bundle
    from twofold.core.errors import UsageError
    from twofold.core.files import replacing
    from twofold.evaluation import parse_requirement
    from twofold.fetching import resolve
    from twofold.report import check_drawing, write_figures
    from twofold.report.result_text import as_text, print_json, print_testing
    from twofold.workflows.evaluate import evaluate_bundles, is_alphabetical

    if len(others) > 2:
        raise UsageError("evaluate takes BUNDLE DATA, or BUNDLE BUNDLE DATA.")
    if out is not None:
        check_drawing("--out", out)
    for text in require or []:
        parse_requirement(text)  # before anything is read
    bundles = [load_bundle(bundle), *map(load_bundle, others[:-1])]
    by_alphabet, classes = positive is None and is_alphabetical(bundles[0]), bundles[0].model.classes
    requirements = [parse_requirement(text, classes, alphabetical=by_alphabet) for text in require or []]
    here = runtime(engine, quiet=quiet)
    testing = evaluate_bundles(bundles, resolve(others[-1], here.folder, here.progress), image, here, positive=positive)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        name, judged = testing.leakage.headline(testing.evaluation)
        write_figures(judged, out, of=name if testing.leakage.images else "")
        with replacing(out / "evaluation.json") as file:
            file.write(as_text(testing.as_json()))
    if json:
        print_json(testing.as_json())
    else:
        print_testing(testing, out)
    return _judged(testing, requirements)


def _judged(testing: "EvaluationResult", requirements: Sequence["Requirement"]) -> int:
    """The exit code, having said what is not met."""
    found = testing.unseen
    if found is None:
        unmet = [f"{requirement} is not met: all test images were trained on." for requirement in requirements]
    else:
        unmet = [requirement.shortfall(found) for requirement in requirements if not requirement.met(found)]
    for sentence in unmet:
        typer.echo(f"twofold: {sentence}", err=True)
    return 3 if unmet else 0
