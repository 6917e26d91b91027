"""twofold explain"""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from twofold.cli import terminal
from twofold.cli.output import show, show_error, show_json, show_notes
from twofold.cli.predict_command import check_no_addresses
from twofold.core.options import RuntimeOptions

if TYPE_CHECKING:
    from twofold.report.evidence_files import EvidenceFiles
    from twofold.workflows.explain import Explainer, Explanation


def explain(
    bundle: Annotated[Path, typer.Argument(help="A bundle.", metavar="BUNDLE")],
    paths: Annotated[
        list[str], typer.Argument(help="Images, folders and archives of images.", metavar="PATH…", show_default=False)
    ],
    runtime_options: RuntimeOptions,
    out: Annotated[Path, typer.Option(help="Folder for an overlay and a map of each image.")] = Path("explained"),
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress.")] = False,
) -> int:
    """Show where in each image the evidence for its label lies: an overlay, NAME.png, and the map itself, NAME.npy.

    Orange speaks for the positive class, blue for the negative class. A map sums up to the logit where the network's features are
    means and standard deviations over places; elsewhere patches are covered. The exit code is 1 where no image could be read.
    """
    from twofold.bundle.storage import load_bundle
    from twofold.core.errors import DataError
    from twofold.data import iterate_files
    from twofold.report.evidence_files import plan_files
    from twofold.workflows.explain import Explainer

    loaded_bundle = load_bundle(bundle)
    check_no_addresses("explain", paths)
    files = list(iterate_files(map(Path, paths)))
    if not files:
        raise DataError(f"There is no file in {' '.join(paths)}; name images or folders of images.")
    planned = plan_files(files, out)
    explainer = Explainer(loaded_bundle, terminal.runtime(runtime_options, quiet=quiet))
    records = _explain(explainer, files, planned, as_json=json)
    if json:
        show_json(records)
    show_notes(explainer.notes)
    readable = sum("overlay" in record for record in records)
    if readable and not json:
        show(f"Wrote {out}: an overlay and a map of {readable} of {len(files)} files", wrap=False)
    if readable < len(files):
        show_error(f"twofold: no explanation for {len(files) - readable} of {len(files)} files.")
    return int(readable == 0)


def _explain(
    explainer: "Explainer", files: Sequence[Path], planned: "Sequence[EvidenceFiles]", *, as_json: bool
) -> list[dict[str, Any]]:
    """The records of all explanations; prints a line for each unless `as_json`."""
    from twofold.report.explanation_text import explanation_record, format_explanation

    records = []
    with closing(explainer.stream(files)) as explanations:
        shown = explainer.runtime.progress(explanations, len(files), "images") if as_json else explanations
        for path, target, explanation in zip(files, planned, shown, strict=True):
            written = _write(explainer, path, target, explanation)
            records.append(explanation_record(explanation, target.as_json() if written else {}))
            if not as_json:
                show(format_explanation(explanation, explainer.model.classes[1]), wrap=False)
    return records


def _write(explainer: "Explainer", path: Path, target: "EvidenceFiles", explanation: "Explanation") -> bool:
    """Whether there is a map, which is then written."""
    from twofold.data import ReadError
    from twofold.report.evidence_files import write_files

    image = None if explanation.map is None else explainer.open(path)
    if image is None or isinstance(image, ReadError) or explanation.map is None:
        return False
    write_files(target, image, explanation.map)
    return True
