"""Lightning callbacks: the progress bar, memory, and checkpoints that survive a killed process and a moved folder."""

import os
import time
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, ModelCheckpoint, RichProgressBar
from lightning.pytorch.plugins import TorchCheckpointIO

from twofold.learning.memory import keep_freed


class TrainingProgressBar(RichProgressBar):
    """Lightning's bar on stderr, with images per second and the remaining time; `description` names the network."""

    def __init__(self, description: str = "") -> None:
        super().__init__(console_kwargs={"stderr": True})
        self._description = description
        self._start_time, self._start_batch = 0.0, 0

    def _get_train_description(self, current_epoch: int) -> str:
        """Epochs counted from 1, where Lightning's own counts from 0."""
        epoch = f"epoch {current_epoch + 1} of {self.trainer.max_epochs}"
        return f"{self._description}, {epoch}" if self._description else epoch.capitalize()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        super().on_train_start(trainer, pl_module)
        self._start_time, self._start_batch = time.monotonic(), trainer.fit_loop.total_batch_idx + 1

    def get_metrics(self, trainer: Trainer, pl_module: LightningModule) -> dict[str, Any]:
        """The values beside the bar. The remaining time is an upper bound: training may stop early."""
        metrics = dict(super().get_metrics(trainer, pl_module))
        metrics.pop("v_num", None)
        batches_done = trainer.fit_loop.total_batch_idx + 1 - self._start_batch
        seconds = time.monotonic() - self._start_time
        if batches_done > 0 and seconds > 0:
            batches: Any = trainer.datamodule  # type: ignore[attr-defined]  # set by fit
            total = trainer.num_training_batches * (trainer.max_epochs or 1)
            remaining = (total - batches_done - self._start_batch) * seconds / batches_done
            metrics["images/s"] = f"{batches_done * batches.batch_size / batches.accumulate / seconds:.0f}"
            metrics["left"] = f"{int(remaining // 3600)}:{int(remaining % 3600 // 60):02d}:{int(remaining % 60):02d}"
        return metrics


class KeepFreedMemory(Callback):
    """Sets the allocator in each of the processes that train: see `twofold.learning.memory`."""

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        keep_freed()


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint beside its destination and renames it.

    Lightning writes it to the folder for temporary files first. Where that is another disk, the file is then copied, and a
    kill leaves half of it.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        partial = Path(f"{path}.part")
        with partial.open("wb") as file:
            torch.save(checkpoint, file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)


class RelocatableCheckpoint(ModelCheckpoint):
    """Keeps the best epoch when the folder is moved; Lightning's class loses it."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        def relocate(path: str) -> str:
            return path and str(Path(str(self.dirpath)) / Path(path).name)

        names = ("best_model_path", "kth_best_model_path", "last_model_path")
        paths = {name: relocate(state_dict[name]) for name in names}
        best = {relocate(path): score for path, score in state_dict["best_k_models"].items()}
        super().load_state_dict({**state_dict, **paths, "best_k_models": best, "dirpath": self.dirpath})
