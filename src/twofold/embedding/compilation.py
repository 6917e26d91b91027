"""The folders in which OpenVINO keeps networks compiled: one for each, with checksums, since it believes what it finds there."""

import sys
import types
import zlib
from contextlib import suppress
from math import prod
from pathlib import Path
from shutil import rmtree
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from twofold.core.files import replacing

if TYPE_CHECKING:
    import openvino

CROP_PCT: Final = 20  # networks: some 15 MB each in float32
_CHECKSUMS: Final = "checksums.txt"


def prepare(folder: Path) -> None:
    """Makes the folder of a network, or takes away what is damaged in it. OSError where it cannot be."""
    folder.mkdir(parents=True, exist_ok=True)
    sums = folder / _CHECKSUMS
    whole = sums.read_text(encoding="utf-8").splitlines() if sums.exists() else []
    for blob in folder.glob("*.blob"):
        if _checksum(blob) not in whole:
            blob.unlink()


def remember(folder: Path) -> None:
    """Notes the checksums of what lies in the folder of a network, and leaves the newest of the folders beside it."""
    with suppress(OSError):  # another process may be at it, too
        sums = [_checksum(blob) for blob in sorted(folder.glob("*.blob"))]
        with replacing(folder / _CHECKSUMS) as file:
            file.write("\n".join(sums))
        oldest_first = sorted(filter(Path.is_dir, folder.parent.iterdir()), key=lambda path: path.stat().st_mtime)
        for old in oldest_first[:-CROP_PCT]:
            rmtree(old)


def _checksum(blob: Path) -> str:
    return f"{blob.name} {zlib.crc32(blob.read_bytes()):08x}"


_CHANNELS: Final = 64
_ACTIVATION, _WEIGHT = 255, 127  # the largest of uint8 and of int8


def import_openvino() -> Any:
    """The openvino module, imported so that it reports nothing to anybody."""
    # OpenVINO's import sends an event to its maker; an empty module in this place makes it use its own silent stub.
    sys.modules.setdefault("openvino_telemetry", types.ModuleType("openvino_telemetry"))
    import openvino

    return openvino


def computes_int8(core: "openvino.Core") -> bool:
    """Whether a convolution of the largest activations and weights of eight bits has the right sum.

    Without VNNI or AMX, x86 processors add pairs of products in 16 bits, which saturate (oneDNN's issue 1354). What the processor
    says of itself does not settle it: oneDNN can be told to use less of it.
    """
    ov = import_openvino()
    ops = ov.opset13
    ends = [np.float32(value) for value in (0, _ACTIVATION, 0, _ACTIVATION)]
    image = ops.parameter([1, _CHANNELS, 1, 1], np.float32)
    stored = ops.constant(np.full((_CHANNELS, _CHANNELS, 1, 1), _WEIGHT, np.int8))
    weights = ops.multiply(ops.convert(stored, "f32"), np.float32(1))
    sums = ops.convolution(ops.fake_quantize(image, *ends, 256), weights, [1, 1], [0, 0], [0, 0], [1, 1])
    compiled = core.compile_model(ov.Model([sums], [image]), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    request = compiled.create_infer_request()
    request.infer({0: np.full((1, _CHANNELS, 1, 1), _ACTIVATION, np.float32)})
    return bool(np.all(request.get_output_tensor().data == _CHANNELS * _ACTIVATION * _WEIGHT))


def fold_constants(model: "openvino.Model") -> None:
    """Makes numbers of what is computed from numbers alone, as of quantised weights.

    Left to OpenVINO (2026.4), several streams of a network whose quantised weights become float32 share wrong ones.
    """
    from openvino.passes import ConstantFolding, Manager

    manager = Manager()
    manager.register_pass(ConstantFolding())
    manager.run_passes(model)


# Numbers, of one tensor and of all together, for each number of the input: networks for images take some 20 and 1,000.
_ONE: Final = 256
_ALL: Final = 16_384
_LEAST: Final = 2**26  # of one tensor; 64 times as much of all together


def check_sizes(model: "openvino.Model") -> None:
    """ValueError where a tensor is of no size that can be told, or takes more room than that of any network for images."""
    pixels = prod(model.input().get_shape())
    one, every = max(_ONE * pixels, _LEAST), max(_ALL * pixels, 64 * _LEAST)
    total = 0
    for node in model.get_ops():
        for number in range(node.get_output_size() if node.get_type_name() != "Constant" else 0):
            shape = node.get_output_partial_shape(number)
            if shape.is_dynamic:
                raise ValueError(f"the size of {node.get_friendly_name()!r} cannot be told before it runs")
            size = _size(shape)
            total += size
            if size > one or total > every:
                raise ValueError(f"{node.get_friendly_name()!r} takes more room than a network for images does")


def _size(shape: "openvino.PartialShape") -> int:
    """How many numbers; read from text, because a side takes OpenVINO's Python ten microseconds, and its own product may wrap."""
    sides = shape.to_string().strip("[]")
    return prod(map(int, sides.split(","))) if sides else 1
