"""Any ONNX network as a backbone: cut before its pooling, with the pixels' way in put before it."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import EncodeError
from onnx import NodeProto, TensorProto, compose, helper, numpy_helper

from twofold.core.errors import BackboneError, UsageError
from twofold.core.notes import Note
from twofold.core.options import BackboneOptions
from twofold.data import Preprocessing
from twofold.networks.architectures import IMAGENET_MEAN, IMAGENET_STD, Triple
from twofold.networks.backbone import Backbone
from twofold.networks.dtypes import Dtype
from twofold.networks.onnx_check import check_own
from twofold.networks.onnx_file import Cut, Entry, find_cut, find_entry, inputs_of, needed_nodes, read_network, sized

_PREFIX = "network/"  # its tensors may be called as ours are
_BATCH = 8

Step = tuple[str, list[str], dict[str, Any]]
"""An operator with its constants and attributes."""


def load_custom(options: BackboneOptions, dtype: Dtype) -> Backbone:
    """The network of an ONNX file as a backbone; its vector is the mean of the map that is cut out, or the tensor itself.

    Raises UsageError for options that do not fit the file, BackboneError where it cannot be read or is no network for pictures.
    """
    path = Path(options.backbone)
    if options.weights is not None:
        raise UsageError(f"`weights` is for the built-in networks; {path} brings its own.")
    model = read_network(path)
    entry = find_entry(model, path)
    size = _size(entry, options.size, path)
    cut = find_cut(sized(model, entry, _BATCH, size), options.output, path)
    if cut.shape[0] not in (_BATCH, None):
        raise BackboneError(f"{path} works on {cut.shape[0]} picture at a time; export it with a batch of any size.")
    scale = _scale(entry, options, path)
    graph = _wrapped(sized(model, entry, "batch", size), entry, cut, size, scale)
    check_own(graph, size, str(path))
    preprocessing = Preprocessing(size, options.crop_mode or "center", options.filter or "bilinear")
    notes = (_assumed(path),) if scale is not None and None in (options.mean, options.std) else ()
    return Backbone(path.name, graph, preprocessing, dtype, "last", notes=notes)


def _size(entry: Entry, given: int | None, path: Path) -> int:
    if entry.size is None and given is None:
        raise UsageError(f"{path} takes squares of any size; say which with `size`.")
    if entry.size is not None and given not in (None, entry.size):
        raise UsageError(f"{path} takes squares of {entry.size} pixels, not `size` {given}; leave `size` out.")
    size = given or entry.size or 0
    if not 1 <= size <= 4096:
        raise UsageError(f"`size` must lie between 1 and 4096, got {size}.")
    return size


def _scale(entry: Entry, options: BackboneOptions, path: Path) -> tuple[Triple, Triple] | None:
    """What is subtracted from the pixels and what they are divided by; None where the network takes them as they are."""
    if entry.element == TensorProto.UINT8:
        if options.mean is not None or options.std is not None:
            raise UsageError(f"{path} takes pixels as they are; leave `mean` and `std` out.")
        return None
    mean, std = options.mean or IMAGENET_MEAN, options.std or IMAGENET_STD
    if min(std) <= 0:
        raise UsageError(f"`std` must be above 0, got {' '.join(f'{value:g}' for value in std)}.")
    return mean, std


def _assumed(path: Path) -> Note:
    shown = (" ".join(f"{value:g}" for value in values) for values in (IMAGENET_MEAN, IMAGENET_STD))
    text = "ImageNet's stood in for what was not given of `mean` ({}) and `std` ({}); check that {} was trained so."
    return Note("assumed-preprocessing", text.format(*shown, path))


def _wrapped(model: onnx.ModelProto, entry: Entry, cut: Cut, size: int, scale: tuple[Triple, Triple] | None) -> bytes:
    """The network between `image` and `features`, and `feature_map` where the cut is a map."""
    net = compose.add_prefix(_trimmed(model, entry, cut), _PREFIX)
    graph = net.graph
    before = _chain("image", _PREFIX + entry.name, _way_in(graph, entry, scale))
    turned: list[Step] = [("Transpose", [], {"perm": [0, 3, 1, 2]})] if cut.channels_last else []
    output = "feature_map" if cut.is_map else "features"
    after = _chain(_PREFIX + cut.name, output, [("Cast", [], {"to": TensorProto.FLOAT}), *turned])
    if cut.is_map:
        after += _chain("feature_map", "features", [("GlobalAveragePool", [], {}), ("Flatten", [], {})])
    nodes = [*before, *graph.node, *after]
    del graph.node[:], graph.input[:], graph.output[:], graph.value_info[:]
    graph.node.extend(nodes)
    graph.input.append(helper.make_tensor_value_info("image", TensorProto.UINT8, ["batch", size, size, 3]))
    graph.output.extend(_outputs(cut))
    net.producer_name, net.doc_string = "twofold", ""
    return _serialised(net)


def _trimmed(model: onnx.ModelProto, entry: Entry, cut: Cut) -> onnx.ModelProto:
    """The network with nothing in it that the cut does not need."""
    nodes = needed_nodes(model, cut.name)
    read = {name for node in nodes for name in inputs_of(node)}
    if entry.name not in read:
        raise UsageError(f"`output` {cut.name} does not depend on the picture; choose another tensor.")
    constants = [constant for constant in model.graph.initializer if constant.name in read]
    entries = [given for given in model.graph.input if given.name == entry.name]
    trimmed = onnx.ModelProto()
    trimmed.CopyFrom(model)
    graph = helper.make_graph(nodes, "backbone", entries, [onnx.ValueInfoProto(name=cut.name)], constants)
    graph.sparse_initializer.extend(model.graph.sparse_initializer)
    trimmed.graph.CopyFrom(graph)
    return trimmed


def _way_in(graph: onnx.GraphProto, entry: Entry, scale: tuple[Triple, Triple] | None) -> list[Step]:
    """From pixels to what the network was trained on."""
    steps: list[Step] = []
    if scale is not None:
        for name, values in zip(("mean", "std"), scale, strict=True):
            graph.initializer.append(numpy_helper.from_array(np.array(values, np.float32), name))
        to_float, to_theirs = {"to": TensorProto.FLOAT}, {"to": entry.element}
        steps = [("Cast", [], to_float), ("Sub", ["mean"], {}), ("Div", ["std"], {}), ("Cast", [], to_theirs)]
    return steps if entry.channels_last else [*steps, ("Transpose", [], {"perm": [0, 3, 1, 2]})]


def _chain(start: str, end: str, steps: list[Step]) -> list[NodeProto]:
    """Nodes that lead from one tensor to another, one after the other."""
    names = [start, *(f"{end}.{number}" for number in range(1, len(steps))), end]
    if not steps:
        return [helper.make_node("Identity", [start], [end], name=end)]
    return [
        helper.make_node(kind, [source, *constants], [target], name=target, **attributes)
        for (kind, constants, attributes), source, target in zip(steps, names, names[1:], strict=False)
    ]


def _outputs(cut: Cut) -> list[onnx.ValueInfoProto]:
    shape = ["batch", *(cut.shape[i] for i in ((3, 1, 2) if cut.channels_last else range(1, len(cut.shape))))]
    named = {"features": shape[:2], "feature_map": shape} if cut.is_map else {"features": shape}
    return [helper.make_tensor_value_info(name, TensorProto.FLOAT, sides) for name, sides in named.items()]


def _serialised(model: onnx.ModelProto) -> bytes:
    try:
        return bytes(model.SerializeToString(deterministic=True))
    except (ValueError, EncodeError) as error:
        raise BackboneError(
            "The network is larger than the 2 GB that an ONNX file can hold; use a smaller one."
        ) from error
