"""Exported models in ONNX Runtime, which is an extra: it answers for every program that runs a model.onnx."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from twofold.core.errors import BackboneError
from twofold.core.hints import require
from twofold.data import ImageArray

Program = Callable[[ImageArray], Mapping[str, NDArray[Any]]]
"""The outputs of an exported model for an upright image, uint8 (height, width, 3), by their names."""


def open_onnx(file: Path, *, threads: int = 0) -> tuple[Program, str]:
    """The program in a file, and the name of its runtime. It computes in so many threads, 0: one for each processor.

    Raises BackboneError without ONNX Runtime, or where it refuses the file.
    """
    require("An export to ONNX", "onnxruntime", extra="export")
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 3  # errors
    settings.intra_op_num_threads = threads
    try:
        session = onnxruntime.InferenceSession(file, settings, providers=["CPUExecutionProvider"])
    except Exception as error:  # its exceptions have no common class
        raise BackboneError(f"ONNX Runtime cannot open the exported model: {_last_line(error)}.") from error
    names = [output.name for output in session.get_outputs()]

    def answer(image: ImageArray) -> dict[str, NDArray[Any]]:
        try:
            return dict(zip(names, session.run(names, {"image": image}), strict=True))
        except Exception as error:  # as above
            raise BackboneError(f"ONNX Runtime cannot run the exported model: {_last_line(error)}.") from error

    return answer, f"onnxruntime {onnxruntime.__version__}"


def _last_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[-1].rstrip(".")
