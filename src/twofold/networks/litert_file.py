"""Exported models for LiteRT, formerly TensorFlow Lite: converted by TensorFlow, run by LiteRT's interpreter."""

from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import onnx
from numpy.typing import NDArray

from twofold.core.errors import BackboneError
from twofold.core.hints import require
from twofold.core.third_party import summarise_error
from twofold.networks.converter_process import run_converter
from twofold.networks.tensorflow_operators import compute, unknown_operators


def write_litert(graph: bytes, file: Path) -> None:
    """Writes an ONNX model of one input with fixed sizes as .tflite.

    Raises BackboneError for an operator that is not known, without TensorFlow or LiteRT, or where the conversion fails.
    """
    unknown = unknown_operators(onnx.load_from_string(graph))
    if unknown:
        raise BackboneError(
            f"The network has operators that twofold does not convert to LiteRT: {', '.join(unknown)}. Export to ONNX instead."
        )
    require("An export to LiteRT", "tensorflow", "ai_edge_litert", extra="litert")
    with TemporaryDirectory() as folder:
        source = Path(folder) / "model.onnx"
        source.write_bytes(graph)
        run_converter(__name__, source, file)


def convert(source: Path, target: Path) -> None:
    """Converts model.onnx to .tflite in this process, where TensorFlow writes to stderr."""
    import tensorflow as tf

    model = onnx.load(source)
    (entry,) = model.graph.input
    kind = entry.type.tensor_type
    dtype = onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type)
    spec = tf.TensorSpec([size.dim_value for size in kind.shape.dim], dtype, name=entry.name)
    function = tf.function(lambda value: compute(tf, model, {entry.name: value}), autograph=False)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function(spec)], tf.Module())
    try:
        target.write_bytes(converter.convert())
    except Exception as error:  # its exceptions have no common class
        raise BackboneError(f"TensorFlow cannot convert the network: {summarise_error(error)}.") from error


def open_litert(file: Path) -> tuple[Callable[[NDArray[Any]], Mapping[str, NDArray[Any]]], str]:
    """The program in a .tflite, from its input to its outputs by name, and the name of its runtime.

    Raises BackboneError without LiteRT, or where it refuses the file.
    """
    require("An export to LiteRT", "ai_edge_litert", extra="litert")
    from ai_edge_litert.interpreter import Interpreter

    try:
        run = Interpreter(str(file)).get_signature_runner()
    except (RuntimeError, ValueError) as error:
        raise BackboneError(f"LiteRT cannot open the exported model: {summarise_error(error)}.") from error
    (name,) = run.get_input_details()

    def answer(values: NDArray[Any]) -> Mapping[str, NDArray[Any]]:
        try:
            outputs: Mapping[str, NDArray[Any]] = run(**{name: values})
        except (RuntimeError, ValueError) as error:
            raise BackboneError(f"LiteRT cannot run the exported model: {summarise_error(error)}.") from error
        return outputs

    return answer, f"ai-edge-litert {version('ai-edge-litert')}"
