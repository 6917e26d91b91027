"""export: a bundle as a file for other programs, compared with the bundle before it is written."""

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from twofold.bundle.storage import Bundle, scoring_of
from twofold.core.errors import BackboneError, UsageError
from twofold.core.files import check_writable, write_errors
from twofold.core.json_text import json_text
from twofold.core.options import ExportOptions, ExportTarget
from twofold.core.replacement import move_folder, temporary_folder
from twofold.data import ImageArray, PreprocessedImage, Preprocessing, preprocess
from twofold.embedding import Runtime
from twofold.embedding.openvino_file import open_openvino, write_openvino
from twofold.networks.onnx_program import Program, open_onnx
from twofold.workflows.parity import Parity, check_parity, compare
from twofold.workflows.predict import Predictor
from twofold.workflows.report_images import data_files
from twofold.workflows.training_images import find_training_data

FILES: Final = ("model.onnx", "model.xml", "model.bin", "model.tflite", "model.mlpackage", "parity.json")
FIXED_SIZE: Final = ("litert", "coreml")
"""The targets whose models take model inputs: their runtimes take images of one size."""

_RUNS_COREML: Final = sys.platform == "darwin"
_UNCOMPARED: Final = "Core ML runs on macOS alone; an export that is made there is compared"


@dataclass(frozen=True, slots=True)
class ExportResult:
    """What `export` returns: the folder, its files, and the comparison that allowed them; None where it could not be made."""

    folder: Path
    target: ExportTarget
    files: tuple[Path, ...]
    parity: Parity | None = field(repr=False)

    def as_json(self) -> dict[str, Any]:
        """The result as JSON."""
        files = [str(file) for file in self.files]
        return {"folder": str(self.folder), "to": self.target, "files": files, "parity": _parity_json(self.parity)}


def _parity_json(parity: Parity | None) -> dict[str, Any]:
    return {"not_compared": _UNCOMPARED} if parity is None else parity.as_json()


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

    It is compared with the bundle first, on images of `data`, by default those of the training; models of Core ML on macOS alone.
    Raises TwofoldError where it differs by more than the options allow, UsageError for a folder that is not free, DataError
    where there are too few images, BackboneError where the network cannot be exported or its runtime is missing.
    """
    if target in FIXED_SIZE and bundle.model.backbone.dtype == "int8":
        raise BackboneError(
            f"The network of {bundle.path} runs in int8, which is not exported to {target}: train with `dtype='f32'`."
        )
    check_export_folder(out, force=force)
    compared = target != "coreml" or _RUNS_COREML
    files, _ = data_files(find_training_data(bundle) if data is None else data) if compared else ([], [])
    out.parent.mkdir(parents=True, exist_ok=True)
    with write_errors(out), temporary_folder(out) as folder:
        program = _WRITERS[target](bundle, folder)
        parity = None
        if program is not None:
            with Predictor(bundle, runtime) as predictor:
                parity = compare(bundle.model, predictor, *program, files, options.sample)
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


def _exported_graph(bundle: Bundle, *, plain: bool, resizing: bool = True) -> bytes:
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
    thresholds = Thresholds(rule.low, rule.high, gate)
    return build_exported_graph(model.backbone.graph, scoring, thresholds, metadata, plain=plain, resizing=resizing)


OpenProgram = tuple[Program, str]
"""A program, and the name of its runtime."""


def _write_onnx(bundle: Bundle, folder: Path) -> OpenProgram:
    (folder / "model.onnx").write_bytes(_exported_graph(bundle, plain=True))
    return open_onnx(folder / "model.onnx")


def _write_openvino(bundle: Bundle, folder: Path) -> OpenProgram:
    write_openvino(_exported_graph(bundle, plain=False), folder)
    return open_openvino(folder / "model.xml")


def _write_litert(bundle: Bundle, folder: Path) -> OpenProgram:
    from twofold.networks.litert_file import open_litert, write_litert  # here, because they import onnx

    write_litert(_exported_graph(bundle, plain=False, resizing=False), folder / "model.tflite")
    return _after_preprocessing(*open_litert(folder / "model.tflite"), bundle.model.backbone.preprocessing)


def _write_coreml(bundle: Bundle, folder: Path) -> OpenProgram | None:
    from twofold.networks.coreml_file import open_coreml, write_coreml  # likewise

    write_coreml(_exported_graph(bundle, plain=False, resizing=False), folder / "model.mlpackage")
    if not _RUNS_COREML:
        return None
    return _after_preprocessing(*open_coreml(folder / "model.mlpackage"), bundle.model.backbone.preprocessing)


def _after_preprocessing(
    run: Callable[[NDArray[np.uint8]], Mapping[str, NDArray[Any]]], runtime: str, preprocessing: Preprocessing
) -> OpenProgram:
    """The program from the pixels of an image: cropped and resized as twofold does, then run."""

    def answer(image: ImageArray) -> Mapping[str, NDArray[Any]]:
        preprocessed = preprocess(image, preprocessing, max_pixels=image.size)
        assert isinstance(preprocessed, PreprocessedImage)  # it was opened before
        inputs = np.stack(preprocessed.model_inputs)
        return {**run(inputs), "model_inputs": inputs}

    return answer, runtime


_WRITERS: Final[dict[ExportTarget, Callable[[Bundle, Path], OpenProgram | None]]] = {
    "onnx": _write_onnx,
    "openvino": _write_openvino,
    "litert": _write_litert,
    "coreml": _write_coreml,
}


def _record(bundle: Bundle, target: ExportTarget, options: ExportOptions, parity: Parity | None) -> dict[str, Any]:
    """The content of parity.json."""
    model = bundle.model
    return {
        "twofold": version("twofold"),
        "to": target,
        "bundle": bundle.record.get("sha256"),
        "dtype": model.backbone.dtype,
        "labels": [*model.classes, "unsure", "unfamiliar"],
        "input": _input_json(model.backbone.preprocessing, target),
        "limits": {"max_difference": options.max_difference, "max_flips": options.max_flips},
        **_parity_json(parity),
    }


def _input_json(preprocessing: Preprocessing, target: ExportTarget) -> dict[str, Any]:
    """What the exported model takes."""
    if target not in FIXED_SIZE:
        return {"name": "image", "dtype": "uint8", "shape": ["height", "width", 3]}
    shape = [len(preprocessing.crops), preprocessing.size, preprocessing.size, 3]
    return {
        "name": "model_inputs",
        "dtype": "float32" if target == "coreml" else "uint8",  # from 0 to 255 in both
        "shape": shape,
        "before": "The image is cropped and resized by `preprocessing`, as in docs/bundle.md; for the comparison twofold did it.",
        "preprocessing": asdict(preprocessing),
    }
