"""Tensors of the Open Inference Protocol (KServe v2, REST), with Triton's extension for binary data.

https://github.com/kserve/open-inference-protocol, https://github.com/triton-inference-server/server (protocol, binary data).
"""

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from twofold.bundle.model import Prediction
from twofold.serving.request_errors import RequestError
from twofold.serving.request_images import check_count, decode_base64, parse_json

INPUT: Final = {"name": "image", "datatype": "BYTES", "shape": [-1]}
"""Encoded images. UINT8 tensors of the shape [height, width, 3] or [n, height, width, 3] are read as well."""

OUTPUTS: Final[dict[str, str]] = {
    "label": "BYTES",
    "probability": "FP64",
    "familiarity": "FP64",
    "logit": "FP64",
    "reason": "BYTES",
}
"""The outputs and their types, each of the shape [n]. Numbers of images without a prediction are NaN, null in JSON."""

InputImage = bytes | NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class InferenceRequestBody:
    """The images of a request, and what it asks for: names of outputs, and which of them as binary data."""

    id: str | None
    images: tuple[InputImage, ...]
    outputs: tuple[str, ...]
    binary: frozenset[str]


def parse_inference(body: bytes, header_length: int | None, max_images: int) -> InferenceRequestBody:
    """The request in a body whose first `header_length` bytes are JSON. Raises RequestError."""
    content = parse_json(body if header_length is None else body[:header_length])
    inputs = content.get("inputs") if isinstance(content, dict) else None
    if not isinstance(inputs, list) or len(inputs) != 1 or not isinstance(inputs[0], dict):
        raise _bad("The request needs one input, which is named image")
    if inputs[0].get("name") != INPUT["name"]:
        raise _bad(f"The model has no input {inputs[0].get('name')!r}; its input is image")
    rest = b"" if header_length is None else body[header_length:]
    images = _images(inputs[0], rest, max_images)
    if not images:
        raise RequestError(400, "empty", "The request holds no image.")
    outputs, binary = _outputs(content)
    identity = content.get("id")
    return InferenceRequestBody(identity if isinstance(identity, str) else None, images, outputs, binary)


def _images(tensor: Mapping[str, Any], rest: bytes, max_images: int) -> tuple[InputImage, ...]:
    shape, kind = tensor.get("shape"), tensor.get("datatype")
    if not isinstance(shape, list) or not all(type(side) is int and 0 <= side < 2**31 for side in shape):
        raise _bad("The shape must be a list of whole numbers")
    size = _parameters(tensor).get("binary_data_size")
    if size is not None and size != len(rest):
        raise _bad(f"The input has {size} bytes of binary data, the body holds {len(rest)}")
    data = rest if size is not None else tensor.get("data")
    if kind == "BYTES":
        check_count(prod(shape), max_images)
        images = _split(data) if isinstance(data, bytes) else _decode(data)
        if len(images) != prod(shape):
            raise _bad(f"The shape {shape} does not fit the {len(images)} elements")
        return images
    if kind == "UINT8":
        return _arrays(data, shape, max_images)
    raise _bad(f"The type {kind!r} is not read: send BYTES or UINT8")


def _split(data: bytes) -> tuple[bytes, ...]:
    """Elements, each after its length as four bytes, the lowest first."""
    elements, at = [], 0
    while at < len(data):
        end = at + 4 + (struct.unpack_from("<I", data, at)[0] if at + 4 <= len(data) else len(data))
        if end > len(data):
            raise _bad("The binary data ends within an element")
        elements.append(data[at + 4 : end])
        at = end
    return tuple(elements)


def _decode(data: Any) -> tuple[bytes, ...]:
    """Elements of JSON: images in base64."""
    flat = data if isinstance(data, list) else [None]
    if not all(isinstance(text, str) for text in flat):
        raise _bad("The data of a BYTES tensor must be a list of texts: images in base64")
    return tuple(decode_base64(text, number) for number, text in enumerate(flat))


def _arrays(data: Any, shape: Sequence[int], max_images: int) -> tuple[NDArray[np.uint8], ...]:
    if len(shape) not in (3, 4) or shape[-1] != 3:
        raise _bad(f"The shape must be [height, width, 3] or [n, height, width, 3], got {list(shape)}")
    check_count(1 if len(shape) == 3 else shape[0], max_images)
    try:
        values = np.frombuffer(data, np.uint8) if isinstance(data, bytes) else np.asarray(data, np.int64).ravel()
    except (TypeError, ValueError, OverflowError):
        raise _bad("The data of a UINT8 tensor must be a list of whole numbers") from None
    if len(values) != prod(shape):
        raise _bad(f"The shape {list(shape)} does not fit the {len(values)} values")
    if len(values) and not 0 <= values.min() <= values.max() <= 255:
        raise _bad("The values of a UINT8 tensor must be from 0 to 255")
    return tuple(values.astype(np.uint8).reshape(-1, *shape[-3:]))


def _outputs(content: Mapping[str, Any]) -> tuple[tuple[str, ...], frozenset[str]]:
    """The names of the outputs asked for, and of those that are sent as binary data."""
    listed = content.get("outputs") or [{"name": name} for name in OUTPUTS]
    if not isinstance(listed, list) or not all(isinstance(output, dict) for output in listed):
        raise _bad("The outputs must be a list of objects")
    names = tuple(output.get("name") for output in listed)
    unknown = [name for name in names if not isinstance(name, str) or name not in OUTPUTS]
    if unknown:
        raise _bad(f"The model has no output {unknown[0]!r}; its outputs are {', '.join(OUTPUTS)}")
    default = _parameters(content).get("binary_data_output") is True
    flags = (_parameters(output).get("binary_data", default) is True for output in listed)
    return names, frozenset(name for name, flag in zip(names, flags, strict=True) if flag)


def _parameters(content: Mapping[str, Any]) -> Mapping[str, Any]:
    parameters = content.get("parameters", {})
    return parameters if isinstance(parameters, dict) else {}


def inference_answer(
    request: InferenceRequestBody, name: str, version: str, predictions: Sequence[Prediction]
) -> tuple[bytes, int | None]:
    """The body of the answer, and the length of its JSON where binary data follows."""
    outputs, buffers = [], []
    for output in request.outputs:
        column = [getattr(prediction, output) for prediction in predictions]
        tensor: dict[str, Any] = {"name": output, "datatype": OUTPUTS[output], "shape": [len(column)]}
        if output in request.binary:
            buffers.append(_packed(column, OUTPUTS[output]))
            tensor["parameters"] = {"binary_data_size": len(buffers[-1])}
        else:
            tensor["data"] = [value or "" for value in column] if OUTPUTS[output] == "BYTES" else column
        outputs.append(tensor)
    content = {"model_name": name, "model_version": version, "outputs": outputs}
    text = json.dumps(content if request.id is None else {"id": request.id, **content}).encode()
    return b"".join((text, *buffers)), len(text) if buffers else None


def _packed(column: Sequence[Any], kind: str) -> bytes:
    if kind == "FP64":
        return np.array([np.nan if value is None else value for value in column], "<f8").tobytes()
    texts = [(value or "").encode() for value in column]
    return b"".join(struct.pack("<I", len(text)) + text for text in texts)


def _bad(fault: str) -> RequestError:
    return RequestError(400, "bad-request", f"{fault}.")
