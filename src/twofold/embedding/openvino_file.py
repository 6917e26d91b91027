"""Exported models as OpenVINO IR: written, read back and run."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twofold.core.errors import BackboneError
from twofold.data import ImageArray
from twofold.embedding.compilation import import_openvino


def write_openvino(graph: bytes, folder: Path) -> None:
    """Writes an ONNX model as `model.xml` and `model.bin`, its constants as they are. BackboneError where OpenVINO refuses it."""
    openvino = import_openvino()
    try:
        openvino.save_model(openvino.Core().read_model(graph), folder / "model.xml", compress_to_fp16=False)
    except RuntimeError as error:
        raise _failure("convert", error) from error


def open_openvino(file: Path) -> tuple[Callable[[ImageArray], Mapping[str, NDArray[Any]]], str]:
    """The program in a model.xml, and the name of its runtime. BackboneError where OpenVINO refuses the file.

    It computes in float32 where the network is not int8: resizing in bfloat16 would change the pixels.
    """
    openvino = import_openvino()
    try:
        request = openvino.Core().compile_model(file, "CPU", {"INFERENCE_PRECISION_HINT": "f32"}).create_infer_request()
    except RuntimeError as error:
        raise _failure("open", error) from error
    names = [name for output in request.model_outputs for name in output.get_names()]  # some have two

    def answer(image: ImageArray) -> dict[str, NDArray[Any]]:
        try:
            request.infer({"image": image})
            return {name: np.array(request.get_tensor(name).data) for name in names}
        except RuntimeError as error:
            raise _failure("run", error) from error

    return answer, f"openvino {openvino.__version__.partition('-')[0]}"


def _failure(verb: str, error: RuntimeError) -> BackboneError:
    lines = str(error).strip().splitlines() or ["no reason given"]
    return BackboneError(f"OpenVINO cannot {verb} the exported model: {lines[-1].rstrip('.')}.")
