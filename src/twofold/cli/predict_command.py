"""twofold predict"""

import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from twofold.cli import terminal
from twofold.cli.engine_environment import prepare_engine
from twofold.cli.output import show, show_error, show_json, show_notes
from twofold.core.errors import UsageError
from twofold.core.options import DecisionOptions, EngineName, RuntimeOptions

if TYPE_CHECKING:
    from twofold.bundle.model import Prediction

_MAX_NAMED: Final = 3  # addresses
_MAX_LISTED: Final = 100_000  # files of which a forecast is made
_READABLE: Final = (None, "unsure", "unfamiliar")  # the reasons of images that could be read


def predict(
    bundle: Annotated[Path, typer.Argument(help="A bundle.", metavar="BUNDLE")],
    paths: Annotated[
        list[str],
        typer.Argument(help="Images, folders and archives of images; - reads paths from stdin.", metavar="PATH…"),
    ],
    decision_options: DecisionOptions,
    runtime_options: RuntimeOptions,
    out: Annotated[
        Path | None,
        typer.Option(help="Write the predictions to this CSV file; with --engine, the folder of Parquet files."),
    ] = None,
    engine: Annotated[
        EngineName | None,
        typer.Option(
            help="For millions of images: compute them in parts that a later run continues. PATH may be a list."
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file of predictions.")] = False,
    always_answer: Annotated[
        bool, typer.Option("--always-answer", help="Label also images that are unsure or unfamiliar, by the threshold.")
    ] = False,
    save_features: Annotated[
        bool,
        typer.Option(
            "--save-features",
            help="With --engine, write the features of each image, too: train --features-from trains on them.",
        ),
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the predictions as JSON.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress.")] = False,
) -> int:
    """Predict the labels of images: path, label, probability, familiarity, logit and, for an image without a label, the reason.

    With a policy the bundle's rule is replaced for these predictions; nothing is written to it. The exit code is 1 where no image
    could be read. With --engine the folder of --out has the predictions in parts of 512 images, and a later run does the rest.
    """
    if engine is not None:
        return _predict_parts(
            bundle,
            paths,
            decision_options,
            runtime_options,
            out,
            engine,
            force=force,
            always_answer=always_answer,
            save_features=save_features,
            json=json,
            quiet=quiet,
        )
    if save_features:
        raise UsageError("--save-features needs --engine, whose folder of --out has room for them.")
    from twofold.bundle.storage import load_bundle
    from twofold.core.errors import DataError
    from twofold.core.files import check_replaceable
    from twofold.core.notes import count_text
    from twofold.core.progress import no_progress
    from twofold.report.predictions_text import write_predictions
    from twofold.workflows.decide import with_rule
    from twofold.workflows.forecast import Forecaster, Workload
    from twofold.workflows.predict import Predictor

    if out is not None:
        check_replaceable(out, "path,label,probability,", "table of predictions", force=force)
    loaded_bundle = with_rule(load_bundle(bundle), decision_options)
    if always_answer:
        loaded_bundle = loaded_bundle.always_answering()
    arguments = _lines() if paths == ["-"] else paths
    check_no_addresses("predict", arguments)
    # Rows on the terminal show the progress, and a bar would break them.
    rows_on_terminal = sys.stdout.isatty() and (out is None or json)
    runtime = terminal.runtime(runtime_options, quiet=quiet or rows_on_terminal)
    announce = None if rows_on_terminal else terminal.forecast(quiet=quiet)
    files, total = _list(arguments, counted=runtime.progress is not no_progress)
    if announce is not None:
        files, total = _counted(files, total)
        runtime = Forecaster(Workload(total), announce).watch(runtime) if total else runtime
    first = next(files, None)
    if first is None:
        raise DataError(f"There is no file in {' '.join(paths)}; name images or folders of images.")
    reasons: Counter[str | None] = Counter()
    with (
        Predictor(loaded_bundle, runtime) as predictor,
        closing(predictor.stream(chain([first], files))) as predictions,
    ):
        counted = _count(reasons, runtime.progress(predictions, total, "images"))
        count = write_predictions(counted, sys.stdout, out, as_json=json)
    if out is not None and not json:
        show(f"Wrote {out}: {count_text(count, 'image')}", wrap=False)
    show_notes(predictor.notes)  # stdout is for the predictions
    _show_reasons(reasons)
    return int(not any(reasons[reason] for reason in _READABLE))


def _predict_parts(
    bundle: Path,
    paths: Sequence[str],
    decision_options: DecisionOptions,
    runtime_options: RuntimeOptions,
    out: Path | None,
    engine: EngineName,
    *,
    force: bool,
    always_answer: bool,
    save_features: bool,
    json: bool,
    quiet: bool,
) -> int:
    """Predicts into a folder of parts."""
    from twofold.core.notes import count_text
    from twofold.workflows.scale.predict_parts import predict_bundle

    prepare_engine(engine)
    if out is None:
        raise UsageError("--engine needs --out, the folder that the parts go to.")
    if force:
        raise UsageError(
            "--engine continues what is in the folder of --out: leave --force out, or give another folder."
        )
    if paths == ["-"]:
        raise UsageError(
            "--engine reads no paths from stdin: write them to a .txt file, one on each line, and give that."
        )
    runtime = terminal.runtime(runtime_options, quiet=quiet)
    result = predict_bundle(
        bundle,
        paths,
        out,
        engine,
        decision_options,
        runtime_options,
        runtime.progress,
        always_answer=always_answer,
        save_features=save_features,
    )
    if json:
        show_json(result.as_json())
    else:
        before = f", {result.finished_before} of them before" if result.finished_before else ""
        show(
            f"Wrote {out}: {count_text(result.images, 'image')} in {count_text(result.parts, 'part')}{before}",
            wrap=False,
        )
        show_notes(result.notes)
    reasons = Counter(result.reasons)
    _show_reasons(reasons)
    return int(reasons.total() > 0 and not any(reasons[reason] for reason in _READABLE))


def _show_reasons(reasons: "Counter[str | None]") -> None:
    """Says how many files have no label, and why."""
    from twofold.core.notes import count_text

    without = {reason: count for reason, count in reasons.items() if reason is not None}
    if without:
        counts = ", ".join(f"{count} {reason}" for reason, count in sorted(without.items(), key=str))
        files = count_text(reasons.total(), "file")
        show_error(f"twofold: no prediction for {sum(without.values())} of {files} ({counts}).")


def _list(arguments: Sequence[str], *, counted: bool) -> tuple[Iterator[Path], int]:
    """The files and their number. Without `counted` the number is 0, and the files are listed lazily."""
    from twofold.data import iterate_files

    files = iterate_files(map(Path, arguments))
    if not counted:
        return files, 0
    listed = list(files)
    return iter(listed), len(listed)


def _counted(files: Iterator[Path], total: int) -> tuple[Iterator[Path], int]:
    """The same files and their number, 0 where there are too many to hold their names in memory."""
    if total:
        return files, total
    listed = list(islice(files, _MAX_LISTED + 1))
    return chain(listed, files), len(listed) if len(listed) <= _MAX_LISTED else 0


def _count(reasons: "Counter[str | None]", predictions: "Iterable[Prediction]") -> "Iterator[Prediction]":
    """The same predictions. Their reasons are counted, None for predictions with a label."""
    for prediction in predictions:
        reasons[prediction.reason] += 1
        yield prediction


def _lines() -> list[str]:
    return [line.rstrip("\r\n") for line in sys.stdin if line.strip()]


def check_no_addresses(command: str, arguments: Sequence[str]) -> None:
    """Raises UsageError where an argument of the command is an address: as a path it would name another file."""
    from twofold.core.errors import UsageError
    from twofold.core.privacy import public_address
    from twofold.data import address_advice, is_address

    addresses = [public_address(text) for text in arguments if is_address(text)]
    if addresses:
        more = f" and {len(addresses) - _MAX_NAMED} more" if len(addresses) > _MAX_NAMED else ""
        raise UsageError(
            f"{command} reads local files, not addresses, got {', '.join(addresses[:_MAX_NAMED])}{more}: "
            f"{address_advice(addresses[0])}."
        )
