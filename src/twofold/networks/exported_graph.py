"""The whole answer of a bundle as one ONNX graph: from the pixels of an upright image of any size to its decision.

The input is `image`, uint8 (height, width, 3). The outputs are those of `with_scores` for one image, without `features` and
`feature_map`, then `decision`, an index of `LABELS`, and `model_inputs`, which shows what the network sees.

For runtimes that take one size alone, the graph begins with `model_inputs`, uint8 (k, size, size, 3), instead.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import onnx
from onnx import ModelProto, TensorProto, helper, numpy_helper

from twofold.core.errors import BackboneError
from twofold.networks.onnx_scores import with_scores
from twofold.networks.plain_quantization import make_quantization_plain
from twofold.networks.resize_graph import MIN_OPSET, ResizeGraph
from twofold.networks.score_graph import Scoring

LABELS: Final = ("negative", "positive", "unsure", "unfamiliar")
"""What the output `decision`, 0 to 3, stands for."""

SCORES: Final = ("logit", "probability", "familiarity")
_PREFIX: Final = "decision."
_FIXED_SIZE_OPSET: Final = 13  # since then axes are inputs, and Softmax has one axis: what converters read


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The thresholds of a rule: the ends of its unsure band, and the familiarity that its gate needs, or None."""

    low: float
    high: float
    gate: float | None


def build_exported_graph(
    network: bytes,
    scoring: Scoring,
    thresholds: Thresholds,
    metadata: Mapping[str, str],
    *,
    plain: bool,
    resizing: bool = True,
) -> bytes:
    """The graph of a network with resizing before it and the decision behind it. `metadata` is stored beside it, as texts.

    With `plain`, an int8 network is computed in float32, with the same roundings. Without `resizing`, it begins with
    `model_inputs`.

    Raises BackboneError where the network's ONNX is older than opset 11, or 13 without `resizing`.
    """
    model = onnx.load_from_string(with_scores(network, scoring))
    _check_opset(model, MIN_OPSET if resizing else _FIXED_SIZE_OPSET)
    graph = model.graph
    for node in graph.node:
        node.input[:] = ["model_inputs" if name == "image" else name for name in node.input]
    if plain:
        make_quantization_plain(graph)
    before = ResizeGraph(scoring.preprocessing)
    if resizing:
        before.build("image", "model_inputs")
    scores = [name for name in SCORES if name != "familiarity" or scoring.familiarity]
    decision, constants = _decision_nodes(
        thresholds if scoring.familiarity else Thresholds(thresholds.low, thresholds.high, None)
    )
    nodes = [*before.nodes, *graph.node, *decision]
    constants = [*before.constants.values(), *graph.initializer, *constants]
    inputs = _model_inputs(scoring)
    entry, shown = (_image(), [inputs]) if resizing else (inputs, [])
    exported = helper.make_graph(nodes, "twofold", [entry], [*_outputs(scores), *shown], constants)
    result = helper.make_model(exported, opset_imports=model.opset_import, ir_version=max(model.ir_version, 7))
    helper.set_model_props(result, dict(metadata))
    return bytes(result.SerializeToString(deterministic=True))


def _check_opset(model: ModelProto, needed: int) -> None:
    opset = next(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))
    if opset < needed:
        raise BackboneError(
            f"The network has opset {opset}, this export needs {needed}: convert the network to a newer opset, and train again."
        )


def _image() -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info("image", TensorProto.UINT8, ["height", "width", 3])


def _model_inputs(scoring: Scoring) -> onnx.ValueInfoProto:
    size, count = scoring.preprocessing.size, len(scoring.preprocessing.crops)
    return helper.make_tensor_value_info("model_inputs", TensorProto.UINT8, [count, size, size, 3])


def _outputs(scores: list[str]) -> list[onnx.ValueInfoProto]:
    return [
        *(helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in scores),
        helper.make_tensor_value_info("decision", TensorProto.INT32, [1]),
    ]


def _decision_nodes(thresholds: Thresholds) -> tuple[list[onnx.NodeProto], list[TensorProto]]:
    """The operators from the scores to `decision`, and their constants."""
    nodes: list[onnx.NodeProto] = []
    indices = [
        numpy_helper.from_array(np.array(index, np.int32), f"{_PREFIX}{name}") for index, name in enumerate(LABELS)
    ]
    limits = {"low": thresholds.low, "high": thresholds.high, "gate": thresholds.gate}
    constants = [
        numpy_helper.from_array(np.array(_limit(limit)), f"{_PREFIX}{name}")
        for name, limit in limits.items()
        if limit is not None
    ]

    def add(operator: str, inputs: tuple[str, ...], name: str) -> str:
        tensor = name if name == "decision" else f"{_PREFIX}{name}"
        nodes.append(helper.make_node(operator, [*inputs], [tensor], name=tensor))
        return tensor

    def below(score: str, limit: str) -> str:
        return add("Less", (score, f"{_PREFIX}{limit}"), f"below_{limit}")

    gated = thresholds.gate is not None
    answer = add("Where", (below("probability", "high"), f"{_PREFIX}unsure", f"{_PREFIX}positive"), "at_least")
    answer = add(
        "Where", (below("probability", "low"), f"{_PREFIX}negative", answer), "answer" if gated else "decision"
    )
    if gated:
        add("Where", (below("familiarity", "gate"), f"{_PREFIX}unfamiliar", answer), "decision")
    return nodes, [*indices, *constants]


def _limit(limit: float) -> np.float32:
    """The lowest float32 that is not below the limit: a float32 score lies below both or below neither."""
    rounded = np.float32(limit)
    return rounded if float(rounded) >= limit else np.nextafter(rounded, np.float32(np.inf))
