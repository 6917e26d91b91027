"""One network trained on some rows of a dataset: the training run, its trials and its folds all use this."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from numpy.typing import NDArray

from twofold.core.arrays import Rows
from twofold.core.options import LearningOptions
from twofold.dataset import folds, split
from twofold.dataset.labelled import LabelledDataset
from twofold.learning.batches import Batches
from twofold.learning.decoded_images import DecodedImages
from twofold.learning.initialisation import Initialisation
from twofold.learning.learner import Learner
from twofold.learning.trainer import Devices, TrainingHistory, train_network
from twofold.learning.tuning.trial import Setting
from twofold.learning.weight_interpolation import WeightInterpolation, choose_interpolation
from twofold.networks.modules.network import Network

_BATCH = 64  # images for which logits are computed at once

Initialise = Callable[[LearningOptions], Initialisation]


@dataclass(frozen=True, slots=True, eq=False)
class NetworkTraining:
    """Everything that the training of a network needs, except the rows. `initialise` gives `initialisation` for other options."""

    initialise: Initialise
    initialisation: Initialisation
    images: DecodedImages
    dataset: LabelledDataset
    learning: LearningOptions
    folds: int  # of the cross-validation of a pretrained network's head
    seed: int
    folder: Path
    devices: Devices

    def with_settings(self, settings: Mapping[str, Setting]) -> "NetworkTraining":
        """A copy with other values of these options."""
        if not settings:
            return self
        learning = replace(self.learning, **settings)  # type: ignore[arg-type]  # each of its own type
        return replace(self, initialisation=self.initialise(learning), learning=learning)

    def with_description(self, description: str) -> "NetworkTraining":
        """A copy with this description in its progress bar."""
        return replace(self, devices=replace(self.devices, description=description))

    def assign_folds(self, rows: Rows, count: int, *, option: str = "folds") -> NDArray[np.int64]:
        """The fold of each row, 0 to count - 1. `option` is the name of `count` in an error."""
        return folds(self.dataset.names[rows], self.dataset.groups[rows], count, self.seed, option=option)

    def split(self, rows: Rows) -> tuple[Rows, Rows]:
        """Training and validation rows."""
        fraction = self.learning.validation_fraction
        validation = split(self.dataset.names[rows], self.dataset.groups[rows], fraction, self.seed)
        return rows[~validation], rows[validation]

    def check_split(self, rows: Rows) -> None:
        """Raises DataError where these rows cannot be split, or are too few to cross-validate a pretrained network's head."""
        train, _ = self.split(rows)
        if self.learning.mode == "finetune":
            self.assign_folds(train, self.folds)

    def train(
        self, rows: Rows, name: str, *, callbacks: tuple[Callback, ...] = ()
    ) -> tuple[Network, TrainingHistory, NDArray[np.bool_]]:
        """The network trained on these rows, its history, and the mask of its validation images, (used,).

        Checkpoints are in the folder of this name.
        """
        labels, learning, recipe = self.dataset.labels, self.learning, self.initialisation.recipe
        train, validation = self.split(rows)
        balanced_weights = _class_weights(labels[train]) if learning.balance != "none" else (1.0, 1.0)
        class_weights = balanced_weights if learning.balance == "loss" else (1.0, 1.0)
        logit_shift = float(np.log(balanced_weights[1] / balanced_weights[0]))

        def make_learner() -> Learner:
            network = self.initialisation.build_network(train)
            if learning.mode == "finetune":  # its head was fitted at the true prevalence
                _shift_bias(network, logit_shift)
            return Learner(
                network,
                recipe,
                image_count=len(labels),
                class_weights=class_weights,
                logit_shift=logit_shift,
                seed=self.seed,
            )

        batches = Batches(
            self.images,
            labels,
            train,
            validation,
            batch_size=recipe.batch_size,
            seed=self.seed,
            sampling="balanced" if learning.balance == "sampler" else "shuffled",
        )
        network, history = train_network(make_learner, batches, self.folder / name, self.devices, callbacks=callbacks)
        _shift_bias(network, -logit_shift)  # from balanced classes to the true prevalence
        mask = np.zeros(len(labels), np.bool_)
        mask[validation] = True
        return network, history, mask

    def interpolate(self, network: Network, rows: Rows) -> WeightInterpolation | None:
        """The weight interpolation of a network that was fine-tuned on these rows; None from scratch.

        Afterwards the network has the interpolated weights.
        """
        if self.learning.mode != "finetune":
            return None
        train, validation = self.split(rows)
        start = self.initialisation.build_network(train).state_dict()
        labels = self.dataset.labels[validation]
        return choose_interpolation(network, start, labels, partial(self.logits, rows=validation))

    def logits(self, network: Network, rows: Rows) -> NDArray[np.float64]:
        """The logit of each row, (n,)."""
        batches = []
        with torch.inference_mode():
            for start in range(0, len(rows), _BATCH):
                model_inputs = torch.from_numpy(self.images.take(rows[start : start + _BATCH]))
                batches.append(network(model_inputs.permute(0, 3, 1, 2).float()).double().numpy())
        return np.concatenate(batches)


def _shift_bias(network: Network, logits: float) -> None:
    with torch.no_grad():
        network.head.bias.add_(logits)


def _class_weights(labels: NDArray[np.int8]) -> tuple[float, float]:
    """Weights (negative, positive) that balance the classes; their mean over the images is 1."""
    positive = int(labels.sum())
    return len(labels) / (2 * (len(labels) - positive)), len(labels) / (2 * positive)
