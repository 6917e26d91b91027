"""What learning begins with: a random network, or one that is trained already with the head that fits it."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from twofold.data import Note, Ranges, Square, folds
from twofold.decision import HeadFit, fit_head
from twofold.embedding import Backbone, Machine, load_backbone
from twofold.embedding.architectures import architecture
from twofold.embedding.graph import build_graph
from twofold.embedding.torchfile import read_weights
from twofold.embedding.weights import find_weights
from twofold.errors import UsageError
from twofold.learning.hub.backbones import hub_backbone, is_hub, load_hub
from twofold.learning.networks.builtin import Body, builtin_body, trained_weights
from twofold.learning.networks.classic import WIDTH, ClassicBody
from twofold.learning.networks.export import export
from twofold.learning.networks.modern import WIDTHS, ModernBody
from twofold.learning.networks.network import Network
from twofold.learning.recipes import CLASSIC, FINETUNE, RECIPES, Recipe
from twofold.options import BackboneOptions, DecisionOptions, LearningOptions, Vector
from twofold.sample import Sample

Rows = NDArray[np.int64]
_MEAN, _STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)  # ImageNet's, on a scale of 0 to 255

_LEAST, _MOST = (
    {"classic": 46, "modern": 24},
    1024,
)  # sides, in pixels: below, nothing is left of a picture after the last pooling


@dataclass(frozen=True, slots=True)
class Beginning:
    """`network` makes the network that is to learn from these rows of used pictures; `graph` writes it as ONNX.

    Not `dense` are networks whose convolutions filter each channel by itself: on a CPU they learn 1.5 times as fast in float32 as
    in bfloat16, where all others learn twice as fast in bfloat16 if the processor multiplies it.
    """

    name: str
    recipe: Recipe
    square: Square
    network: Callable[[Rows], Network]
    graph: Callable[[Network], bytes]
    dense: bool = True
    notes: tuple[Note, ...] = ()
    vector: Vector = "last"

    def ranged(self, ranges: Ranges) -> "Beginning":
        """The same, for images of whose numbers these are black and white."""
        return replace(self, square=self.square.ranged(ranges))

    def backbone(self, network: Network) -> Backbone:
        """The network as it has become, in float32."""
        return Backbone(self.name, self.graph(network), self.square, "f32", self.vector, notes=self.notes)


def from_scratch(network: BackboneOptions, learning: LearningOptions, seed: int) -> Beginning:
    """A random network, the same for the same seed."""
    recipe = RECIPES[learning.recipe or CLASSIC.name].adapted(learning, network.size)
    least = _LEAST[recipe.name]
    if not least <= recipe.size <= _MOST:
        raise UsageError(f"--size for the {recipe.name} recipe lies between {least} and {_MOST}, got {recipe.size}.")
    square = Square(recipe.size, network.framing or recipe.framing, network.filter or "bilinear")

    def make(_: Rows) -> Network:
        torch.manual_seed(seed)
        return _classic(recipe) if recipe.name == CLASSIC.name else _modern(recipe)

    return Beginning(f"{recipe.name} CNN", recipe, square, make, lambda learned: export(learned, recipe.size))


def frozen_backbone(network: BackboneOptions, machine: Machine) -> Backbone:
    """The network as it is before fine-tuning, in float32."""
    if network.backbone.endswith(".onnx"):
        raise UsageError(
            "FILE.onnx cannot be fine-tuned, because it says nothing of how to learn; "
            "name a built-in network, hf:ID, a folder or MODULE:FUNCTION."
        )
    if is_hub(network.backbone):
        return hub_backbone(network, "f32", cache=machine.folder, watch=machine.watch)
    return load_backbone(network, "f32", cache=machine.folder, watch=machine.watch)


def left_to_learn(frozen: Sample, decision: DecisionOptions) -> float:
    """Share of the uncertainty about the class, 0 to 1, that a head on the frozen network leaves of pictures it did not see:
    its log-loss, out-of-fold, over the entropy of the classes."""
    rows = np.flatnonzero(frozen.agreed)
    fit = _head(frozen, rows, decision)
    share = float(frozen.labels[rows].mean())
    entropy = -share * np.log(share) - (1 - share) * np.log(1 - share)
    return min(1.0, fit.losses[fit.strength] / float(entropy))


def _head(frozen: Sample, rows: Rows, decision: DecisionOptions) -> HeadFit:
    parts = folds(frozen.names[rows], frozen.groups[rows], decision.folds, decision.seed)
    return fit_head(frozen.table.vectors[rows], frozen.labels[rows], parts)


def from_trained(
    network: BackboneOptions,
    learning: LearningOptions,
    decision: DecisionOptions,
    machine: Machine,
    frozen: Sample,
    backbone: Backbone,
    left: float,
) -> Beginning:
    """A network that is trained already, with the head fitted on the vectors that it gives of the pictures it is to learn from.

    `frozen` holds those vectors; `backbone` is the network that gave them; `left` is what they leave to learn.
    """
    recipe = FINETUNE.after(left).adapted(learning, backbone.square.size)
    from_hub = is_hub(network.backbone)
    start, graph = (_hub if from_hub else _builtin)(network, machine, recipe)

    def make(rows: Rows) -> Network:
        learned = start()
        learned.begin_with(_head(frozen, rows, decision).head, frozen.table.vectors[rows])
        return learned

    name = f"{backbone.name}, fine-tuned"
    return Beginning(name, recipe, backbone.square, make, graph, from_hub, backbone.notes, backbone.vector)


def _builtin(
    network: BackboneOptions, machine: Machine, recipe: Recipe
) -> tuple[Callable[[], Network], Callable[[Network], bytes]]:
    table = architecture(network.backbone)
    file = find_weights(table.source, given=network.weights, cache=machine.folder, watch=machine.watch)

    def start() -> Network:
        body = builtin_body(table, read_weights(file), network.vector)
        return Network(body, body.width, table.mean, table.std, dropout=recipe.dropout or 0.0)

    def graph(learned: Network) -> bytes:
        assert isinstance(learned.body, Body)
        model = build_graph(table, trained_weights(learned.body), size=recipe.size, vector=network.vector)
        return bytes(model.SerializeToString(deterministic=True))

    return start, graph


def _hub(
    network: BackboneOptions, machine: Machine, recipe: Recipe
) -> tuple[Callable[[], Network], Callable[[Network], bytes]]:
    def start() -> Network:
        found = load_hub(network, watch=machine.watch)
        return Network(found.body, found.width, found.mean, found.std, dropout=recipe.dropout or 0.0)

    return start, lambda learned: export(learned, recipe.size)


def _classic(recipe: Recipe) -> Network:
    dropout = (0.1, 0.2) if recipe.dropout is None else (recipe.dropout, recipe.dropout)
    return Network(ClassicBody(recipe.size, dropout), WIDTH, (0.0, 0.0, 0.0), (255.0, 255.0, 255.0))


def _modern(recipe: Recipe) -> Network:
    return Network(ModernBody(), WIDTHS[-1], _MEAN, _STD, dropout=recipe.dropout or 0.0)
