"""A small network and small pictures, which learn in a second."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from drawings import draw
from torch import Tensor, nn

from twofold.learning.batches import Batches
from twofold.learning.decoded_images import DecodedImages, hold
from twofold.learning.learner import Learner
from twofold.learning.recipes import MODERN, Recipe
from twofold.networks.modules.network import BodyOutput, Network

SIDE = 32
LABELS = np.arange(60, dtype=np.int8) % 2
SMALL = replace(MODERN, size=SIDE, batch_size=16, epochs=4, dropout=0.0, growth=1.0)


def pixels() -> DecodedImages:
    """Bars and rings in turns."""
    images = [draw(("bars", "rings")[label], number, SIDE) for number, label in enumerate(LABELS)]
    return hold(np.stack([np.asarray(image) for image in images]))


class SmallBody(nn.Module):
    """Two convolutions; its batch norm can be left out, so that a batch may be cut into parts."""

    def __init__(self, *, norm: bool = False) -> None:
        super().__init__()
        middle: list[nn.Module] = [nn.BatchNorm2d(8)] if norm else []
        self.maps = nn.Sequential(nn.Conv2d(3, 8, 5, 2), *middle, nn.ReLU(), nn.Conv2d(8, 16, 3, 2), nn.ReLU())

    def forward(self, x: Tensor) -> BodyOutput:
        feature_map = self.maps(x)
        return feature_map.mean((2, 3)), feature_map


def network(*, norm: bool = False, seed: int = 0) -> Network:
    torch.manual_seed(seed)
    return Network(SmallBody(norm=norm), 16, (128.0,) * 3, (64.0,) * 3)


def learner(recipe: Recipe = SMALL, *, norm: bool = False, **other: Any) -> Callable[[], Learner]:
    """What makes the learner of a small network, the same each time."""
    return lambda: Learner(network(norm=norm), recipe, images=len(LABELS), seed=3, **other)


def batches(recipe: Recipe = SMALL) -> Batches:
    rows = np.arange(len(LABELS))
    held = rows % 5 < 2
    return Batches(pixels(), LABELS, rows[~held], rows[held], batch_size=recipe.batch_size, seed=3)
