"""What Lightning trains: the loss, the steps, and what is noted of every epoch."""

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

Row = dict[str, float]
_LAYERS = 8  # steps in which the rate falls toward the input


class Learner(LightningModule):
    """`pictures` counts all that batches refer to; `weights` are those of the two classes in the loss, (negative, positive).

    `shift` is how much too large its logits are for the data as it is, where the classes were learned as if equal in number.

    `history` has a row for every epoch: loss and accuracy of the pictures as they were seen while learning (varied, and by a
    network that changed meanwhile), and of the validation part.
    """

    def __init__(
        self,
        network: Network,
        recipe: Recipe,
        *,
        images: int,
        seed: int,
        weights: tuple[float, float] = (1.0, 1.0),
        shift: float = 0.0,
    ) -> None:
        super().__init__()
        self.network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in its types
        self.recipe = recipe
        body = list(network.body.parameters())
        for parameter in body[: round(recipe.frozen * len(body))]:
            parameter.requires_grad_(False)
        self.images, self.seed = images, seed
        self.weights, self.shift = weights, shift
        self.history: list[Row] = []
        self._plateau: ReduceLROnPlateau | None = None
        self._plateau_state: dict[str, Any] | None = None
        self._draws = torch.empty(0)

    def on_train_epoch_start(self) -> None:
        # What happens to a picture comes from seed, epoch and picture, so that it is the same after a resumption and on any
        # number of processes; dropout, from seed and epoch.
        seed = self.seed * 100_003 + self.current_epoch
        self._draws = torch.rand(self.images, DRAWS, generator=torch.Generator().manual_seed(seed))
        torch.manual_seed(seed)
        if self.recipe.fixed_norm:
            for module in self.network.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.eval()

    def training_step(self, batch: Batch, _: int) -> Tensor:
        side = self.recipe.side(self.current_epoch)
        pixels = self.recipe.augmentation(
            _floats(batch.model_inputs), self._draws[batch.rows.cpu()].to(self.device), side
        )
        logits = self.network(pixels.contiguous(memory_format=torch.channels_last)).float()
        targets = batch.labels * (1 - self.recipe.smoothing) + self.recipe.smoothing / 2
        weights = torch.where(batch.labels > 0.5, self.weights[1], self.weights[0])
        loss = binary_cross_entropy_with_logits(logits, targets, weight=weights)
        self._check(loss, "loss")
        self._note("train", logits, batch.labels, loss)
        penalty = getattr(self.network.body, "penalty", None)
        return (loss if penalty is None else loss + penalty()) * batch.weight

    def validation_step(self, batch: Batch, _: int) -> None:
        logits = self.network(_floats(batch.model_inputs)).float() - self.shift
        self._note("val", logits, batch.labels, binary_cross_entropy_with_logits(logits, batch.labels))

    def _check(self, loss: Tensor, what: str) -> None:
        if not torch.isfinite(loss):
            raise LearningError(
                f"The {what} became {loss.item()} in epoch {self.current_epoch + 1}; try a lower --learning-rate than "
                f"{self.recipe.rate:g}, and --dtype f32."
            )

    def _note(self, part: str, logits: Tensor, labels: Tensor, loss: Tensor) -> None:
        accuracy = ((logits > 0) == (labels > 0.5)).float().mean()
        values = {f"{part}_loss": loss.detach(), f"{part}_accuracy": accuracy}
        self.log_dict(values, on_step=False, on_epoch=True, prog_bar=True, batch_size=len(labels), sync_dist=True)

    def on_train_epoch_end(self) -> None:
        seen = self.trainer.callback_metrics
        self._check(seen["val_loss"], "validation loss")
        names = ("train_loss", "train_accuracy", "val_loss", "val_accuracy")
        rate = max(group["lr"] for group in self.trainer.optimizers[0].param_groups)
        self.history.append(
            {"epoch": self.current_epoch + 1, **{name: float(seen[name]) for name in names}, "rate": rate}
        )
        if self._plateau is not None:  # by hand: a checkpoint would be written before Lightning steps it
            self._plateau.step(float(seen["val_accuracy"]))

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["history"] = self.history
        if self._plateau is not None:
            checkpoint["plateau"] = self._plateau.state_dict()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.history = checkpoint["history"]
        self._plateau_state = checkpoint.get("plateau")

    def configure_optimizers(self) -> Any:
        optimizer = AdamW(list(self._groups()), lr=self.recipe.rate, eps=1e-7)
        if self.recipe.descent == "plateau":
            # Keras's patience of 2 halves after the second epoch without gain, torch's only after one more.
            self._plateau = ReduceLROnPlateau(
                optimizer, mode="max", factor=0.5, patience=1, threshold=1e-4, threshold_mode="abs"
            )
            if self._plateau_state is not None:
                self._plateau.load_state_dict(self._plateau_state)
            return optimizer
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": self._cosine(optimizer), "interval": "step"}}

    def _cosine(self, optimizer: Optimizer) -> LambdaLR:
        steps = max(1, int(self.trainer.estimated_stepping_batches))
        warm_up = max(1, round(self.recipe.warm_up * steps))

        def fraction(step: int) -> float:
            if step < warm_up:
                return (step + 1) / warm_up
            return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - warm_up) / max(1, steps - warm_up))))

        return LambdaLR(optimizer, fraction)

    def _groups(self) -> Iterator[dict[str, Any]]:
        """Parameters with their rate and weight decay; what has one dimension (biases, norms) does not decay."""
        recipe, body, head = self.recipe, list(self.network.body.parameters()), list(self.network.head.parameters())
        depths = [_LAYERS * index // len(body) / (_LAYERS - 1) for index in range(len(body))]
        fractions = [recipe.rate_at_input ** (1 - depth) for depth in depths] + [recipe.rate_at_head] * len(head)
        groups: dict[tuple[float, float], list[nn.Parameter]] = {}
        for parameter, fraction in zip([*body, *head], fractions, strict=True):
            if parameter.requires_grad:
                decay = recipe.weight_decay if parameter.ndim > 1 else 0.0
                groups.setdefault((recipe.rate * fraction, decay), []).append(parameter)
        for (rate, decay), members in groups.items():
            yield {"params": members, "lr": rate, "weight_decay": decay}


def _floats(model_inputs: Tensor) -> Tensor:
    """uint8 (n, size, size, 3) -> float (n, 3, size, size), 0 to 255, channels last in memory."""
    return model_inputs.permute(0, 3, 1, 2).float()
