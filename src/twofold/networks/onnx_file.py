"""Reading any ONNX network: where the picture goes in, and which tensor to take out."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError
from onnx import NodeProto, TensorProto, helper, numpy_helper, shape_inference
from onnx.external_data_helper import load_external_data_for_tensor, uses_external_data
from onnx.inliner import inline_local_functions

from twofold.core.errors import BackboneError, UsageError
from twofold.core.files import read_whole
from twofold.core.hints import nearest

Shape = tuple[int | None, ...]

_FLOATS = {TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE}
_OLDEST = 7  # from here on operators stretch their smaller input as NumPy does
_SHOWN = 5
_MOST = 2**31 - 1  # bytes: what an ONNX file can hold


@dataclass(frozen=True, slots=True)
class Entry:
    """A network's one input. `size` is the side of its square, None where the file leaves that open."""

    name: str
    element: int
    channels_last: bool
    size: int | None


@dataclass(frozen=True, slots=True)
class Cut:
    """The tensor where a network is cut: (batch, d), or a map whose channels stand second or last."""

    name: str
    shape: Shape
    channels_last: bool

    @property
    def is_map(self) -> bool:
        return len(self.shape) == 4


def read_network(path: Path) -> onnx.ModelProto:
    """The network in the file, its outside data read as well, its functions written out. BackboneError for anything else."""
    try:
        model = _loaded(path)
    except OSError as error:
        raise BackboneError(
            f"The network {path} cannot be read ({error.strerror or error}); check `backbone`."
        ) from error
    except (DecodeError, ValueError, RuntimeError, onnx.checker.ValidationError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise BackboneError(f"{path} is damaged or no ONNX file ({reason}); export the network again.") from error
    if not model.graph.node:
        raise BackboneError(f"{path} is no ONNX file with a network in it; export the network again.")
    opset = next((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), 0)
    newest = onnx.defs.onnx_opset_version()
    if not _OLDEST <= opset <= newest:
        raise BackboneError(f"{path} is written in ONNX opset {opset}; export it in one from {_OLDEST} to {newest}.")
    return model


def _loaded(path: Path) -> onnx.ModelProto:
    model = onnx.load_model_from_string(read_whole(path, _MOST))
    outside = [tensor for tensor in _tensors(model.graph) if uses_external_data(tensor)]
    if sum(_size_outside(tensor, path.parent) for tensor in outside) > _MOST:
        raise ValueError(f"its data outside the file have more than {_MOST:,} bytes, the limit")
    for tensor in outside:
        load_external_data_for_tensor(tensor, str(path.parent))
    return inline_local_functions(model) if model.functions else model


def _tensors(graph: onnx.GraphProto) -> Iterator[TensorProto]:
    """All of the graph, and of the graphs within its operators."""
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            yield from (attribute.t, *attribute.tensors)
            for inner in (attribute.g, *attribute.graphs):
                yield from _tensors(inner)


def _size_outside(tensor: TensorProto, folder: Path) -> int:
    """Bytes that the tensor takes from a file, which must lie in this folder. OSError or ValueError where there is none."""
    about = {entry.key: entry.value for entry in tensor.external_data}
    file = (folder / about.get("location", "")).resolve(strict=True)
    if not file.is_relative_to(folder.resolve()):
        raise ValueError(f"its data {about['location']} lie in another folder; put them beside the network")
    if not file.is_file():
        raise ValueError(f"its data {about['location']} are no file")
    return int(about["length"]) if "length" in about else file.stat().st_size


def find_entry(model: onnx.ModelProto, path: Path) -> Entry:
    """The input that takes pictures. BackboneError where there is not one of three channels and equal sides."""
    constants = {constant.name for constant in model.graph.initializer}
    inputs = [entry for entry in model.graph.input if entry.name not in constants]
    if len(inputs) != 1:
        names = ", ".join(entry.name for entry in inputs) or "none"
        raise BackboneError(f"{path} has {len(inputs)} inputs ({names}); a backbone takes one, the picture.")
    name, shape = inputs[0].name, _shape(inputs[0])
    element = inputs[0].type.tensor_type.elem_type
    if element not in _FLOATS | {TensorProto.UINT8}:
        kind = TensorProto.DataType.Name(element).lower()
        raise BackboneError(f"The input {name} of {path} takes {kind}, no pictures; export it with a float input.")
    if len(shape) != 4 or 3 not in (shape[1], shape[3]):
        raise BackboneError(
            f"The input {name} of {path} has the shape {_shown(shape)}, expected pictures of 3 channels: "
            f"(batch, 3, size, size) or (batch, size, size, 3)."
        )
    channels_last = shape[1] != 3
    height, width = shape[1:3] if channels_last else shape[2:]
    if height is not None and width is not None and height != width:
        raise BackboneError(f"The input {name} of {path} is {height} x {width}; twofold gives squares.")
    return Entry(name, element, channels_last, height or width)


def sized(model: onnx.ModelProto, entry: Entry, batch: int | str, size: int) -> onnx.ModelProto:
    """A copy of the network for this batch (a name: any) and size, with every shape that can be inferred."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    side = [size, size, 3] if entry.channels_last else [3, size, size]
    index = next(i for i, given in enumerate(copy.graph.input) if given.name == entry.name)
    copy.graph.input[index].CopyFrom(helper.make_tensor_value_info(entry.name, entry.element, [batch, *side]))
    del copy.graph.value_info[:]
    for output in copy.graph.output:
        output.type.tensor_type.ClearField("shape")
    try:
        return shape_inference.infer_shapes(copy, data_prop=True)
    except (RuntimeError, ValueError, onnx.checker.ValidationError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise BackboneError(f"The network's shapes cannot be told ({reason}); export it again.") from error


def find_cut(model: onnx.ModelProto, output: str | None, path: Path) -> Cut:
    """The tensor named `output`, or what goes into the last global pooling. `model` has its shapes inferred.

    Raises UsageError, with tensors to choose from, where there is no such tensor or no pooling.
    """
    shapes = {info.name: _shape(info) for info in (*model.graph.value_info, *model.graph.output)}
    made = [name for node in model.graph.node for name in node.output]
    candidates = [name for name in made if len(shapes.get(name, ())) in (2, 4)]
    choice = f"use one such as {', '.join(candidates[-_SHOWN:])}"
    if output is not None:
        if output not in candidates:
            what = "is no map or vector whose shape can be told" if output in made else "does not exist"
            raise UsageError(f"`output` {output} {what} in {path}{nearest(output, candidates)}; {choice}.")
        return Cut(output, shapes[output], _channels_last(shapes[output]))
    pools = list(_pools(model, shapes))
    if not pools:
        raise UsageError(f"{path} has no global pooling to cut before; name a tensor with `output`, {choice}.")
    return pools[-1]  # networks with squeeze-and-excitation pool within, too


def needed_nodes(model: onnx.ModelProto, tensor: str) -> list[NodeProto]:
    """The nodes that `tensor` is computed by, in their order."""
    wanted, nodes = {tensor}, []
    for node in reversed(model.graph.node):
        if wanted & set(node.output):
            nodes.append(node)
            wanted |= set(inputs_of(node))
    return nodes[::-1]


def inputs_of(node: NodeProto) -> Iterator[str]:
    """All that a node reads, within its branches as well."""
    yield from node.input
    for attribute in node.attribute:
        for graph in (attribute.g, *attribute.graphs):
            for inner in graph.node:
                yield from inputs_of(inner)


def _pools(model: onnx.ModelProto, shapes: dict[str, Shape]) -> Iterator[Cut]:
    constants = {constant.name: constant for constant in model.graph.initializer}
    constants |= {node.output[0]: node.attribute[0].t for node in model.graph.node if node.op_type == "Constant"}
    for node in model.graph.node:
        shape = shapes.get(node.input[0], ()) if node.input else ()
        if node.op_type == "GlobalAveragePool" and len(shape) in (0, 4):
            yield Cut(node.input[0], shape or (None,) * 4, channels_last=False)
        elif node.op_type == "ReduceMean" and len(shape) == 4:
            axes = _axes(node, constants)
            if axes in ({2, 3}, {1, 2}):
                yield Cut(node.input[0], shape, channels_last=axes == {1, 2})


def _axes(node: NodeProto, constants: dict[str, TensorProto]) -> set[int]:
    """The axes of a ReduceMean over four: an attribute in older files, an input in newer."""
    given = next((list(attribute.ints) for attribute in node.attribute if attribute.name == "axes"), [])
    if len(node.input) > 1 and node.input[1] in constants:
        given = numpy_helper.to_array(constants[node.input[1]]).ravel().tolist()
    return {int(axis) % 4 for axis in given}


def _channels_last(shape: Shape) -> bool:
    """Whether the sides that are equal stand second and third."""
    return len(shape) == 4 and shape[1] == shape[2] != shape[3]


def _shape(info: onnx.ValueInfoProto) -> Shape:
    return tuple(dim.dim_value or None for dim in info.type.tensor_type.shape.dim)


def _shown(shape: Shape) -> str:
    return f"({', '.join('?' if side is None else str(side) for side in shape)})"
