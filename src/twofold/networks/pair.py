"""Two networks as one, `A+B`: one graph from the model input to the features of both, one after the other."""

from dataclasses import replace
from typing import Final

import onnx
from onnx import compose, helper

from twofold.core.errors import BackboneError, UsageError
from twofold.core.options import BackboneOptions
from twofold.networks.backbone import Backbone
from twofold.networks.onnx_check import check_user_network
from twofold.networks.onnx_file import serialise

_PREFIXES: Final = ("first/", "second/")


def second_options(options: BackboneOptions, name: str, first: Backbone) -> BackboneOptions:
    """The options of the second network, `name`: it gets the model inputs of the first."""
    preprocessing = first.preprocessing
    return replace(
        options, backbone=name, size=preprocessing.size, crop_mode=preprocessing.crop_mode, filter=preprocessing.filter
    )


def check_pair_options(options: BackboneOptions) -> None:
    """Raises UsageError for an option that would not say which network it is for."""
    unclear = [f"`{name}`" for name in ("weights", "output", "mean", "std") if getattr(options, name) is not None]
    if unclear:
        them = "it" if len(unclear) == 1 else "them"
        raise UsageError(
            f"{' and '.join(unclear)} cannot be used with two networks, {options.backbone}; leave {them} out."
        )


def join_backbones(first: Backbone, second: Backbone) -> Backbone:
    """The pair as one network. Raises BackboneError where the graphs cannot be joined."""
    name, size = f"{first.name}+{second.name}", first.preprocessing.size
    try:
        merged = _merge(onnx.load_from_string(first.graph), onnx.load_from_string(second.graph), size)
    except (ValueError, RuntimeError) as error:
        raise BackboneError(f"{name} cannot be joined to one network: {error}") from error
    graph = serialise(merged)
    check_user_network(graph, size, name)
    return Backbone(name, graph, first.preprocessing, first.dtype, first.features, notes=(*first.notes, *second.notes))


def _merge(first: onnx.ModelProto, second: onnx.ModelProto, size: int) -> onnx.ModelProto:
    opsets = [{opset.domain: opset.version for opset in model.opset_import} for model in (first, second)]
    version = max(opset[""] for opset in opsets)
    models = [_convert(first, version), _convert(second, version)]
    parts = [compose.add_prefix(model, prefix) for model, prefix in zip(models, _PREFIXES, strict=True)]
    nodes = [
        *(helper.make_node("Identity", ["image"], [f"{prefix}image"], name=f"{prefix}image") for prefix in _PREFIXES),
        *(node for part in parts for node in part.graph.node),
        helper.make_node(
            "Concat", [f"{prefix}features" for prefix in _PREFIXES], ["features"], name="features", axis=1
        ),
    ]
    image = helper.make_tensor_value_info("image", onnx.TensorProto.UINT8, ["batch", size, size, 3])
    features = helper.make_tensor_value_info("features", onnx.TensorProto.FLOAT, ["batch", _count_features(parts)])
    constants = [constant for part in parts for constant in part.graph.initializer]
    graph = helper.make_graph(nodes, "pair", [image], [features], constants)
    merged = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", version)], ir_version=max(model.ir_version for model in models)
    )
    merged.producer_name = "twofold"
    return merged


def _convert(model: onnx.ModelProto, version: int) -> onnx.ModelProto:
    if any(opset.domain == "" and opset.version == version for opset in model.opset_import):
        return model
    from onnx.version_converter import convert_version

    return convert_version(model, version)


def _count_features(parts: list[onnx.ModelProto]) -> int | str:
    """The number of features of all; the name of an open dimension where one does not state it."""
    outputs = [output for part in parts for output in part.graph.output if output.name.endswith("/features")]
    counts = [output.type.tensor_type.shape.dim[1].dim_value for output in outputs]
    return sum(counts) if all(counts) else "features"
