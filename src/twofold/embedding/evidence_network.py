"""A network that says for each place what it adds to the logit: the engine's network with more outputs.

A mean is a sum over places, and so is a standard deviation: sigma = sum of (x - mu)² / (N sigma). So a head's weights fall apart
into places without any approximation.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import accumulate
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from twofold.core.errors import BackboneError
from twofold.data import ImageArray, InputAxis
from twofold.embedding.compilation import import_openvino
from twofold.embedding.engine import BATCH, Engine
from twofold.embedding.map_placement import spread
from twofold.embedding.pooled_tensors import PooledTensor, find_pooled_tensors

if TYPE_CHECKING:
    import openvino

PlaceEvidence = NDArray[np.float32]
"""What each cell of n model inputs adds to the logit, (n, h, w)."""

_EVIDENCE: Final = "evidence"
_TINY: Final = 1e-12  # of a channel without any variation the squares are 0, too


class EvidenceNetwork:
    """The network of an engine with the evidence of each place; any number of threads can run it.

    Its dtype is that of the engine, but float32 for bfloat16, whose sums are too coarse.
    Raises BackboneError where it cannot be run, and UnknownPoolingError where a feature is no mean or std over places.
    """

    def __init__(self, engine: Engine) -> None:
        count = len(engine.backbone.preprocessing.crops)
        self._batch = min(count, BATCH)
        compiled = engine.compile_extended(self._extend, self._batch)
        self._idle: SimpleQueue[openvino.InferRequest] = SimpleQueue()
        for _ in range(engine.threads):  # here: made in worker threads they crashed
            request = compiled.create_infer_request()
            request.get_tensor("image").data, request.get_tensor("weights").data  # as in InferenceRequest
            self._idle.put(request)

    def _extend(self, model: "openvino.Model") -> None:
        pooled = find_pooled_tensors(model)
        if pooled is None:
            raise UnknownPoolingError
        add_evidence(model, pooled)

    def run(
        self, model_inputs: Sequence[ImageArray], weights: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], PlaceEvidence]:
        """The features (n, d) of model inputs, and the evidence with weights (n, d)."""
        request = self._idle.get()
        try:
            parts = [
                self._run(request, model_inputs[start : start + self._batch], weights[start : start + self._batch])
                for start in range(0, len(model_inputs), self._batch)
            ]
        except (RuntimeError, MemoryError) as error:
            raise BackboneError(f"The network cannot be run by OpenVINO: {str(error).strip()}.") from error
        finally:
            self._idle.put(request)
        features, evidence = (np.concatenate(each) for each in zip(*parts, strict=True))
        return features, evidence

    def _run(
        self, request: "openvino.InferRequest", model_inputs: Sequence[ImageArray], weights: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], PlaceEvidence]:
        count = len(model_inputs)
        image, weight_rows = request.get_tensor("image").data, request.get_tensor("weights").data
        for row, model_input in enumerate(model_inputs):
            image[row] = model_input
        weight_rows[:count] = weights
        request.infer()
        features, evidence = (np.array(request.get_tensor(name).data[:count]) for name in ("features", _EVIDENCE))
        return features, evidence


class UnknownPoolingError(Exception):
    """The features of a network are not all means or standard deviations over places."""


def add_evidence(model: "openvino.Model", pooled: Sequence[PooledTensor]) -> None:
    """Adds the output `evidence` to a model, float32 (n, h, w), with as many places as the finest of the tensors; and an input
    `weights`, float32 (n, d)."""
    ops = import_openvino().opset13
    batch = model.input().get_shape()[0]
    widths = [each.channels for each in pooled]
    weights = ops.parameter([batch, sum(widths)], np.float32, name="weights")
    weights.output(0).get_tensor().set_names({"weights"})
    model.add_parameters([weights])
    parts: dict[tuple[str, int], list[_Part]] = {}
    for tensor, start, width in zip(pooled, accumulate(widths, initial=0), widths, strict=False):
        part = _Part(tensor, ops.slice(weights, [start], [start + width], [1], [1]))
        parts.setdefault(tensor.name, []).append(part)
    maps: dict[tuple[int, int], Any] = {}
    for same_places in parts.values():
        evidence, side = _evidence(ops, same_places, batch), same_places[0].pooled.side
        maps[side] = ops.add(maps[side], evidence) if side in maps else evidence
    total = _sum_maps(ops, maps)
    total.output(0).get_tensor().set_names({_EVIDENCE})
    model.add_outputs([total.output(0)])


def _sum_maps(ops: Any, maps: Mapping[tuple[int, int], Any]) -> Any:
    """The sum of maps with these sides, with the places of the finest, (n, h, w)."""
    height, width = (max(lengths) for lengths in zip(*maps, strict=True))

    def stretch(cells: int, parts: int) -> NDArray[np.float32]:
        return spread(cells, parts, InputAxis(0, 1), parts, parts) @ np.eye(cells, dtype=np.float32)

    return reduce(
        ops.add,
        (
            each
            if (rows, columns) == (height, width)
            else ops.matmul(ops.matmul(stretch(rows, height), each, False, False), stretch(columns, width), False, True)
            for (rows, columns), each in maps.items()
        ),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """A range of the features and its weights, (n, channels)."""

    pooled: PooledTensor
    weights: Any


def _evidence(ops: Any, parts: Sequence[_Part], batch: int) -> Any:
    """What each place adds to the logit by the features that are pooled from one tensor, (n, h, w)."""
    pooled = parts[0].pooled
    height, width = pooled.side
    channels, axis = pooled.channels, 3 if pooled.channels_last else 1
    shape = np.array([batch, 1, 1, channels] if pooled.channels_last else [batch, channels, 1, 1])

    def per_channel(values: Any) -> Any:
        return ops.reshape(values, shape, special_zero=False)

    # int8 networks keep the logit where they read the tensor as for its standard deviation: less its mean, or the reverse.
    # The reverse, so that OpenVINO does not merge both, and computes it from 8 bits where it is used.
    has_deviations = any(part.pooled.deviations is not None for part in parts)
    source = ops.subtract(per_channel(pooled.mean), pooled.places) if has_deviations else pooled.places
    terms, constants = [], []
    for part in parts:
        weights = per_channel(ops.multiply(part.weights, np.float32(1 / (height * width))))
        if part.pooled.deviations is not None:
            slopes = ops.divide(weights, ops.maximum(per_channel(part.pooled.deviations), np.float32(_TINY)))
            terms.append(ops.multiply(slopes, source))
        elif has_deviations:
            terms.append(ops.negative(weights))
            constants.append(ops.multiply(weights, per_channel(pooled.mean)))
        else:
            terms.append(weights)
    evidence = ops.reduce_sum(ops.multiply(source, reduce(ops.add, terms)), np.array([axis]))
    if constants:
        levels = ops.reduce_sum(reduce(ops.add, constants), np.array([1, 2, 3]), keep_dims=True)
        evidence = ops.add(evidence, ops.squeeze(levels, np.array([axis])))
    return evidence
