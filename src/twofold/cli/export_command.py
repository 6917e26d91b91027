"""twofold export"""

from pathlib import Path
from typing import Annotated

import typer

from twofold.cli import terminal
from twofold.cli.output import show, show_json
from twofold.core.options import ExportOptions, ExportTarget, RuntimeOptions


def export(
    bundle: Annotated[Path, typer.Argument(help="A bundle.", metavar="BUNDLE")],
    options: ExportOptions,
    runtime_options: RuntimeOptions,
    to: Annotated[
        ExportTarget,
        typer.Option(
            help="onnx: ONNX Runtime; openvino: OpenVINO IR; litert: LiteRT (TensorFlow Lite); coreml: Core ML; bundle: a bundle "
            "without file names and scores, for handing on.",
            rich_help_panel="Output",
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder to write.", rich_help_panel="Output")],
    data: Annotated[
        str | None,
        typer.Option(
            help="Images to compare the exported model with the bundle on; default: those of the training.",
            rich_help_panel="Data",
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace an existing export.", rich_help_panel="Output")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.", rich_help_panel="Output")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress.", rich_help_panel="Output")] = False,
) -> int:
    """Write a bundle for other programs: one model from the pixels of an image of any size to its decision.

    It is written only where it answers as the bundle does, on images from their bytes; parity.json has the comparison. Models for
    litert and coreml take images that are cropped and resized already; coreml is compared on macOS alone.
    """
    from twofold.bundle.slim import write_slim_bundle
    from twofold.bundle.storage import load_bundle
    from twofold.fetching import resolve
    from twofold.report.export_text import export_text
    from twofold.workflows.model_export import export as workflow

    loaded_bundle = load_bundle(bundle)
    if to == "bundle":
        write_slim_bundle(loaded_bundle, out, force=force)
        show_json({"folder": str(out), "to": to}) if json else show(f"Wrote {out}", wrap=False)
        return 0
    runtime = terminal.runtime(runtime_options, quiet=quiet)
    images = None if data is None else resolve(data, runtime.folder, runtime.progress)
    result = workflow(loaded_bundle, to, out, options, runtime, data=images, force=force)
    show_json(result.as_json()) if json else show(export_text(result))
    return 0
