"""Learning that is killed, stopped, or runs out of memory."""

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

from twofold.core.errors import LearningError
from twofold.learning.learner import Learner
from twofold.learning.recipes import CLASSIC, Recipe
from twofold.learning.trainer import Devices, TrainingHistory, learn_network
from twofold.networks.modules.network import Network

QUIET = Devices("32-true", quiet=True)
PLATEAU = replace(CLASSIC, size=32, batch_size=16, epochs=6, rate=3e-3)
WORSENING = replace(PLATEAU, epochs=4, rate=0.1, patience=None)  # its first epoch is the best


class After(Callback):
    """Raises an error at the end of an epoch, counted from 1, or within it after so many batches."""

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


def learned(
    place: Path, recipe: Recipe = SMALL, *extra: Callback, make: Callable[[], Learner] | None = None, **devices: Any
) -> tuple[Network, TrainingHistory]:
    made = make or learner(recipe)
    return learn_network(made, batches(recipe), place, replace(QUIET, **devices), extra=extra)


def same(first: Network, second: Network) -> bool:
    pairs = zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    return all(torch.equal(mine, theirs) for mine, theirs in pairs)


@pytest.mark.parametrize("recipe", [SMALL, PLATEAU], ids=["cosine and averaged weights", "plateau and patience"])
@pytest.mark.parametrize("batch", [None, 1], ids=["between epochs", "within an epoch"])
def test_resumed_after_a_kill_the_weights_are_those_of_learning_in_one_go(
    tmp_path: Path, recipe: Recipe, batch: int | None
) -> None:
    whole, story = learned(tmp_path / "whole", recipe)
    with pytest.raises(KilledError):
        learned(tmp_path / "killed", recipe, After(KilledError(), 3, batch))
    again, resumed = learned(tmp_path / "killed", recipe)
    assert same(whole, again)
    assert resumed.history == story.history
    assert resumed.best == story.best
    assert len(story.history) == recipe.epochs


def test_the_best_epoch_so_far_is_known_also_where_the_folder_was_moved(tmp_path: Path) -> None:
    for name in ("whole", "moved"):
        with pytest.raises(KilledError):
            learned(tmp_path / name, WORSENING, After(KilledError(), 3))
    shutil.move(tmp_path / "moved", tmp_path / "elsewhere")
    whole, story = learned(tmp_path / "whole", WORSENING)
    moved, same_story = learned(tmp_path / "elsewhere", WORSENING)
    assert story.best == same_story.best == 1
    assert same(whole, moved)


def test_what_was_learned_to_the_end_is_not_learned_further(tmp_path: Path) -> None:
    impatient = replace(PLATEAU, epochs=50, rate=0.1, patience=1)
    first, story = learned(tmp_path, impatient)
    assert len(story.history) < 50
    again, same_story = learned(tmp_path, impatient)
    assert same(first, again)
    assert same_story.history == story.history


def test_the_best_epoch_is_kept_not_the_last(tmp_path: Path) -> None:
    _, story = learned(tmp_path, replace(PLATEAU, rate=0.03, epochs=5, patience=None))
    losses = [row["val_loss"] for row in story.history]
    assert story.best == int(np.argmin(losses)) + 1


def test_ctrl_c_keeps_the_best_so_far_and_can_be_resumed(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGINT)
    try:
        _, story = learned(tmp_path / "stopped", SMALL, After(KeyboardInterrupt(), 3, 0))
    finally:
        signal.signal(signal.SIGINT, before)
    assert story.interrupted
    assert len(story.history) == 2
    again, resumed = learned(tmp_path / "stopped")
    whole, _ = learned(tmp_path / "whole")
    assert not resumed.interrupted
    assert same(again, whole)


def test_ctrl_c_between_two_checkpoints_of_an_epoch_leaves_a_history_with_the_best(tmp_path: Path) -> None:
    """The best of the second epoch was written, and its last was not."""
    with pytest.raises(KilledError):
        learned(tmp_path, PLATEAU, After(KilledError(), 1))
    shutil.copy(tmp_path / "last.ckpt", tmp_path / "first")
    with pytest.raises(KilledError):
        learned(tmp_path, PLATEAU, After(KilledError(), 2))
    shutil.move(tmp_path / "first", tmp_path / "last.ckpt")
    before = signal.getsignal(signal.SIGINT)
    try:
        _, story = learned(tmp_path, PLATEAU, After(KeyboardInterrupt(), 2, 0))
    finally:
        signal.signal(signal.SIGINT, before)
    assert story.best == len(story.history) == 2


def test_ctrl_c_before_the_first_epoch_is_over_leaves_no_network(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGINT)
    try:
        with pytest.raises(LearningError, match="before its first epoch was over"):
            learned(tmp_path, SMALL, After(KeyboardInterrupt(), 1, 0))
    finally:
        signal.signal(signal.SIGINT, before)


