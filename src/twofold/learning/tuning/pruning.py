"""The end of a trial that others have left behind."""

from typing import TYPE_CHECKING

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback

if TYPE_CHECKING:
    from optuna import Trial


class Pruning(Callback):
    """Reports the validation loss of each epoch to the trial, and stops learning where that says so.

    `reported` counts the epochs that are reported already, where the trial goes on after it was killed.
    """

    def __init__(self, trial: "Trial", reported: int) -> None:
        self.trial, self.reported = trial, reported

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.reported == trainer.current_epoch:  # none is to be learned anew, for want of its checkpoint
            self._stop(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        loss = float(trainer.callback_metrics["val_loss"])  # by every process: each waits for the others' part of it
        if trainer.is_global_zero:
            self.trial.report(loss, trainer.current_epoch)
        self._stop(trainer)

    def _stop(self, trainer: Trainer) -> None:
        """The first process alone asks, so that all do the same."""
        left_behind = trainer.is_global_zero and self.trial.should_prune()
        if trainer.strategy.broadcast(left_behind):
            trainer.should_stop = True
