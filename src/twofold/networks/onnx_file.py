"""Reading of any ONNX network: its image input, and the tensor that becomes the features."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError, EncodeError
from onnx import NodeProto, TensorProto, helper, numpy_helper, shape_inference
from onnx.external_data_helper import load_external_data_for_tensor, uses_external_data
from onnx.inliner import inline_local_functions

from twofold.core.errors import BackboneError, UsageError
from twofold.core.files import read_file
from twofold.core.hints import nearest

Shape = tuple[int | None, ...]

_FLOATS = {TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE}
_MIN_OPSET = 7  # the first opset with NumPy's broadcasting
_CANDIDATES_SHOWN = 5
_MAX_BYTES = 2**31 - 1  # the limit of an ONNX file


@dataclass(frozen=True, slots=True)
class NetworkInput:
    """The image input of a network. `size` is its height and width in pixels, None where the file does not state them."""

    name: str
    element_type: int
    channels_last: bool
    size: int | None


@dataclass(frozen=True, slots=True)
class FeatureTensor:
    """The tensor that becomes the features: (n, d), or a feature map with its channels second or last."""

    name: str
    shape: Shape
    channels_last: bool

    @property
    def is_map(self) -> bool:
        return len(self.shape) == 4


def read_network(path: Path) -> onnx.ModelProto:
    """The network in the file, with external data and inlined local functions. Raises BackboneError where it cannot be read."""
    try:
        model = _load(path)
    except OSError as error:
        raise BackboneError(
            f"The network {path} cannot be read ({error.strerror or error}); check `backbone`."
        ) from error
    except (DecodeError, ValueError, RuntimeError, onnx.checker.ValidationError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise BackboneError(f"{path} is damaged or not an ONNX file ({reason}); export the network again.") from error
    if not model.graph.node:
        raise BackboneError(f"{path} is not an ONNX file with a network in it; export the network again.")
    opset = next((opset.version for opset in model.opset_import if opset.domain in ("", "ai.onnx")), 0)
    newest = onnx.defs.onnx_opset_version()
    if not _MIN_OPSET <= opset <= newest:
        raise BackboneError(f"{path} uses ONNX opset {opset}; export it with an opset from {_MIN_OPSET} to {newest}.")
    return model


def _load(path: Path) -> onnx.ModelProto:
    model = onnx.load_model_from_string(read_file(path, _MAX_BYTES))
    external = [tensor for tensor in _tensors(model.graph) if uses_external_data(tensor)]
    if sum(_external_size(tensor, path.parent) for tensor in external) > _MAX_BYTES:
        raise ValueError(f"its external data have more than {_MAX_BYTES:,} bytes, the limit")
    for tensor in external:
        load_external_data_for_tensor(tensor, str(path.parent))
    return inline_local_functions(model) if model.functions else model


def _tensors(graph: onnx.GraphProto) -> Iterator[TensorProto]:
    """All tensors of the graph and of its subgraphs."""
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            yield from (attribute.t, *attribute.tensors)
            for subgraph in (attribute.g, *attribute.graphs):
                yield from _tensors(subgraph)


def _external_size(tensor: TensorProto, folder: Path) -> int:
    """Bytes of the tensor's external data. OSError or ValueError unless they are in a file of this folder."""
    location = {entry.key: entry.value for entry in tensor.external_data}
    file = (folder / location.get("location", "")).resolve(strict=True)
    if not file.is_relative_to(folder.resolve()):
        raise ValueError(f"its data {location['location']} are in another folder; put that file next to the network")
    if not file.is_file():
        raise ValueError(f"its data {location['location']} are not a file")
    return int(location["length"]) if "length" in location else file.stat().st_size


def find_input(model: onnx.ModelProto, path: Path) -> NetworkInput:
    """The image input. Raises BackboneError unless the network has one input, square and with three channels."""
    constants = {constant.name for constant in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in constants]
    if len(inputs) != 1:
        names = ", ".join(value.name for value in inputs) or "none"
        raise BackboneError(f"{path} has {len(inputs)} inputs ({names}); a backbone has one, the image.")
    name, shape = inputs[0].name, _shape(inputs[0])
    element_type = inputs[0].type.tensor_type.elem_type
    if element_type not in _FLOATS | {TensorProto.UINT8}:
        dtype = TensorProto.DataType.Name(element_type).lower()
        raise BackboneError(f"The input {name} of {path} has dtype {dtype}; export it with a float or uint8 input.")
    if len(shape) != 4 or 3 not in (shape[1], shape[3]):
        raise BackboneError(
            f"The input {name} of {path} has the shape {_format_shape(shape)}, expected images with 3 channels: "
            f"(batch, 3, size, size) or (batch, size, size, 3)."
        )
    channels_last = shape[1] != 3
    height, width = shape[1:3] if channels_last else shape[2:]
    if height is not None and width is not None and height != width:
        raise BackboneError(f"The input {name} of {path} is {height} x {width} pixels; export it with a square input.")
    return NetworkInput(name, element_type, channels_last, height or width)


