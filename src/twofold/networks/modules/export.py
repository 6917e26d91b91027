"""Export of a network to ONNX, with the normalisation inside. Equal networks give equal bytes."""

import copy

import onnx
import torch
from torch import Tensor, nn

from twofold.core.errors import BackboneError
from twofold.core.third_party import mute, summarise_error
from twofold.networks.modules.network import Network
from twofold.networks.onnx_file import serialise

OPSET = 18  # the native opset of PyTorch's exporter
_BATCH = 2  # of the traced example; 0 and 1 would be specialised to constants
_LOGGERS = ("torch.onnx", "torch.export", "onnxscript", "onnx_ir")


def export(network: Network, size: int) -> bytes:
    """The network without its head as a serialised ONNX model, with the input `image`, uint8 (n, size, size, 3).

    Outputs: `features`, float32 (n, d), and `feature_map`, float32 (n, c, h, w), where the body has a map. The network itself is
    not changed. Raises BackboneError, with the reason, where PyTorch cannot export it.
    """
    # Contiguous: of tensors with their channels last, as in training, PyTorch writes the global pooling as a mean and a gather of
    # all its values, which evidence maps could not take apart into places.
    graph = _Graph(copy.deepcopy(network).cpu().float().eval())
    graph.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]  # missing in its types
    image = torch.zeros(_BATCH, size, size, 3, dtype=torch.uint8)
    with torch.no_grad():
        outputs = ["features", "feature_map"][: len(graph(image))]
    batch = torch.export.Dim("batch")
    try:
        with mute(*_LOGGERS):
            program = torch.onnx.export(
                graph,
                (image,),
                dynamo=True,
                opset_version=OPSET,
                input_names=["image"],
                output_names=outputs,
                dynamic_shapes=({0: batch},),
                external_data=False,
                verbose=False,
            )
    except Exception as error:  # what cannot be traced raises exceptions of many kinds
        raise BackboneError(
            f"This network cannot be exported to ONNX ({summarise_error(error)}); change its `forward`."
        ) from error
    assert program is not None
    return _serialise_without_sources(program.model_proto)


class _Graph(nn.Module):
    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        features, feature_map = self.network.embed(image.permute(0, 3, 1, 2).float().contiguous())
        return (features,) if feature_map is None else (features, feature_map)


def _serialise_without_sources(model: onnx.ModelProto) -> bytes:
    """The bytes, without the source lines that PyTorch writes to each node: they name local folders."""
    model.producer_name, model.producer_version, model.doc_string = "twofold", "", ""
    del model.metadata_props[:]
    del model.graph.metadata_props[:]
    for message in (
        *model.graph.node,
        *model.graph.input,
        *model.graph.output,
        *model.graph.value_info,
        *model.graph.initializer,
    ):
        del message.metadata_props[:]
        message.doc_string = ""
    return serialise(model)
