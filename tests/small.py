"""A small network and small images, which train in a second."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from drawings import draw
from torch import Tensor, nn

from twofold.learning.batches import Batches
from twofold.learning.decoded_images import DecodedImages
from twofold.learning.decoder import hold_in_memory
from twofold.learning.learner import Learner
from twofold.learning.recipes import MODERN, Recipe
from twofold.networks.modules.network import BodyOutput, Network

SIZE = 32
LABELS = np.arange(60, dtype=np.int8) % 2
SMALL = replace(MODERN, size=SIZE, batch_size=16, epochs=4, dropout=0.0, initial_size_fraction=1.0)


def images() -> DecodedImages:
    """Alternating bars and rings."""
    drawings = [draw(("bars", "rings")[label], number, SIZE) for number, label in enumerate(LABELS)]
    return hold_in_memory(np.stack([np.asarray(drawing) for drawing in drawings]))


class SmallBody(nn.Module):
    """Two convolutions; without batch norm a batch may be cut into micro-batches."""

    def __init__(self, *, norm: bool = False) -> None:
        super().__init__()
        norms: list[nn.Module] = [nn.BatchNorm2d(8)] if norm else []
        self.maps = nn.Sequential(nn.Conv2d(3, 8, 5, 2), *norms, nn.ReLU(), nn.Conv2d(8, 16, 3, 2), nn.ReLU())

    def forward(self, x: Tensor) -> BodyOutput:
        feature_map = self.maps(x)
        return feature_map.mean((2, 3)), feature_map


def network(*, norm: bool = False, seed: int = 0) -> Network:
    torch.manual_seed(seed)
    return Network(SmallBody(norm=norm), 16, (128.0,) * 3, (64.0,) * 3)


def learner(recipe: Recipe = SMALL, *, norm: bool = False, **arguments: Any) -> Callable[[], Learner]:
    """A function that makes a learner of the small network, the same at each call."""
    return lambda: Learner(network(norm=norm), recipe, image_count=len(LABELS), seed=3, **arguments)


def batches(recipe: Recipe = SMALL) -> Batches:
    rows = np.arange(len(LABELS))
    validation = rows % 5 < 2
    return Batches(images(), LABELS, rows[~validation], rows[validation], batch_size=recipe.batch_size, seed=3)