def with_input_shape(model: onnx.ModelProto, image: NetworkInput, batch: int | str, size: int) -> onnx.ModelProto:
    """A copy for this batch size (a name: any) and image size, with inferred shapes. BackboneError where inference fails."""
    reshaped = onnx.ModelProto()
    reshaped.CopyFrom(model)
    shape = [batch, size, size, 3] if image.channels_last else [batch, 3, size, size]
    index = next(i for i, value in enumerate(reshaped.graph.input) if value.name == image.name)
    reshaped.graph.input[index].CopyFrom(helper.make_tensor_value_info(image.name, image.element_type, shape))
    del reshaped.graph.value_info[:]
    for output in reshaped.graph.output:
        output.type.tensor_type.ClearField("shape")
    try:
        return shape_inference.infer_shapes(reshaped, data_prop=True)
    except (RuntimeError, ValueError, onnx.checker.ValidationError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise BackboneError(f"The shapes of the network cannot be inferred ({reason}); export it again.") from error


def find_features(model: onnx.ModelProto, output: str | None, path: Path) -> FeatureTensor:
    """The tensor named `output`, or by default the input of the last global pooling. `model` has its shapes inferred.

    Raises UsageError, with the names of some tensors, where there is no such tensor or no pooling.
    """
    shapes = {info.name: _shape(info) for info in (*model.graph.value_info, *model.graph.output)}
    names = [name for node in model.graph.node for name in node.output]
    candidates = [name for name in names if len(shapes.get(name, ())) in (2, 4)]
    choice = f"use one such as {', '.join(candidates[-_CANDIDATES_SHOWN:])}"
    if output is not None:
        if output not in candidates:
            fault = "has no known shape of 2 or 4 dimensions" if output in names else "does not exist"
            raise UsageError(f"`output` {output} {fault} in {path}{nearest(output, candidates)}; {choice}.")
        return FeatureTensor(output, shapes[output], _has_channels_last(shapes[output]))
    pooled = list(_pooled_tensors(model, shapes))
    if not pooled:
        raise UsageError(f"{path} has no global pooling; name a tensor with `output`, {choice}.")
    return pooled[-1]  # networks with squeeze-and-excitation have poolings inside as well


def needed_nodes(model: onnx.ModelProto, tensor: str) -> list[NodeProto]:
    """The nodes that `tensor` depends on, in graph order."""
    needed_tensors, nodes = {tensor}, []
    for node in reversed(model.graph.node):
        if needed_tensors & set(node.output):
            nodes.append(node)
            needed_tensors |= set(inputs_of(node))
    return nodes[::-1]


def inputs_of(node: NodeProto) -> Iterator[str]:
    """The names of all tensors that a node reads, also in its subgraphs."""
    yield from node.input
    for attribute in node.attribute:
        for subgraph in (attribute.g, *attribute.graphs):
            for inner in subgraph.node:
                yield from inputs_of(inner)


def _pooled_tensors(model: onnx.ModelProto, shapes: dict[str, Shape]) -> Iterator[FeatureTensor]:
    """The inputs of all global average poolings, in graph order."""
    constants = {constant.name: constant for constant in model.graph.initializer}
    constants |= {node.output[0]: node.attribute[0].t for node in model.graph.node if node.op_type == "Constant"}
    for node in model.graph.node:
        shape = shapes.get(node.input[0], ()) if node.input else ()
        if node.op_type == "GlobalAveragePool" and len(shape) in (0, 4):
            yield FeatureTensor(node.input[0], shape or (None,) * 4, channels_last=False)
        elif node.op_type == "ReduceMean" and len(shape) == 4:
            axes = _axes(node, constants)
            if axes in ({2, 3}, {1, 2}):
                yield FeatureTensor(node.input[0], shape, channels_last=axes == {1, 2})


def _axes(node: NodeProto, constants: dict[str, TensorProto]) -> set[int]:
    """The axes of a ReduceMean over a map: an attribute up to opset 17, an input from opset 18."""
    axes = next((list(attribute.ints) for attribute in node.attribute if attribute.name == "axes"), [])
    if len(node.input) > 1 and node.input[1] in constants:
        axes = numpy_helper.to_array(constants[node.input[1]]).ravel().tolist()
    return {int(axis) % 4 for axis in axes}


def _has_channels_last(shape: Shape) -> bool:
    """Whether the shape is that of a square map with its channels last."""
    return len(shape) == 4 and shape[1] == shape[2] != shape[3]


def _shape(info: onnx.ValueInfoProto) -> Shape:
    return tuple(dim.dim_value or None for dim in info.type.tensor_type.shape.dim)


def _format_shape(shape: Shape) -> str:
    return f"({', '.join('?' if side is None else str(side) for side in shape)})"


def serialise(model: onnx.ModelProto) -> bytes:
    """The bytes of the model. Raises BackboneError where they are too many for an ONNX file."""
    try:
        return bytes(model.SerializeToString(deterministic=True))
    except (ValueError, EncodeError) as error:
        raise BackboneError(
            "The network is larger than the 2 GB that an ONNX file can hold; use a smaller one."
        ) from error
