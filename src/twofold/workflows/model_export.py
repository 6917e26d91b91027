"""export: a bundle as a file for other programs, compared with the bundle before it is written."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from twofold.bundle.storage import Bundle, scoring_of
from twofold.core.errors import UsageError
from twofold.core.files import check_writable, write_errors
from twofold.core.json_text import json_text
from twofold.core.options import ExportOptions, ExportTarget
from twofold.core.replacement import move_folder, temporary_folder
from twofold.embedding import Runtime
from twofold.embedding.openvino_file import open_openvino, write_openvino
from twofold.networks.onnx_program import Program, open_onnx
from twofold.workflows.parity import Parity, check_parity, compare
from twofold.workflows.predict import Predictor
from twofold.workflows.report_images import data_files
from twofold.workflows.training_images import find_training_data

FILES: Final = ("model.onnx", "model.xml", "model.bin", "parity.json")
_UNTRIED: Final[dict[ExportTarget, str]] = {
    "litert": "There is no export to LiteRT: its converters bring TensorFlow or PyTorch, and none was tried. Export to "
    "ONNX, and use ONNX Runtime, which runs on phones, too.",
    "coreml": "There is no export to Core ML: coremltools reads no ONNX any more, and its models run, and so can be "
    "compared, on macOS alone. Use ONNX Runtime, which has a Core ML provider, with an export to ONNX.",
}


@dataclass(frozen=True, slots=True)
class ExportResult:
    """What `export` returns: the folder, its files, and the comparison that allowed them."""

    folder: Path
    target: ExportTarget
    files: tuple[Path, ...]
    parity: Parity = field(repr=False)

    def as_json(self) -> dict[str, Any]:
        """The result as JSON."""
        files = [str(file) for file in self.files]
        return {"folder": str(self.folder), "to": self.target, "files": files, "parity": self.parity.as_json()}


def export(
    bundle: Bundle,
    target: ExportTarget,
    out: Path,
    options: ExportOptions,
    runtime: Runtime,
    *,
    data: Path | None,
    force: bool,
) -> ExportResult:
    """Writes the model of a bundle for other programs into the folder `out`, whole or not at all, with `parity.json`.

    It is compared with the bundle first, on images of `data`, by default those of the training. Raises TwofoldError where it
    differs by more than the options allow, UsageError for a target that is not supported or a folder that is not free, DataError
    where there are too few images, BackboneError where the network cannot be exported or its runtime is missing.
    """
    if target in _UNTRIED:
        raise UsageError(_UNTRIED[target])
    check_export_folder(out, force=force)
    files, _ = data_files(find_training_data(bundle) if data is None else data)
    out.parent.mkdir(parents=True, exist_ok=True)
    with write_errors(out), temporary_folder(out) as folder:
        program, runtime_name = _WRITERS[target](bundle, folder)
        with Predictor(bundle, runtime) as predictor:
            parity = compare(bundle.model, predictor, program, runtime_name, files, options.sample)
        check_parity(parity, bundle.model, options, bundle.path)
        (folder / "parity.json").write_text(json_text(_record(bundle, target, options, parity)), encoding="utf-8")
        move_folder(folder, out, force=force)
    return ExportResult(out, target, tuple(sorted(out.iterdir())), parity)


def check_export_folder(out: Path, *, force: bool) -> None:
    """Raises UsageError where no export can be written at `out`. An empty folder is free."""
    if out.is_symlink() or (out.exists() and not out.is_dir()) or os.path.ismount(out):
        raise UsageError(f"{out} is not a plain folder; give another path.")
    check_writable(out)
    names = {entry.name for entry in out.iterdir()} if out.exists() else set()
    if names - set(FILES) or (names and "parity.json" not in names):
        raise UsageError(f"{out} exists and is not an export, so it is not replaced; give another path.")
    if names and not force:
        raise UsageError(f"{out} exists; replace it with `force=True`, or give another path.")


def _exported_graph(bundle: Bundle, *, plain: bool) -> bytes:
    from twofold.networks.exported_graph import (
        LABELS,
        Thresholds,
        build_exported_graph,
    )  # here, because they import onnx

    model, rule = bundle.model, bundle.model.rule
    scoring = scoring_of(model.backbone.preprocessing, model.head, model.probability_curve, model.familiarity)
    gate = None if rule.gate is None else float(rule.gate["level"])
    names = {"negative": model.classes[0], "positive": model.classes[1]}
    labels = json_text([names.get(label, label) for label in LABELS]).strip()
    metadata = {"labels": labels, "bundle": str(bundle.record.get("sha256")), "twofold": version("twofold")}
    return build_exported_graph(
        model.backbone.graph, scoring, Thresholds(rule.low, rule.high, gate), metadata, plain=plain
    )


def _write_onnx(bundle: Bundle, folder: Path) -> tuple[Program, str]:
    (folder / "model.onnx").write_bytes(_exported_graph(bundle, plain=True))
    return open_onnx(folder / "model.onnx")


def _write_openvino(bundle: Bundle, folder: Path) -> tuple[Program, str]:
    write_openvino(_exported_graph(bundle, plain=False), folder)
    return open_openvino(folder / "model.xml")


_WRITERS: Final[dict[ExportTarget, Callable[[Bundle, Path], tuple[Program, str]]]] = {
    "onnx": _write_onnx,
    "openvino": _write_openvino,
}


def _record(bundle: Bundle, target: ExportTarget, options: ExportOptions, parity: Parity) -> dict[str, Any]:
    """The content of parity.json."""
    model = bundle.model
    return {
        "twofold": version("twofold"),
        "to": target,
        "bundle": bundle.record.get("sha256"),
        "dtype": model.backbone.dtype,
        "labels": [*model.classes, "unsure", "unfamiliar"],
        "limits": {"max_difference": options.max_difference, "max_flips": options.max_flips},
        **parity.as_json(),
    }
