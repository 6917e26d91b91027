"""Stops a trial that is worse than the others."""

from typing import TYPE_CHECKING

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback

if TYPE_CHECKING:
    from optuna import Trial


class Pruning(Callback):
    """Reports the validation loss of each epoch to the trial, and stops training when the trial should be pruned.

    `reported` is the number of epochs that a killed trial reported before it was continued.
    """

    def __init__(self, trial: "Trial", reported: int) -> None:
        self.trial, self.reported = trial, reported

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.reported == trainer.current_epoch:  # otherwise an epoch is repeated because its checkpoint is missing
            self._stop_if_worse(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        loss = float(trainer.callback_metrics["val_loss"])  # in every process: the value is reduced over all of them
        if trainer.is_global_zero:
            self.trial.report(loss, trainer.current_epoch)
        self._stop_if_worse(trainer)

    def _stop_if_worse(self, trainer: Trainer) -> None:
        """Rank zero decides for all processes."""
        prune = trainer.is_global_zero and self.trial.should_prune()
        if trainer.strategy.broadcast(prune):
            trainer.should_stop = True
