"""OpenVINO: how it is imported, and whether this processor computes in eight bits as it should.

The only module that imports OpenVINO.
"""

import sys
import types
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    import openvino

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