def test_of_several_processes_the_first_alone_goes_on_after_ctrl_c(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The network is that of every process; what torchrun tells the second one is told to one that is alone."""
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    before = signal.getsignal(signal.SIGINT)
    try:
        with pytest.raises(SystemExit) as left:
            learned(tmp_path, SMALL, After(KeyboardInterrupt(), 2, 0))
    finally:
        signal.signal(signal.SIGINT, before)
    assert left.value.code == 0


def test_checkpoints_do_not_pass_through_the_folder_for_temporary_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which may be another disk, from where they would be copied and could be cut in half."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "not there"))
    learned(tmp_path / "place", replace(SMALL, epochs=1))
    assert {path.name for path in (tmp_path / "place").glob("*.ckpt*")} == {"last.ckpt", "best.ckpt"}


class Greedy(Learner):
    """Runs out of memory where more than `most` pictures are learned from at once."""

    most = 5

    def training_step(self, batch: Any, number: int) -> torch.Tensor:
        if len(batch.labels) > self.most:
            raise RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory")
        return super().training_step(batch, number)


def greedy(recipe: Recipe, most: int) -> Callable[[], Learner]:
    def make() -> Learner:
        made = Greedy(learner(recipe)().network, recipe, images=60, seed=3)
        made.most = most
        return made

    return make


def test_out_of_memory_halves_the_pictures_not_the_steps(tmp_path: Path) -> None:
    calm = replace(SMALL, smoothing=0.0)
    _, story = learned(tmp_path / "whole", calm)
    _, halved = learned(tmp_path / "small", calm, make=greedy(calm, 5))
    assert [note.code for note in halved.notes] == ["out-of-memory", "out-of-memory"]
    assert "4 pictures were learned from at once" in halved.notes[-1].text
    losses = [[row["train_loss"] for row in one.history] for one in (story, halved)]
    assert np.allclose(losses[0], losses[1], atol=1e-4)


@pytest.mark.parametrize(("batch", "least"), [(16, 2), (24, 3)])
def test_where_the_fewest_pictures_are_too_many_it_says_so(tmp_path: Path, batch: int, least: int) -> None:
    recipe = replace(SMALL, batch_size=batch)
    with pytest.raises(LearningError, match=f"from {least} pictures at once; use a smaller --size"):
        learned(tmp_path, recipe, make=greedy(recipe, 1))


def test_an_odd_batch_of_large_pictures_can_be_learned_from(tmp_path: Path) -> None:
    """Two of them at once are what is begun with, and three once."""
    large = replace(SMALL, size=700, batch_size=33, epochs=1)
    _, story = learned(tmp_path, large, make=greedy(large, 3))
    assert story.notes == ()


def test_other_errors_are_not_taken_for_a_lack_of_memory(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="shapes"):
        learned(tmp_path, SMALL, After(RuntimeError("shapes do not fit"), 1, 0))


def test_two_processes_learn_as_one_does(tmp_path: Path) -> None:
    _, one = learned(tmp_path / "one")
    _, two = learned(tmp_path / "two", count=2)
    names = ("train_loss", "val_loss", "train_accuracy", "val_accuracy")
    for name in names:
        curves = [[row[name] for row in story.history] for story in (one, two)]
        assert np.allclose(*curves, atol=1e-3), name


def test_what_a_process_among_several_says_is_said(tmp_path: Path) -> None:
    with pytest.raises(LearningError, match=r"^The loss became nan in epoch 1; try a lower --learning-rate"):
        learned(tmp_path, replace(SMALL, rate=1e30), count=2)


class Vanishing(Callback):
    """The second process is gone at once, as one that the system kills."""

    def on_train_epoch_start(self, trainer: Trainer, module: LightningModule) -> None:
        if trainer.global_rank == 1:
            os.kill(os.getpid(), signal.SIGKILL)


def test_a_process_among_several_that_is_killed_is_told(tmp_path: Path) -> None:
    with pytest.raises(LearningError, match="ended from outside .*SIGKILL.*--resume"):
        learned(tmp_path, SMALL, Vanishing(), count=2)


class Blind(Learner):
    """Its validation loss is no number."""

    def validation_step(self, batch: Any, number: int) -> None:
        self.log_dict({"val_loss": torch.tensor(float("nan")), "val_accuracy": torch.tensor(0.5)}, on_epoch=True)


def test_a_validation_loss_that_is_no_number_stops_with_advice(tmp_path: Path) -> None:
    with pytest.raises(LearningError, match="The validation loss became nan in epoch 1; try a lower --learning-rate"):
        learned(tmp_path, make=lambda: Blind(learner(SMALL)().network, SMALL, images=60, seed=3))


def test_logs_of_every_epoch_are_written(tmp_path: Path) -> None:
    learned(tmp_path)
    logged = next(tmp_path.glob("log/**/metrics.csv")).read_text(encoding="utf-8")
    assert "train_loss" in logged
    assert "lr-AdamW" in logged
    assert list(tmp_path.glob("tensorboard/**/events*"))
