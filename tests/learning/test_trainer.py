"""Training that is killed, interrupted, or runs out of memory."""

import os
import shutil
import signal
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from small import SMALL, batches, learner

from twofold.core.errors import LearningError, NotRankZeroError
from twofold.learning.learner import Learner
from twofold.learning.recipes import CLASSIC, Recipe
from twofold.learning.trainer import Devices, TrainingHistory, train_network
from twofold.networks.modules.network import Network

QUIET = Devices("32-true", quiet=True)
PLATEAU = replace(CLASSIC, size=32, batch_size=16, epochs=6, learning_rate=3e-3)
WORSENING = replace(PLATEAU, epochs=4, learning_rate=0.1, patience=None)  # the first epoch is the best


class RaiseAt(Callback):
    """Raises an error after an epoch, counted from 1, or within it after this batch."""

    def __init__(self, error: BaseException, epoch: int, batch: int | None = None) -> None:
        self.error, self.epoch, self.batch = error, epoch, batch

    def on_train_batch_end(self, trainer: Trainer, module: LightningModule, out: Any, batch: Any, number: int) -> None:
        if trainer.current_epoch + 1 == self.epoch and number == self.batch:
            raise self.error

    def on_train_epoch_start(self, trainer: Trainer, module: LightningModule) -> None:
        if self.batch is None and trainer.current_epoch == self.epoch:
            raise self.error


class KilledError(Exception):
    pass


def fit(
    folder: Path,
    recipe: Recipe = SMALL,
    *callbacks: Callback,
    make_learner: Callable[[], Learner] | None = None,
    **devices: Any,
) -> tuple[Network, TrainingHistory]:
    make = make_learner or learner(recipe)
    return train_network(make, batches(recipe), folder, replace(QUIET, **devices), callbacks=callbacks)


def has_same_weights(first: Network, second: Network) -> bool:
    pairs = zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    return all(torch.equal(*pair) for pair in pairs)


@pytest.mark.parametrize("recipe", [SMALL, PLATEAU], ids=["cosine and averaged weights", "plateau and patience"])
@pytest.mark.parametrize("batch", [None, 1], ids=["between epochs", "within an epoch"])
def test_training_resumed_after_a_kill_ends_with_identical_weights(
    tmp_path: Path, recipe: Recipe, batch: int | None
) -> None:
    uninterrupted, history = fit(tmp_path / "uninterrupted", recipe)
    with pytest.raises(KilledError):
        fit(tmp_path / "killed", recipe, RaiseAt(KilledError(), 3, batch))
    resumed, resumed_history = fit(tmp_path / "killed", recipe)
    assert has_same_weights(uninterrupted, resumed)
    assert resumed_history.epochs == history.epochs
    assert resumed_history.best_epoch == history.best_epoch
    assert len(history.epochs) == recipe.epochs


def test_the_best_epoch_is_known_after_the_folder_was_moved(tmp_path: Path) -> None:
    for name in ("here", "there"):
        with pytest.raises(KilledError):
            fit(tmp_path / name, WORSENING, RaiseAt(KilledError(), 3))
    shutil.move(tmp_path / "there", tmp_path / "elsewhere")
    network, history = fit(tmp_path / "here", WORSENING)
    moved, moved_history = fit(tmp_path / "elsewhere", WORSENING)
    assert history.best_epoch == moved_history.best_epoch == 1
    assert has_same_weights(network, moved)


def test_finished_training_is_not_continued(tmp_path: Path) -> None:
    impatient = replace(PLATEAU, epochs=50, learning_rate=0.1, patience=1)
    network, history = fit(tmp_path, impatient)
    assert len(history.epochs) < 50
    repeated, repeated_history = fit(tmp_path, impatient)
    assert has_same_weights(network, repeated)
    assert repeated_history.epochs == history.epochs


def test_the_network_is_that_of_the_best_epoch_not_the_last(tmp_path: Path) -> None:
    _, history = fit(tmp_path, replace(PLATEAU, learning_rate=0.03, epochs=5, patience=None))
    losses = [metrics["val_loss"] for metrics in history.epochs]
    assert history.best_epoch == int(np.argmin(losses)) + 1


