"""The network before training: random, or pretrained with a fitted head."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch

from twofold.core.arrays import Rows
from twofold.core.errors import UsageError
from twofold.core.notes import Note
from twofold.core.options import BackboneOptions, CrossValidationOptions, FeatureSet, LearningOptions
from twofold.data import IntensityRanges, Preprocessing
from twofold.dataset import folds
from twofold.dataset.labelled import LabelledDataset
from twofold.decision import HeadFit, fit_head, with_floor
from twofold.embedding import Runtime
from twofold.learning.recipes import CLASSIC, FINETUNE, RECIPES, Recipe
from twofold.networks import Backbone, load_backbone
from twofold.networks.architectures import IMAGENET_MEAN, IMAGENET_STD, find_architecture
from twofold.networks.graph import build_graph
from twofold.networks.hub.hub_backbone import load_hub_network
from twofold.networks.hub.repository import is_hub
from twofold.networks.modules.builtin import Body, make_builtin_body, trained_weights
from twofold.networks.modules.classic import WIDTH, ClassicBody
from twofold.networks.modules.export import export
from twofold.networks.modules.modern import WIDTHS, ModernBody
from twofold.networks.modules.network import Network
from twofold.networks.torch_file import read_weights
from twofold.networks.weights import find_weights

_MIN_SIZE = {"classic": 46, "modern": 24}  # pixels: in smaller images nothing is left after the last pooling
_MAX_SIZE = 1024


@dataclass(frozen=True, slots=True)
class Initialisation:
    """The start of a training run. `build_network` makes the network to train on rows of the usable images; `export_graph` writes
    it as ONNX.

    `dense` is False for networks with depthwise convolutions: on a CPU they train 1.5 times as fast in float32 as in bfloat16.
    All others train twice as fast in bfloat16 if the processor has bfloat16 instructions.
    """

    name: str
    recipe: Recipe
    preprocessing: Preprocessing
    build_network: Callable[[Rows], Network]
    export_graph: Callable[[Network], bytes]
    dense: bool = True
    notes: tuple[Note, ...] = ()
    features: FeatureSet = "last"

    def with_intensity_ranges(self, ranges: IntensityRanges) -> "Initialisation":
        """A copy whose preprocessing maps these intensity ranges to black and white."""
        return replace(self, preprocessing=self.preprocessing.with_intensity_ranges(ranges))

    def backbone(self, network: Network) -> Backbone:
        """The trained network as a float32 backbone."""
        graph = self.export_graph(network)
        return Backbone(self.name, graph, self.preprocessing, "f32", self.features, notes=self.notes)


def from_scratch(network: BackboneOptions, learning: LearningOptions, seed: int) -> Initialisation:
    """A random network, determined by the seed. Raises UsageError where the size does not suit the recipe."""
    recipe = RECIPES[learning.recipe or CLASSIC.name].with_options(learning, network.size)
    minimum = _MIN_SIZE[recipe.name]
    if not minimum <= recipe.size <= _MAX_SIZE:
        raise UsageError(
            f"`size` must lie between {minimum} and {_MAX_SIZE} for the {recipe.name} recipe, got {recipe.size}."
        )
    preprocessing = Preprocessing(
        recipe.size, network.fixed_crop_mode or recipe.crop_mode, network.filter or "bilinear"
    )

    def build_network(_: Rows) -> Network:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return _classic_network(recipe) if recipe.name == CLASSIC.name else _modern_network(recipe)

    def export_graph(network: Network) -> bytes:
        return export(network, recipe.size)

    return Initialisation(f"{recipe.name} CNN", recipe, preprocessing, build_network, export_graph)


def load_frozen_backbone(network: BackboneOptions, runtime: Runtime) -> Backbone:
    """The pretrained network before fine-tuning, in float32."""
    return load_backbone(network, "f32", cache=runtime.folder, progress=runtime.progress)


def remaining_uncertainty(frozen: LabelledDataset, cross_validation: CrossValidationOptions) -> float:
    """Fraction of the uncertainty about the class, 0 to 1, that a head on the frozen network leaves on unseen images: its
    out-of-fold log-loss over the entropy of the class prevalence."""
    rows = np.flatnonzero(frozen.valid)
    fit = _fit_head(frozen, rows, cross_validation)
    prevalence = float(frozen.labels[rows].mean())
    entropy = -prevalence * np.log(prevalence) - (1 - prevalence) * np.log(1 - prevalence)
    return min(1.0, fit.losses[fit.C] / float(entropy))


def _fit_head(frozen: LabelledDataset, rows: Rows, cross_validation: CrossValidationOptions) -> HeadFit:
    fold = folds(frozen.names[rows], frozen.groups[rows], cross_validation.folds, cross_validation.seed)
    return fit_head(frozen.table.features[rows], frozen.labels[rows], fold)


def from_pretrained(
    network: BackboneOptions,
    learning: LearningOptions,
    cross_validation: CrossValidationOptions,
    runtime: Runtime,
    frozen: LabelledDataset,
    backbone: Backbone,
    uncertainty: float,
) -> Initialisation:
    """A pretrained network with a head that is fitted on its features of the images it is trained on.

    `frozen` holds the features by `backbone`, the pretrained network; `uncertainty` is their `remaining_uncertainty`.
    """
    recipe = FINETUNE.for_uncertainty(uncertainty).with_options(learning, backbone.preprocessing.size)
    hub = is_hub(network.backbone)
    load_network, export_graph = (_hub_network if hub else _builtin_network)(network, runtime, recipe)

    def build_network(rows: Rows) -> Network:
        pretrained = load_network()
        head, features = _fit_head(frozen, rows, cross_validation).head, frozen.table.features[rows]
        std = with_floor(features.std(axis=0)).astype(np.float32)
        pretrained.set_head(head.weights, head.bias, features.mean(axis=0), std)
        return pretrained

    name = f"{backbone.name}, fine-tuned"
    return Initialisation(
        name, recipe, backbone.preprocessing, build_network, export_graph, hub, backbone.notes, backbone.features
    )


def _builtin_network(
    options: BackboneOptions, runtime: Runtime, recipe: Recipe
) -> tuple[Callable[[], Network], Callable[[Network], bytes]]:
    table = find_architecture(options.backbone)
    file = find_weights(table.source, file=options.weights, cache=runtime.folder, progress=runtime.progress)

    def load_network() -> Network:
        body = make_builtin_body(table, read_weights(file), options.features)
        return Network(body, body.width, table.mean, table.std, dropout=recipe.dropout or 0.0)

    def export_graph(network: Network) -> bytes:
        assert isinstance(network.body, Body)
        model = build_graph(table, trained_weights(network.body), size=recipe.size, features=options.features)
        return bytes(model.SerializeToString(deterministic=True))

    return load_network, export_graph


def _hub_network(
    options: BackboneOptions, runtime: Runtime, recipe: Recipe
) -> tuple[Callable[[], Network], Callable[[Network], bytes]]:
    def load_network() -> Network:
        module = load_hub_network(options, progress=runtime.progress)
        return Network(module.body, module.width, module.mean, module.std, dropout=recipe.dropout or 0.0)

    return load_network, lambda network: export(network, recipe.size)


def _classic_network(recipe: Recipe) -> Network:
    dropout = (0.1, 0.2) if recipe.dropout is None else (recipe.dropout, recipe.dropout)
    return Network(ClassicBody(recipe.size, dropout), WIDTH, (0.0, 0.0, 0.0), (255.0, 255.0, 255.0))


def _modern_network(recipe: Recipe) -> Network:
    return Network(ModernBody(), WIDTHS[-1], IMAGENET_MEAN, IMAGENET_STD, dropout=recipe.dropout or 0.0)
