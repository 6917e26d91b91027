"""Compiling with OpenVINO: its cache folders, one for each network, and checks on the processor and on the network's size.

OpenVINO loads any file in its cache folder, so each folder has a file of checksums.
"""

import sys
import types
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from math import prod
from pathlib import Path
from shutil import rmtree
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from twofold.core.files import open_replacement

if TYPE_CHECKING:
    import openvino

_MAX_NETWORKS: Final = 20  # in the cache: some 15 MB each in float32
_CHECKSUMS: Final = "checksums.txt"
_TELEMETRY: Final = "openvino_telemetry"


def prepare_folder(folder: Path) -> None:
    """Creates the cache folder of a network, or deletes damaged files in it. Raises OSError where this fails."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / _CHECKSUMS
    checksums = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    for blob in folder.glob("*.blob"):
        if _checksum(blob) not in checksums:
            blob.unlink()


def record_checksums(folder: Path) -> None:
    """Writes the checksums of the files in a network's cache folder, and deletes the oldest of the folders beside it."""
    with suppress(OSError):  # another process may do the same
        checksums = [_checksum(blob) for blob in sorted(folder.glob("*.blob"))]
        with open_replacement(folder / _CHECKSUMS) as file:
            file.write("\n".join(checksums))
        oldest_first = sorted(filter(Path.is_dir, folder.parent.iterdir()), key=lambda path: path.stat().st_mtime)
        for network in oldest_first[:-_MAX_NETWORKS]:
            rmtree(network)


def _checksum(blob: Path) -> str:
    return f"{blob.name} {zlib.crc32(blob.read_bytes()):08x}"


_CHANNELS: Final = 64
_ACTIVATION, _WEIGHT = 255, 127  # the largest uint8 and the largest int8


def import_openvino() -> Any:
    """The openvino module, with its telemetry off."""
    with nullcontext() if "openvino" in sys.modules else _telemetry_disabled():
        import openvino
    return openvino


@contextmanager
def _telemetry_disabled() -> Iterator[None]:
    """Within this context, OpenVINO can be imported without the event that it would send to Intel.

    With an empty module of this name it falls back to a silent stub of its own. The module is removed afterwards: other
    programs may import the real one.
    """
    empty = types.ModuleType(_TELEMETRY)
    sys.modules.setdefault(_TELEMETRY, empty)
    try:
        yield
    finally:
        if sys.modules.get(_TELEMETRY) is empty:
            del sys.modules[_TELEMETRY]


def computes_int8(core: "openvino.Core") -> bool:
    """Whether a convolution of the largest 8-bit activations and weights gives the right sum.

    Without VNNI or AMX, x86 processors add pairs of products in 16 bits, which saturate (oneDNN issue 1354). The processor's
    feature flags are not enough: oneDNN can be limited to older instructions.
    """
    ov = import_openvino()
    ops = ov.opset13
    bounds = [np.float32(value) for value in (0, _ACTIVATION, 0, _ACTIVATION)]
    image = ops.parameter([1, _CHANNELS, 1, 1], np.float32)
    quantised = ops.constant(np.full((_CHANNELS, _CHANNELS, 1, 1), _WEIGHT, np.int8))
    weights = ops.multiply(ops.convert(quantised, "f32"), np.float32(1))
    sums = ops.convolution(ops.fake_quantize(image, *bounds, 256), weights, [1, 1], [0, 0], [0, 0], [1, 1])
    compiled = core.compile_model(ov.Model([sums], [image]), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    request = compiled.create_infer_request()
    request.infer({0: np.full((1, _CHANNELS, 1, 1), _ACTIVATION, np.float32)})
    return bool(np.all(request.get_output_tensor().data == _CHANNELS * _ACTIVATION * _WEIGHT))


def fold_constants(model: "openvino.Model") -> None:
    """Replaces tensors that depend on constants only, such as dequantised weights, by their values.

    With OpenVINO's own folding (2026.4), several streams of a network with dequantised weights share wrong ones.
    """
    from openvino.passes import ConstantFolding, Manager

    manager = Manager()
    manager.register_pass(ConstantFolding())
    manager.run_passes(model)


# Elements per element of the input: image networks have some 20 in their largest tensor and 1,000 in all.
_MAX_TENSOR: Final = 256
_MAX_TOTAL: Final = 16_384
_ALWAYS_ALLOWED: Final = 2**26  # elements of one tensor; 64 times as many in all


def check_sizes(model: "openvino.Model") -> None:
    """Raises ValueError where a tensor's size is unknown before the network runs, or larger than in any network for images."""
    inputs = prod(model.input().get_shape())
    max_tensor, max_total = max(_MAX_TENSOR * inputs, _ALWAYS_ALLOWED), max(_MAX_TOTAL * inputs, 64 * _ALWAYS_ALLOWED)
    total = 0
    for node in model.get_ops():
        for output in range(node.get_output_size() if node.get_type_name() != "Constant" else 0):
            shape = node.get_output_partial_shape(output)
            if shape.is_dynamic:
                raise ValueError(f"the size of {node.get_friendly_name()!r} is unknown before it runs")
            size = _size(shape)
            total += size
            if size > max_tensor or total > max_total:
                raise ValueError(f"{node.get_friendly_name()!r} needs more memory than any network for images")


def _size(shape: "openvino.PartialShape") -> int:
    """The number of elements; read from text: OpenVINO takes 10 µs for each dimension, and its own product may overflow."""
    dimensions = shape.to_string().strip("[]")
    return prod(map(int, dimensions.split(","))) if dimensions else 1