def test_ctrl_c_keeps_the_best_epoch_and_can_be_resumed(tmp_path: Path) -> None:
    _, history = fit(tmp_path / "interrupted", SMALL, RaiseAt(KeyboardInterrupt(), 3, 0))
    assert history.interrupted
    assert len(history.epochs) == 2
    resumed, resumed_history = fit(tmp_path / "interrupted")
    uninterrupted, _ = fit(tmp_path / "uninterrupted")
    assert not resumed_history.interrupted
    assert has_same_weights(resumed, uninterrupted)


def test_training_does_not_advance_the_callers_random_numbers(tmp_path: Path) -> None:
    states = []

    def make() -> Learner:
        made = learner(SMALL)()
        states.append(torch.get_rng_state())
        return made

    fit(tmp_path, make_learner=make)
    assert torch.equal(torch.get_rng_state(), states[-1])


def test_the_callers_handler_of_ctrl_c_is_restored(tmp_path: Path) -> None:
    def handler(*_: Any) -> None:
        pass

    before = signal.signal(signal.SIGINT, handler)
    try:
        fit(tmp_path, SMALL, RaiseAt(KeyboardInterrupt(), 2, 0))
        assert signal.getsignal(signal.SIGINT) is handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_ctrl_c_between_two_checkpoints_of_an_epoch_leaves_a_history_with_the_best(tmp_path: Path) -> None:
    """The best checkpoint of the second epoch was written, its last one was not."""
    with pytest.raises(KilledError):
        fit(tmp_path, PLATEAU, RaiseAt(KilledError(), 1))
    shutil.copy(tmp_path / "last.ckpt", tmp_path / "first")
    with pytest.raises(KilledError):
        fit(tmp_path, PLATEAU, RaiseAt(KilledError(), 2))
    shutil.move(tmp_path / "first", tmp_path / "last.ckpt")
    _, history = fit(tmp_path, PLATEAU, RaiseAt(KeyboardInterrupt(), 2, 0))
    assert history.best_epoch == len(history.epochs) == 2


def test_ctrl_c_before_the_first_epoch_is_over_leaves_no_network(tmp_path: Path) -> None:
    with pytest.raises(LearningError, match="before the end of the first epoch"):
        fit(tmp_path, SMALL, RaiseAt(KeyboardInterrupt(), 1, 0))


