"""The LightningModule: loss, optimiser, learning-rate schedule, and the metrics of every epoch."""

import math
from collections.abc import Iterator
from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR, ReduceLROnPlateau

from twofold.core.errors import LearningError
from twofold.learning.augmentation import DRAWS
from twofold.learning.batches import Batch
from twofold.learning.recipes import Recipe
from twofold.networks.modules.network import Network

EpochMetrics = dict[str, float]
"""epoch (from 1), train_loss, train_accuracy, val_loss, val_accuracy, learning_rate."""

_LR_STEPS = 8  # number of layer groups with a learning rate that falls towards the input


class Learner(LightningModule):
    """Trains a network by a recipe.

    `image_count` is the number of images that the rows of batches index. `class_weights` multiply the loss, (negative,
    positive). `logit_shift` is the bias of the logits where training balances the classes, relative to the true prevalence;
    validation subtracts it.

    `history` has one entry per epoch. Its training metrics are on augmented images, averaged over an epoch in which the network
    changes.
    """

    def __init__(
        self,
        network: Network,
        recipe: Recipe,
        *,
        image_count: int,
        seed: int,
        class_weights: tuple[float, float] = (1.0, 1.0),
        logit_shift: float = 0.0,
    ) -> None:
        super().__init__()
        self.network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in its types
        self.recipe = recipe
        body = list(network.body.parameters())
        for parameter in body[: round(recipe.frozen_fraction * len(body))]:
            parameter.requires_grad_(False)
        self.image_count, self.seed = image_count, seed
        self.class_weights, self.logit_shift = class_weights, logit_shift
        self.history: list[EpochMetrics] = []
        self._plateau: ReduceLROnPlateau | None = None
        self._plateau_state: dict[str, Any] | None = None
        self._draws = torch.empty(0)

    def on_train_epoch_start(self) -> None:
        # Augmentation follows from seed, epoch and image, dropout from seed and epoch: both are the same after a resumption,
        # and augmentation on any number of processes.
        seed = self.seed * 100_003 + self.current_epoch
        self._draws = torch.rand(self.image_count, DRAWS, generator=torch.Generator().manual_seed(seed))
        torch.manual_seed(seed)
        if self.recipe.frozen_norm:
            for module in self.network.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.eval()

    def training_step(self, batch: Batch, _: int) -> Tensor:
        size, draws = self.recipe.image_size(self.current_epoch), self._draws[batch.rows.cpu()].to(self.device)
        pixels = self.recipe.augmentation(_to_float(batch.model_inputs), draws, size)
        logits = self.network(pixels.contiguous(memory_format=torch.channels_last)).float()
        targets = batch.labels * (1 - self.recipe.label_smoothing) + self.recipe.label_smoothing / 2
        weights = torch.where(batch.labels > 0.5, self.class_weights[1], self.class_weights[0])
        loss = binary_cross_entropy_with_logits(logits, targets, weight=weights)
        self._check_finite(loss, "loss")
        self._log_metrics("train", logits, batch.labels, loss)
        penalty = getattr(self.network.body, "penalty", None)
        return (loss if penalty is None else loss + penalty()) * batch.weight

    def validation_step(self, batch: Batch, _: int) -> None:
        logits = self.network(_to_float(batch.model_inputs)).float() - self.logit_shift
        self._log_metrics("val", logits, batch.labels, binary_cross_entropy_with_logits(logits, batch.labels))

    def _check_finite(self, loss: Tensor, name: str) -> None:
        if not torch.isfinite(loss):
            raise LearningError(
                f"The {name} became {loss.item()} in epoch {self.current_epoch + 1}; try a lower `learning_rate` than "
                f"{self.recipe.learning_rate:g}, and `dtype='f32'`."
            )

    def _log_metrics(self, prefix: str, logits: Tensor, labels: Tensor, loss: Tensor) -> None:
        accuracy = ((logits > 0) == (labels > 0.5)).float().mean()
        metrics = {f"{prefix}_loss": loss.detach(), f"{prefix}_accuracy": accuracy}
        self.log_dict(metrics, on_step=False, on_epoch=True, prog_bar=True, batch_size=len(labels), sync_dist=True)

    def on_train_epoch_end(self) -> None:
        metrics = self.trainer.callback_metrics
        self._check_finite(metrics["val_loss"], "validation loss")
        names = ("train_loss", "train_accuracy", "val_loss", "val_accuracy")
        learning_rate = max(group["lr"] for group in self.trainer.optimizers[0].param_groups)
        self.history.append(
            {
                "epoch": self.current_epoch + 1,
                **{name: float(metrics[name]) for name in names},
                "learning_rate": learning_rate,
            }
        )
        if self._plateau is not None:  # not by Lightning, which steps it after the checkpoint is written
            self._plateau.step(float(metrics["val_accuracy"]))

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["history"] = self.history
        if self._plateau is not None:
            checkpoint["plateau"] = self._plateau.state_dict()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.history = checkpoint["history"]
        self._plateau_state = checkpoint.get("plateau")

    def configure_optimizers(self) -> Any:
        optimizer = AdamW(list(self._parameter_groups()), lr=self.recipe.learning_rate, eps=1e-7)
        if self.recipe.lr_schedule == "plateau":
            # Keras with a patience of 2 halves after the second epoch without gain, torch only after the third.
            self._plateau = ReduceLROnPlateau(
                optimizer, mode="max", factor=0.5, patience=1, threshold=1e-4, threshold_mode="abs"
            )
            if self._plateau_state is not None:
                self._plateau.load_state_dict(self._plateau_state)
            return optimizer
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": self._cosine(optimizer), "interval": "step"}}

    def _cosine(self, optimizer: Optimizer) -> LambdaLR:
        steps = max(1, int(self.trainer.estimated_stepping_batches))
        warmup = max(1, round(self.recipe.warmup_fraction * steps))

        def factor(step: int) -> float:
            if step < warmup:
                return (step + 1) / warmup
            return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - warmup) / max(1, steps - warmup))))

        return LambdaLR(optimizer, factor)

    def _parameter_groups(self) -> Iterator[dict[str, Any]]:
        """Parameters with their learning rate and weight decay; one-dimensional ones (biases, norms) do not decay."""
        recipe, body, head = self.recipe, list(self.network.body.parameters()), list(self.network.head.parameters())
        depths = [_LR_STEPS * index // len(body) / (_LR_STEPS - 1) for index in range(len(body))]
        factors = [recipe.input_lr_factor ** (1 - depth) for depth in depths] + [recipe.head_lr_factor] * len(head)
        groups: dict[tuple[float, float], list[nn.Parameter]] = {}
        for parameter, factor in zip([*body, *head], factors, strict=True):
            if parameter.requires_grad:
                decay = recipe.weight_decay if parameter.ndim > 1 else 0.0
                groups.setdefault((recipe.learning_rate * factor, decay), []).append(parameter)
        for (learning_rate, decay), parameters in groups.items():
            yield {"params": parameters, "lr": learning_rate, "weight_decay": decay}


def _to_float(model_inputs: Tensor) -> Tensor:
    """float (n, 3, size, size), 0 to 255, channels last in memory, from uint8 (n, size, size, 3)."""
    return model_inputs.permute(0, 3, 1, 2).float()
