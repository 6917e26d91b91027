"""The progress of learning, on the terminal."""

import time
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import RichProgressBar


class Bar(RichProgressBar):
    """Lightning's bar on stderr, with pictures a second and the time that all epochs still take at most; `what` is learned."""

    def __init__(self, what: str = "") -> None:
        super().__init__(console_kwargs={"stderr": True})
        self._what = what
        self._begun, self._first = 0.0, 0

    def _get_train_description(self, current_epoch: int) -> str:
        """Lightning counts from 0, and does not say what it learns."""
        epoch = f"epoch {current_epoch + 1} of {self.trainer.max_epochs}"
        return f"{self._what}, {epoch}" if self._what else epoch.capitalize()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        super().on_train_start(trainer, pl_module)
        self._begun, self._first = time.monotonic(), trainer.fit_loop.total_batch_idx + 1

    def get_metrics(self, trainer: Trainer, pl_module: LightningModule) -> dict[str, Any]:
        """What stands beside the bar."""
        shown = dict(super().get_metrics(trainer, pl_module))
        shown.pop("v_num", None)
        done = trainer.fit_loop.total_batch_idx + 1 - self._first
        seconds = time.monotonic() - self._begun
        if done > 0 and seconds > 0:
            batches: Any = trainer.datamodule  # type: ignore[attr-defined]  # set by fit
            all_batches = trainer.num_training_batches * (trainer.max_epochs or 1)
            left = (all_batches - done - self._first) * seconds / done
            shown["pictures/s"] = f"{done * batches.batch_size / batches.accumulate / seconds:.0f}"
            shown["left"] = f"{int(left // 3600)}:{int(left % 3600 // 60):02d}:{int(left % 60):02d}"
        return shown