def test_of_several_processes_only_the_first_continues_after_ctrl_c(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A single process, with the environment that torchrun gives to the second of two."""
    for name, value in {"TORCHELASTIC_RUN_ID": "none", "WORLD_SIZE": "2", "RANK": "1"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(NotRankZeroError):
        fit(tmp_path, SMALL, RaiseAt(KeyboardInterrupt(), 2, 0))


def test_checkpoints_are_not_written_to_the_folder_for_temporary_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be another disk, from where they would be copied, and a kill would leave half of one."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    fit(tmp_path / "run", replace(SMALL, epochs=1))
    assert {path.name for path in (tmp_path / "run").glob("*.ckpt*")} == {"last.ckpt", "best.ckpt"}


class LimitedMemory(Learner):
    """Runs out of memory with more than `capacity` images at once."""

    capacity = 5

    def training_step(self, batch: Any, number: int) -> torch.Tensor:
        if len(batch.labels) > self.capacity:
            raise RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory")
        return super().training_step(batch, number)


def limited_memory(recipe: Recipe, capacity: int) -> Callable[[], Learner]:
    def make_learner() -> Learner:
        module = LimitedMemory(learner(recipe)().network, recipe, image_count=60, seed=3)
        module.capacity = capacity
        return module

    return make_learner


def test_out_of_memory_halves_the_micro_batch_not_the_batch(tmp_path: Path) -> None:
    recipe = replace(SMALL, label_smoothing=0.0)
    _, history = fit(tmp_path / "unlimited", recipe)
    _, limited_history = fit(tmp_path / "limited", recipe, make_learner=limited_memory(recipe, 5))
    assert [note.code for note in limited_history.notes] == ["out-of-memory", "out-of-memory"]
    assert "reduced to 4 images" in limited_history.notes[-1].text
    losses = [[metrics["train_loss"] for metrics in run.epochs] for run in (history, limited_history)]
    assert np.allclose(losses[0], losses[1], atol=1e-4)


def test_the_images_at_once_are_those_of_one_process(tmp_path: Path) -> None:
    recipe = replace(SMALL, epochs=1)
    _, history = fit(tmp_path, recipe, count=2, make_learner=limited_memory(recipe, recipe.batch_size // 4))
    assert f"reduced to {recipe.batch_size // 4} images" in history.notes[-1].text


@pytest.mark.parametrize(("batch", "minimum"), [(16, 2), (24, 3)])
def test_too_little_memory_for_the_smallest_micro_batch_is_an_error(tmp_path: Path, batch: int, minimum: int) -> None:
    recipe = replace(SMALL, batch_size=batch)
    with pytest.raises(LearningError, match=f"for {minimum} images at once; use a smaller `size`"):
        fit(tmp_path, recipe, make_learner=limited_memory(recipe, 1))


def test_an_odd_batch_of_large_images_fits(tmp_path: Path) -> None:
    """The micro-batches have two images, and one of them three."""
    large = replace(SMALL, size=700, batch_size=33, epochs=1)
    _, history = fit(tmp_path, large, make_learner=limited_memory(large, 3))
    assert history.notes == ()


def test_other_errors_are_not_taken_for_a_lack_of_memory(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="shapes"):
        fit(tmp_path, SMALL, RaiseAt(RuntimeError("shapes do not fit"), 1, 0))


def test_two_processes_train_as_one_does(tmp_path: Path) -> None:
    _, one = fit(tmp_path / "one")
    _, two = fit(tmp_path / "two", count=2)
    names = ("train_loss", "val_loss", "train_accuracy", "val_accuracy")
    for name in names:
        curves = [[metrics[name] for metrics in history.epochs] for history in (one, two)]
        assert np.allclose(*curves, atol=1e-3), name


def test_an_error_in_one_of_several_processes_is_raised_as_it_was(tmp_path: Path) -> None:
    with pytest.raises(LearningError, match=r"^The loss became nan in epoch 1; try a lower `learning_rate`"):
        fit(tmp_path, replace(SMALL, learning_rate=1e30), count=2)


class KillSecondProcess(Callback):
    """Kills the second process, as the system does when memory runs out."""

    def on_train_epoch_start(self, trainer: Trainer, module: LightningModule) -> None:
        if trainer.global_rank == 1:
            os.kill(os.getpid(), signal.SIGKILL)


def test_the_kill_of_one_of_several_processes_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(LearningError, match="was killed .*SIGKILL.*`resume=True`"):
        fit(tmp_path, SMALL, KillSecondProcess(), count=2)


class NanValidation(Learner):
    """Its validation loss is nan."""

    def validation_step(self, batch: Any, number: int) -> None:
        self.log_dict({"val_loss": torch.tensor(float("nan")), "val_accuracy": torch.tensor(0.5)}, on_epoch=True)


def test_a_validation_loss_that_is_not_finite_is_an_error_with_advice(tmp_path: Path) -> None:
    with pytest.raises(LearningError, match="The validation loss became nan in epoch 1; try a lower `learning_rate`"):
        fit(tmp_path, make_learner=lambda: NanValidation(learner(SMALL)().network, SMALL, image_count=60, seed=3))


def test_logs_of_every_epoch_are_written(tmp_path: Path) -> None:
    fit(tmp_path)
    log = next(tmp_path.glob("log/**/metrics.csv")).read_text(encoding="utf-8")
    assert "train_loss" in log
    assert "lr-AdamW" in log
    assert list(tmp_path.glob("tensorboard/**/events*"))
