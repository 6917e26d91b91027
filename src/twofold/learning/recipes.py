"""How a network is learned: every number, by name."""

from dataclasses import dataclass, replace
from typing import Any, Literal

from twofold.core.options import CropMode, LearningOptions
from twofold.learning.augmentation import Augmentation

Descent = Literal["plateau", "cosine"]


@dataclass(frozen=True, slots=True)
class Recipe:
    """`rate` is that of Adam; by `plateau` it is halved when validation accuracy stands still, by `cosine` it rises for the
    share `warm_up` of all steps and then falls to nothing. The first layer learns at the share `rate_at_input` of it, the last
    at all of it, those between at shares between, the head at the share `rate_at_head`, and the share `frozen` of the layers,
    from the input on, not at all. `fixed_norm` leaves the means of batch norms as they are.

    `smoothing` moves targets from 0 and 1 toward the middle; `average` is the share of itself that the running average of the
    weights keeps at each step; `patience` the epochs without a better validation loss after which learning stops; `growth` the
    side at the start, as a share of the full one.
    """

    name: str
    size: int
    batch_size: int
    epochs: int
    rate: float
    descent: Descent
    augmentation: Augmentation
    crop_mode: CropMode = "squash"
    weight_decay: float = 0.0
    warm_up: float = 0.0
    rate_at_input: float = 1.0
    rate_at_head: float = 1.0
    frozen: float = 0.0
    fixed_norm: bool = False
    smoothing: float = 0.0
    average: float | None = None
    patience: int | None = None
    growth: float = 1.0
    dropout: float | None = None

    def side(self, epoch: int) -> int:
        """The side, in pixels, that pictures are learned at in this epoch, from 0: a multiple of 16 where it grows."""
        fraction = self.growth + (1 - self.growth) * min(1.0, epoch / (0.8 * self.epochs))
        return min(self.size, round(self.size * fraction / 16) * 16) if fraction < 1 else self.size

    def after(self, left: float) -> "Recipe":
        """The recipe for a network that is trained already and leaves the share `left` of the uncertainty, 0 to 1.

        Where little is left to learn, long steps only take it away from what it knows, and smoothed targets from its certainty.
        """
        return replace(self, rate=self.rate * left, smoothing=self.smoothing * left)

    def adapted(self, options: LearningOptions, size: int | None) -> "Recipe":
        """The recipe with what the options say otherwise."""
        given = {
            "size": size,
            "batch_size": options.batch_size,
            "epochs": options.epochs,
            "rate": options.learning_rate,
            "weight_decay": options.weight_decay,
            "dropout": options.dropout,
        }
        changed: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        varied = self.augmentation.scaled(options.augment)
        if not options.fixed_orientation and options.augment:
            varied = replace(varied, upside_down=True, quarter_turns=True)
        return replace(self, augmentation=varied, **changed)


CLASSIC = Recipe(
    name="classic",
    size=200,
    batch_size=128,
    epochs=50,
    rate=1e-3,
    descent="plateau",
    patience=3,
    augmentation=Augmentation(flip=True, turn=0.1, zoom=(0.9, 1.1)),
)

MODERN = Recipe(
    name="modern",
    size=96,
    batch_size=128,
    epochs=40,
    rate=3e-3,
    descent="cosine",
    weight_decay=0.05,
    warm_up=0.1,
    smoothing=0.05,
    average=0.998,
    growth=0.67,
    dropout=0.1,
    augmentation=Augmentation(
        flip=True, turn=0.04, zoom=(0.8, 1.05), stretch=0.25, shift=1.0, light=0.2, contrast=0.3, saturation=0.3
    ),
)

FINETUNE = Recipe(
    name="finetune",
    size=224,
    batch_size=32,
    epochs=12,
    # This and the smoothing are for a network that leaves everything to learn: `after` has less for all others.
    rate=2e-3,
    descent="cosine",
    weight_decay=0.02,
    warm_up=0.1,
    rate_at_input=0.1,
    # The head is fitted already, and reads some thousand standardised numbers: a step of Adam moves all its weights alike.
    rate_at_head=0.1,
    frozen=0.25,
    fixed_norm=True,
    smoothing=0.1,
    average=0.99,
    # Nothing that samples pixels anew: docs/decisions/011 has what that does.
    augmentation=Augmentation(flip=True, light=0.1, contrast=0.1),
)

RECIPES = {recipe.name: recipe for recipe in (CLASSIC, MODERN, FINETUNE)}
