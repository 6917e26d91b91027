"""twofold watch"""

from pathlib import Path
from typing import Annotated

import typer

from twofold.cli import terminal
from twofold.cli.output import show, show_json
from twofold.cli.predict_command import check_no_addresses
from twofold.core.options import RuntimeOptions


def watch(
    bundle: Annotated[Path, typer.Argument(help="A bundle.", metavar="BUNDLE")],
    new: Annotated[
        list[str],
        typer.Argument(
            help="New images, folders and archives of images, in the order in which they were taken.", metavar="NEW…"
        ),
    ],
    runtime_options: RuntimeOptions,
    state: Annotated[
        Path | None, typer.Option(help="JSON file to continue from; it is written, also where there is none yet.")
    ] = None,
    every: Annotated[
        int,
        typer.Option(help="Watch only every Nth image, where a camera shows a scene in up to N images.", metavar="N"),
    ] = 1,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress.")] = False,
) -> int:
    """Watch whether new images have changed, without labels, and estimate base rate and accuracy.

    The probability that a false alarm ever comes is at most 1%, however often one looks, if no two images show one scene. The
    exit code is 3 where there is or was an alarm.
    """
    from twofold.bundle.storage import load_bundle
    from twofold.core.errors import DataError, UsageError
    from twofold.core.files import check_writable_file
    from twofold.data import iterate_files
    from twofold.report.watch_text import watch_text
    from twofold.workflows.watch import Watch
    from twofold.workflows.watch_state import read_state, write_state

    check_no_addresses("watch", new)
    if every < 1:
        raise UsageError(f"`every` must be at least 1, got {every}.")
    if state is not None:
        check_writable_file(state)
    watching = Watch(load_bundle(bundle))
    before = None if state is None else read_state(state, watching.identity, watching.monitors)
    paths = list(iterate_files(map(Path, new)))
    if not paths:
        raise DataError(f"There is no file in {' '.join(new)}; name images or folders of images.")
    result = watching.follow(paths[::every], terminal.runtime(runtime_options, quiet=quiet), before)
    if result.read_errors.total() == len(paths[::every]):
        codes = ", ".join(f"{count} {code}" for code, count in sorted(result.read_errors.items()))
        raise DataError(f"Nothing in {' '.join(new)} is an image that can be read ({codes}): nothing was watched.")
    if state is not None:
        write_state(state, result.state)
    if json:
        show_json(result.as_json())
    else:
        show(watch_text(result, bundle.name or str(bundle)))
    return 3 if result.alarms else 0
