"""A network becomes a backbone's graph: ONNX with its preprocessing inside, the same bytes each time."""

import copy

import onnx
import torch
from google.protobuf.message import EncodeError
from torch import Tensor, nn

from twofold.core.errors import BackboneError
from twofold.core.quiet import reason, silence
from twofold.networks.modules.network import Network

OPSET = 18  # what torch writes of its own accord
_BATCH = 2  # of the example that is traced; 0 and 1 would be taken for constants
_CHATTY = ("torch.onnx", "torch.export", "onnxscript", "onnx_ir")


def export(network: Network, size: int) -> bytes:
    """The network, without its head, as ONNX for pictures uint8 (batch, size, size, 3).

    Outputs: `features`, float32 (batch, d), and `feature_map` (batch, c, h, w) where the body has a map. Raises BackboneError,
    with the reason, where torch cannot export it. The network itself stays as it is.
    """
    graph = _Graph(copy.deepcopy(network).cpu().float().eval())
    image = torch.zeros(_BATCH, size, size, 3, dtype=torch.uint8)
    with torch.no_grad():
        outputs = [name for name, seen in zip(("features", "feature_map"), graph(image), strict=False)]
    batch = torch.export.Dim("batch")
    try:
        with silence(*_CHATTY):
            program = torch.onnx.export(
                graph,
                (image,),
                dynamo=True,
                opset_version=OPSET,
                input_names=["image"],
                output_names=outputs,
                dynamic_shapes=({0: batch},),
                external_data=False,
            )
    # Whatever a module does that cannot be traced ends in an exception of its own.
    except Exception as error:
        raise BackboneError(
            f"This network cannot be exported to ONNX ({reason(error)}); change its forward."
        ) from error
    assert program is not None
    return _serialised(program.model_proto)


class _Graph(nn.Module):
    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        features, feature_map = self.network.seen(image.permute(0, 3, 1, 2).float())
        return (features,) if feature_map is None else (features, feature_map)


def _serialised(model: onnx.ModelProto) -> bytes:
    """The bytes, without the lines of source that torch writes to each node: they name folders of this machine."""
    model.producer_name, model.producer_version, model.doc_string = "twofold", "", ""
    del model.metadata_props[:]
    del model.graph.metadata_props[:]
    for part in (
        *model.graph.node,
        *model.graph.input,
        *model.graph.output,
        *model.graph.value_info,
        *model.graph.initializer,
    ):
        del part.metadata_props[:]
        part.doc_string = ""
    try:
        return bytes(model.SerializeToString(deterministic=True))
    except (ValueError, EncodeError) as error:
        raise BackboneError(
            "The network is larger than the 2 GB that an ONNX file can hold; use a smaller one."
        ) from error
