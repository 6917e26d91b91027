"""What learning begins with: a random network, or one that is trained already with the head that fits it."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from twofold.core.errors import UsageError
from twofold.core.notes import Note
from twofold.core.options import BackboneOptions, CrossValidationOptions, FeatureSet, LearningOptions
from twofold.data import Preprocessing, Ranges
from twofold.dataset import folds
from twofold.dataset.labelled import LabelledDataset
from twofold.decision import HeadFit, fit_head, with_floor
from twofold.embedding import Runtime
from twofold.learning.recipes import CLASSIC, FINETUNE, RECIPES, Recipe
from twofold.networks import Backbone, load_backbone
from twofold.networks.architectures import IMAGENET_MEAN, IMAGENET_STD, architecture
from twofold.networks.graph import build_graph
from twofold.networks.hub.hub_backbone import load_hub
from twofold.networks.hub.repository import is_hub
from twofold.networks.modules.builtin import Body, builtin_body, trained_weights
from twofold.networks.modules.classic import WIDTH, ClassicBody
from twofold.networks.modules.export import export
from twofold.networks.modules.modern import WIDTHS, ModernBody
from twofold.networks.modules.network import Network
from twofold.networks.torch_file import read_weights
from twofold.networks.weights import find_weights

Rows = NDArray[np.int64]
_LEAST, _MOST = (
    {"classic": 46, "modern": 24},
    1024,
)  # sides, in pixels: below, nothing is left of a picture after the last pooling


@dataclass(frozen=True, slots=True)
class Initialisation:
    """`network` makes the network that is to learn from these rows of used pictures; `graph` writes it as ONNX.

    Not `dense` are networks whose convolutions filter each channel by itself: on a CPU they learn 1.5 times as fast in float32 as
    in bfloat16, where all others learn twice as fast in bfloat16 if the processor multiplies it.
    """

    name: str
    recipe: Recipe
    preprocessing: Preprocessing
    network: Callable[[Rows], Network]
    graph: Callable[[Network], bytes]
    dense: bool = True
    notes: tuple[Note, ...] = ()
    features: FeatureSet = "last"

    def ranged(self, ranges: Ranges) -> "Initialisation":
        """The same, for images of whose numbers these are black and white."""
        return replace(self, preprocessing=self.preprocessing.ranged(ranges))

    def backbone(self, network: Network) -> Backbone:
        """The network as it has become, in float32."""
        return Backbone(self.name, self.graph(network), self.preprocessing, "f32", self.features, notes=self.notes)


def from_scratch(network: BackboneOptions, learning: LearningOptions, seed: int) -> Initialisation:
    """A random network, the same for the same seed."""
    recipe = RECIPES[learning.recipe or CLASSIC.name].adapted(learning, network.size)
    least = _LEAST[recipe.name]
    if not least <= recipe.size <= _MOST:
        raise UsageError(f"--size for the {recipe.name} recipe lies between {least} and {_MOST}, got {recipe.size}.")
    preprocessing = Preprocessing(recipe.size, network.crop_mode or recipe.crop_mode, network.filter or "bilinear")

    def make(_: Rows) -> Network:
        torch.manual_seed(seed)
        return _classic(recipe) if recipe.name == CLASSIC.name else _modern(recipe)

    return Initialisation(
        f"{recipe.name} CNN", recipe, preprocessing, make, lambda learned: export(learned, recipe.size)
    )


def frozen_backbone(network: BackboneOptions, runtime: Runtime) -> Backbone:
    """The network as it is before fine-tuning, in float32."""
    if network.backbone.endswith(".onnx"):
        raise UsageError(
            "FILE.onnx cannot be fine-tuned, because it says nothing of how to learn; "
            "name a built-in network, hf:ID, a folder or MODULE:FUNCTION."
        )
    return load_backbone(network, "f32", cache=runtime.folder, progress=runtime.progress)


def left_to_learn(frozen: LabelledDataset, cross_validation: CrossValidationOptions) -> float:
    """Share of the uncertainty about the class, 0 to 1, that a head on the frozen network leaves of pictures it did not see:
    its log-loss, out-of-fold, over the entropy of the classes."""
    rows = np.flatnonzero(frozen.valid)
    fit = _head(frozen, rows, cross_validation)
    fraction = float(frozen.labels[rows].mean())
    entropy = -fraction * np.log(fraction) - (1 - fraction) * np.log(1 - fraction)
    return min(1.0, fit.losses[fit.C] / float(entropy))


def _head(frozen: LabelledDataset, rows: Rows, cross_validation: CrossValidationOptions) -> HeadFit:
    parts = folds(frozen.names[rows], frozen.groups[rows], cross_validation.folds, cross_validation.seed)
    return fit_head(frozen.table.features[rows], frozen.labels[rows], parts)


def from_trained(
    network: BackboneOptions,
    learning: LearningOptions,
    cross_validation: CrossValidationOptions,
    runtime: Runtime,
    frozen: LabelledDataset,
    backbone: Backbone,
    left: float,
) -> Initialisation:
    """A network that is trained already, with the head fitted on the vectors that it gives of the pictures it is to learn from.

    `frozen` holds those vectors; `backbone` is the network that gave them; `left` is what they leave to learn.
    """
    recipe = FINETUNE.after(left).adapted(learning, backbone.preprocessing.size)
    from_hub = is_hub(network.backbone)
    start, graph = (_hub if from_hub else _builtin)(network, runtime, recipe)

    def make(rows: Rows) -> Network:
        learned = start()
        head, features = _head(frozen, rows, cross_validation).head, frozen.table.features[rows]
        std = with_floor(features.std(axis=0)).astype(np.float32)
        learned.start_with(head.weights, head.bias, features.mean(axis=0), std)
        return learned

    name = f"{backbone.name}, fine-tuned"
    return Initialisation(
        name, recipe, backbone.preprocessing, make, graph, from_hub, backbone.notes, backbone.features
    )


def _builtin(
    network: BackboneOptions, runtime: Runtime, recipe: Recipe
) -> tuple[Callable[[], Network], Callable[[Network], bytes]]:
    table = architecture(network.backbone)
    file = find_weights(table.source, given=network.weights, cache=runtime.folder, progress=runtime.progress)

    def start() -> Network:
        body = builtin_body(table, read_weights(file), network.features)
        return Network(body, body.width, table.mean, table.std, dropout=recipe.dropout or 0.0)

    def graph(learned: Network) -> bytes:
        assert isinstance(learned.body, Body)
        model = build_graph(table, trained_weights(learned.body), size=recipe.size, features=network.features)
        return bytes(model.SerializeToString(deterministic=True))

    return start, graph


def _hub(
    network: BackboneOptions, runtime: Runtime, recipe: Recipe
) -> tuple[Callable[[], Network], Callable[[Network], bytes]]:
    def start() -> Network:
        found = load_hub(network, progress=runtime.progress)
        return Network(found.body, found.width, found.mean, found.std, dropout=recipe.dropout or 0.0)

    return start, lambda learned: export(learned, recipe.size)


def _classic(recipe: Recipe) -> Network:
    dropout = (0.1, 0.2) if recipe.dropout is None else (recipe.dropout, recipe.dropout)
    return Network(ClassicBody(recipe.size, dropout), WIDTH, (0.0, 0.0, 0.0), (255.0, 255.0, 255.0))


def _modern(recipe: Recipe) -> Network:
    return Network(ModernBody(), WIDTHS[-1], IMAGENET_MEAN, IMAGENET_STD, dropout=recipe.dropout or 0.0)
