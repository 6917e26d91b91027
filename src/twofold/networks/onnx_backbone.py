"""Any ONNX network as a backbone: normalisation in front, and the features from its last feature map or a named tensor."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, compose, helper, numpy_helper

from twofold.core.errors import BackboneError, UsageError
from twofold.core.options import BackboneOptions
from twofold.data import Preprocessing
from twofold.networks.architectures import IMAGENET_MEAN, IMAGENET_STD, Triple
from twofold.networks.backbone import Backbone, check_image_size, check_std, note_assumed_normalisation
from twofold.networks.dtypes import Dtype
from twofold.networks.onnx_check import check_user_network
from twofold.networks.onnx_file import (
    FeatureTensor,
    NetworkInput,
    find_features,
    find_input,
    inputs_of,
    needed_nodes,
    read_network,
    serialise,
    with_input_shape,
)

_PREFIX = "network/"  # avoids name clashes between the network's tensors and the added ones
_BATCH = 8

Operator = tuple[str, list[str], dict[str, Any]]
"""An ONNX operator, the names of its constant inputs, and its attributes."""


def load_onnx_backbone(options: BackboneOptions, dtype: Dtype) -> Backbone:
    """The network of an ONNX file as a backbone. Its features are the mean of the feature map, or the tensor `output` itself.

    Raises UsageError for options that do not fit the file, BackboneError where it cannot be read or does not take images.
    """
    path = Path(options.backbone)
    if options.weights is not None:
        raise UsageError(f"`weights` is for the built-in networks; {path} has its own.")
    model = read_network(path)
    image = find_input(model, path)
    size = _choose_size(image, options.size, path)
    tensor = find_features(with_input_shape(model, image, _BATCH, size), options.output, path)
    if tensor.shape[0] not in (_BATCH, None):
        raise BackboneError(f"{path} has the fixed batch size {tensor.shape[0]}; export it with a dynamic batch size.")
    normalisation = _choose_normalisation(image, options, path)
    graph = _wrap(with_input_shape(model, image, "batch", size), image, tensor, size, normalisation)
    check_user_network(graph, size, str(path))
    preprocessing = Preprocessing(size, options.fixed_crop_mode or "center", options.filter or "bilinear")
    notes = (
        (note_assumed_normalisation(str(path)),)
        if normalisation is not None and None in (options.mean, options.std)
        else ()
    )
    return Backbone(path.name, graph, preprocessing, dtype, "last", notes=notes)


def _choose_size(image: NetworkInput, option: int | None, path: Path) -> int:
    if image.size is None and option is None:
        raise UsageError(f"{path} takes images of any size; choose one with `size`.")
    if image.size is not None and option not in (None, image.size):
        raise UsageError(f"{path} takes images of {image.size} pixels, not `size` {option}; leave `size` out.")
    return check_image_size(option or image.size, str(path))


def _choose_normalisation(image: NetworkInput, options: BackboneOptions, path: Path) -> tuple[Triple, Triple] | None:
    """Mean and std for the pixels; None where the network takes uint8 pixels."""
    if image.element_type == TensorProto.UINT8:
        if options.mean is not None or options.std is not None:
            raise UsageError(f"{path} takes uint8 pixels; leave `mean` and `std` out.")
        return None
    return options.mean or IMAGENET_MEAN, check_std(options.std or IMAGENET_STD)


def _wrap(
    model: onnx.ModelProto,
    image: NetworkInput,
    tensor: FeatureTensor,
    size: int,
    normalisation: tuple[Triple, Triple] | None,
) -> bytes:
    """The serialised network from `image` to `features`, and to `feature_map` where `tensor` is a map."""
    wrapped = compose.add_prefix(_trim(model, image, tensor), _PREFIX)
    graph = wrapped.graph
    before = _chain("image", _PREFIX + image.name, _normalise(graph, image, normalisation))
    transpose: list[Operator] = [("Transpose", [], {"perm": [0, 3, 1, 2]})] if tensor.channels_last else []
    output = "feature_map" if tensor.is_map else "features"
    after = _chain(_PREFIX + tensor.name, output, [("Cast", [], {"to": TensorProto.FLOAT}), *transpose])
    if tensor.is_map:
        after += _chain("feature_map", "features", [("GlobalAveragePool", [], {}), ("Flatten", [], {})])
    nodes = [*before, *graph.node, *after]
    del graph.node[:], graph.input[:], graph.output[:], graph.value_info[:]
    graph.node.extend(nodes)
    graph.input.append(helper.make_tensor_value_info("image", TensorProto.UINT8, ["batch", size, size, 3]))
    graph.output.extend(_describe_outputs(tensor))
    wrapped.producer_name, wrapped.doc_string = "twofold", ""
    return serialise(wrapped)


def _trim(model: onnx.ModelProto, image: NetworkInput, tensor: FeatureTensor) -> onnx.ModelProto:
    """The network without the nodes and constants that `tensor` does not depend on."""
    nodes = needed_nodes(model, tensor.name)
    inputs = {name for node in nodes for name in inputs_of(node)}
    if image.name not in inputs:
        raise UsageError(f"`output` {tensor.name} does not depend on the image; choose another tensor.")
    constants = [constant for constant in model.graph.initializer if constant.name in inputs]
    image_values = [value for value in model.graph.input if value.name == image.name]
    trimmed = onnx.ModelProto()
    trimmed.CopyFrom(model)
    graph = helper.make_graph(nodes, "backbone", image_values, [onnx.ValueInfoProto(name=tensor.name)], constants)
    graph.sparse_initializer.extend(model.graph.sparse_initializer)
    trimmed.graph.CopyFrom(graph)
    return trimmed


def _normalise(
    graph: onnx.GraphProto, image: NetworkInput, normalisation: tuple[Triple, Triple] | None
) -> list[Operator]:
    """The operators from uint8 pixels to the input of the network; their constants are added to `graph`."""
    operators: list[Operator] = []
    if normalisation is not None:
        for name, values in zip(("mean", "std"), normalisation, strict=True):
            graph.initializer.append(numpy_helper.from_array(np.array(values, np.float32), name))
        to_float, to_input = {"to": TensorProto.FLOAT}, {"to": image.element_type}
        operators = [("Cast", [], to_float), ("Sub", ["mean"], {}), ("Div", ["std"], {}), ("Cast", [], to_input)]
    return operators if image.channels_last else [*operators, ("Transpose", [], {"perm": [0, 3, 1, 2]})]


def _chain(start: str, end: str, operators: list[Operator]) -> list[NodeProto]:
    """Nodes that apply the operators one after the other, from the tensor `start` to the tensor `end`."""
    names = [start, *(f"{end}.{number}" for number in range(1, len(operators))), end]
    if not operators:
        return [helper.make_node("Identity", [start], [end], name=end)]
    return [
        helper.make_node(operator, [source, *constants], [target], name=target, **attributes)
        for (operator, constants, attributes), source, target in zip(operators, names, names[1:], strict=False)
    ]


def _describe_outputs(tensor: FeatureTensor) -> list[onnx.ValueInfoProto]:
    shape = ["batch", *(tensor.shape[i] for i in ((3, 1, 2) if tensor.channels_last else range(1, len(tensor.shape))))]
    shapes = {"features": shape[:2], "feature_map": shape} if tensor.is_map else {"features": shape}
    return [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()]
