"""Training recipes by name: all hyper-parameters of a training run."""

from dataclasses import dataclass, replace
from typing import Any, Literal

from twofold.core.options import CropMode, LearningOptions
from twofold.learning.augmentation import Augmentation

LearningRateSchedule = Literal["plateau", "cosine"]


@dataclass(frozen=True, slots=True)
class Recipe:
    """Size, optimiser, schedule, regularisation and augmentation of one training run.

    `lr_schedule`: "plateau" halves the learning rate when validation accuracy stops improving; "cosine" raises it during the
    first `warmup_fraction` of all steps, then lowers it to 0. `patience` is the number of epochs without a better validation
    loss after which training stops.

    Layers: `frozen_fraction` of them, counted from the input, are not trained. The learning rate is multiplied by
    `input_lr_factor` in the first layer, by 1 in the last, by factors between in the layers between, and by `head_lr_factor` in
    the head.
    `frozen_norm` keeps the running statistics of batch norm.

    `label_smoothing` moves targets from 0 and 1 towards 0.5. `ema_decay` is the decay of the exponential moving average of
    the weights. `initial_size_fraction` below 1 is progressive resizing: the size in the first epoch, relative to `size`.
    """

    name: str
    size: int
    batch_size: int
    epochs: int
    learning_rate: float
    lr_schedule: LearningRateSchedule
    augmentation: Augmentation
    crop_mode: CropMode = "squash"
    weight_decay: float = 0.0
    warmup_fraction: float = 0.0
    input_lr_factor: float = 1.0
    head_lr_factor: float = 1.0
    frozen_fraction: float = 0.0
    frozen_norm: bool = False
    label_smoothing: float = 0.0
    ema_decay: float | None = None
    patience: int | None = None
    initial_size_fraction: float = 1.0
    dropout: float | None = None

    def image_size(self, epoch: int) -> int:
        """Side of the training images in this epoch, counted from 0, in pixels: a multiple of 16 while it grows."""
        fraction = self.initial_size_fraction + (1 - self.initial_size_fraction) * min(1.0, epoch / (0.8 * self.epochs))
        return min(self.size, round(self.size * fraction / 16) * 16) if fraction < 1 else self.size

    def for_uncertainty(self, uncertainty: float) -> "Recipe":
        """A copy for a pretrained network whose features leave this fraction of the uncertainty about the class, 0 to 1.

        Learning rate and label smoothing are multiplied by it. Where little uncertainty remains, large steps only damage the
        pretrained features, and smoothed targets contradict correct, confident predictions.
        """
        return replace(
            self,
            learning_rate=self.learning_rate * uncertainty,
            label_smoothing=self.label_smoothing * uncertainty,
        )

    def with_options(self, options: LearningOptions, size: int | None) -> "Recipe":
        """A copy in which the options that are set replace the recipe's values."""
        values = {
            "size": size,
            "batch_size": options.batch_size,
            "epochs": options.epochs,
            "learning_rate": options.learning_rate,
            "weight_decay": options.weight_decay,
            "dropout": options.dropout,
        }
        changes: dict[str, Any] = {name: value for name, value in values.items() if value is not None}
        augmentation = self.augmentation.with_strength(options.augment)
        if not options.fixed_orientation and options.augment:
            augmentation = replace(augmentation, vertical_flip=True, quarter_turns=True)
        return replace(self, augmentation=augmentation, **changes)


CLASSIC = Recipe(
    name="classic",
    size=200,
    batch_size=128,
    epochs=50,
    learning_rate=1e-3,
    lr_schedule="plateau",
    patience=3,
    augmentation=Augmentation(horizontal_flip=True, rotation=0.1, zoom=(0.9, 1.1)),
)

MODERN = Recipe(
    name="modern",
    size=96,
    batch_size=128,
    epochs=40,
    learning_rate=3e-3,
    lr_schedule="cosine",
    weight_decay=0.05,
    warmup_fraction=0.1,
    label_smoothing=0.05,
    ema_decay=0.998,
    initial_size_fraction=0.67,
    dropout=0.1,
    augmentation=Augmentation(
        horizontal_flip=True,
        rotation=0.04,
        zoom=(0.8, 1.05),
        aspect_ratio=0.25,
        shift=1.0,
        brightness=0.2,
        contrast=0.3,
        saturation=0.3,
    ),
)

FINETUNE = Recipe(
    name="finetune",
    size=224,
    batch_size=32,
    epochs=12,
    # Learning rate and label smoothing are for an uncertainty of 1: `for_uncertainty` lowers both.
    learning_rate=2e-3,
    lr_schedule="cosine",
    weight_decay=0.02,
    warmup_fraction=0.1,
    input_lr_factor=0.1,
    # The head is already fitted, on some thousand standardised features, and a step of Adam changes all its weights equally.
    head_lr_factor=0.1,
    frozen_fraction=0.25,
    frozen_norm=True,
    label_smoothing=0.1,
    ema_decay=0.99,
    # No augmentation that resamples pixels: docs/decisions/011 has its effect.
    augmentation=Augmentation(horizontal_flip=True, brightness=0.1, contrast=0.1),
)

RECIPES = {recipe.name: recipe for recipe in (CLASSIC, MODERN, FINETUNE)}
