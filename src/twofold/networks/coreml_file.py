"""Exported models for Core ML: converted by onnx2coreml and coremltools anywhere, run on macOS alone."""

import json
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray

from twofold.core.errors import BackboneError
from twofold.core.hints import require
from twofold.core.third_party import summarise_error
from twofold.networks.converter_process import run_converter

DEPLOYMENT_TARGET: Final = "iOS16"  # or macOS 13


def write_coreml(graph: bytes, folder: Path) -> None:
    """Writes an ONNX model of one input with fixed sizes as .mlpackage, a folder: in float32, its input, too.

    Raises BackboneError without its packages, or where they refuse the model: they name operators that they do not know.
    """
    require("An export to Core ML", "coremltools", "onnx2coreml", "onnxruntime", extra="coreml")
    with TemporaryDirectory() as temporary:
        source = Path(temporary) / "model.onnx"
        model = onnx.load_from_string(graph)
        model.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.FLOAT  # Core ML has no arrays of uint8
        onnx.save(model, source)
        run_converter(__name__, source, folder)


def convert(source: Path, target: Path) -> None:
    """Converts model.onnx to .mlpackage in this process, where coremltools writes to stderr."""
    import onnx2coreml
    import onnxruntime

    metadata = {entry.key: entry.value for entry in onnx.load(source).metadata_props}
    settings = onnxruntime.SessionOptions()  # computes what depends on sizes alone, as the batch size of torch
    settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    settings.optimized_model_filepath = str(source)
    onnxruntime.InferenceSession(source.read_bytes(), settings, providers=["CPUExecutionProvider"])
    try:
        model = onnx2coreml.convert(
            source, minimum_deployment_target=DEPLOYMENT_TARGET, compute_precision="fp32", compute_units="cpu_only"
        )
    except onnx2coreml.UnsupportedOpError as error:
        operators = ", ".join(sorted(error.missing))
        raise BackboneError(f"The network has operators that onnx2coreml does not convert: {operators}.") from error
    except onnx2coreml.Onnx2CoreMLError as error:
        raise BackboneError(f"onnx2coreml cannot convert the network: {summarise_error(error)}.") from error
    model.author = model.license = ""  # onnx2coreml writes its own
    model.short_description = f"Images as {json.loads(metadata['labels'])}"
    model.user_defined_metadata.update(metadata)
    model.save(str(target))
    (target / "Data" / "com.apple.CoreML" / "model.mlmodel").chmod(0o644)  # a temporary file until now


def open_coreml(folder: Path) -> tuple[Callable[[NDArray[Any]], Mapping[str, NDArray[Any]]], str]:
    """The program in a .mlpackage, on macOS alone, and the name of its runtime."""
    import coremltools

    model = coremltools.models.MLModel(str(folder))
    (entry,) = model.get_spec().description.input

    def answer(values: NDArray[Any]) -> Mapping[str, NDArray[Any]]:
        outputs: Mapping[str, NDArray[Any]] = model.predict({entry.name: values.astype(np.float32)})
        return outputs

    return answer, f"coremltools {version('coremltools')}"
