"""Samplers and batches: the images of a step do not depend on the number of processes, or on a resumption."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from numpy.typing import NDArray
from torch import Tensor

from twofold.core.errors import DataError, UsageError
from twofold.learning.batches import Batch, Batches
from twofold.learning.decoder import hold_in_memory
from twofold.learning.samplers import BatchSampler, MicroBatch, Rank, SequentialSampler

ROWS = np.flatnonzero(np.arange(140) % 7)  # 120 of 140
LABELS = (np.arange(140) % 5 == 0).astype(np.int8)


def micro_batches(count: int, *, epoch: int = 0, **options: object) -> list[MicroBatch]:
    sampler = BatchSampler(ROWS[:count], LABELS, **{"batch_size": 16, **options})  # type: ignore[arg-type]
    sampler.set_epoch(epoch)
    result = list(sampler)
    assert len(sampler) == len(result)
    return result


def row_batches(count: int = 100, **options: object) -> list[NDArray[np.int64]]:
    return [micro_batch.rows for micro_batch in micro_batches(count, **options)]  # type: ignore[arg-type]


def steps(count: int, processes: int, accumulate: int, **options: object) -> list[list[int]]:
    """The sorted rows of each step, of all processes and micro-batches together."""
    ranks = [
        row_batches(count, rank=Rank(rank, processes), accumulate=accumulate, **options) for rank in range(processes)
    ]
    assert len({len(batches) for batches in ranks}) == 1  # a process with one more would wait for ever
    assert all(len(batch) > 1 for batches in ranks for batch in batches)
    per_step = [
        [batch for batches in ranks for batch in batches[start : start + accumulate]]
        for start in range(0, len(ranks[0]), accumulate)
    ]
    return [sorted(np.concatenate(batches).tolist()) for batches in per_step]


@pytest.mark.parametrize("count", [96, 100, 110])
def test_an_epoch_has_every_image_once(count: int) -> None:
    rows = np.concatenate(row_batches(count))
    assert sorted(rows) == ROWS[:count].tolist()
    assert [len(batch) for batch in row_batches(100)] == [16] * 6 + [4]


def test_a_last_batch_of_one_image_is_dropped() -> None:
    assert [len(batch) for batch in row_batches(97)] == [16] * 6
    assert [len(batch) for batch in row_batches(99, rank=Rank(0, 2))] == [8] * 6


@pytest.mark.parametrize("sampling", ["shuffled", "balanced"])
@pytest.mark.parametrize(("processes", "accumulate"), [(2, 1), (3, 1), (1, 2), (1, 4), (2, 3)])
def test_a_step_has_the_same_images_for_any_number_of_processes(processes: int, accumulate: int, sampling: str) -> None:
    expected = [sorted(batch.tolist()) for batch in row_batches(112, sampling=sampling)]
    assert steps(112, processes, accumulate, sampling=sampling) == expected


def test_micro_batches_differ_by_one_image_at_most() -> None:
    sizes = [len(batch) for rank in range(3) for batch in row_batches(96, rank=Rank(rank, 3), accumulate=2)]
    assert set(sizes) == {2, 3}


def test_a_last_batch_makes_as_many_micro_batches_as_have_two_images() -> None:
    assert [len(batch) for batch in row_batches(37, accumulate=4)] == [4] * 8 + [3, 2]


@pytest.mark.parametrize(("processes", "accumulate"), [(1, 1), (1, 4), (2, 3), (3, 1), (3, 2)])
def test_weighted_means_of_micro_batches_sum_to_the_mean_of_the_step(processes: int, accumulate: int) -> None:
    values = np.random.default_rng(0).normal(size=140)
    expected = [values[rows].mean() for rows in row_batches(110)]
    means = np.zeros(len(expected))
    for rank in range(processes):
        for number, (rows, weight) in enumerate(micro_batches(110, rank=Rank(rank, processes), accumulate=accumulate)):
            means[number // accumulate] += weight * values[rows].mean() / accumulate / processes
    assert means == pytest.approx(np.array(expected))


def test_the_order_follows_from_seed_and_epoch() -> None:
    first, repeated, other_epoch, other_seed = (
        np.concatenate(row_batches(seed=seed, epoch=epoch)) for seed, epoch in ((0, 3), (0, 3), (0, 4), (1, 3))
    )
    assert np.array_equal(first, repeated)
    assert not np.array_equal(first, other_epoch)
    assert not np.array_equal(first, other_seed)


def test_balanced_sampling_draws_both_classes_equally_and_their_images_evenly() -> None:
    rows = np.concatenate(row_batches(112, sampling="balanced"))
    assert len(rows) == 112
    assert LABELS[rows].sum() == 56
    for label in (0, 1):
        counts = Counter(rows[LABELS[rows] == label].tolist())
        class_size = (LABELS[ROWS[:112]] == label).sum()
        assert max(counts.values()) <= -(-56 // class_size)
        assert len(counts) == min(class_size, 56)


def test_too_few_images_are_an_error() -> None:
    with pytest.raises(DataError, match="There are 3 training images, fewer than 4: add images."):
        row_batches(3, rank=Rank(0, 2))
    with pytest.raises(UsageError, match="`batch_size` must be at least 20"):
        row_batches(rank=Rank(0, 10))
    with pytest.raises(DataError, match="There are 3 validation images, fewer than the 4 processes"):
        SequentialSampler(ROWS[:3], batch_size=8, rank=Rank(0, 4))


@pytest.mark.parametrize("processes", [1, 2, 3])
@pytest.mark.parametrize("count", [3, 64, 65, 67])
def test_validation_has_every_image_once(count: int, processes: int) -> None:
    samplers = [SequentialSampler(ROWS[:count], batch_size=32, rank=Rank(rank, processes)) for rank in range(processes)]
    batches = [[micro_batch.rows for micro_batch in sampler] for sampler in samplers]
    assert sorted(np.concatenate([rows for row_lists in batches for rows in row_lists])) == ROWS[:count].tolist()
    assert {len(row_lists) for row_lists in batches} == {len(sampler) for sampler in samplers}
    assert len({len(row_lists) for row_lists in batches}) == 1
    assert all(0 < len(rows) <= 32 for row_lists in batches for rows in row_lists)


def batches(**options: object) -> Batches:
    model_inputs = np.arange(140, dtype=np.uint8)[:, None, None, None].repeat(4, 1).repeat(4, 2).repeat(3, 3)
    return Batches(hold_in_memory(model_inputs), LABELS, ROWS[:60], ROWS[60:], **{"batch_size": 16, **options})  # type: ignore[arg-type]


def test_a_batch_has_the_model_inputs_and_labels_of_its_rows() -> None:
    for batch in (*batches().train_dataloader(), *batches().val_dataloader()):
        assert (batch.model_inputs.dtype, batch.labels.dtype, batch.rows.dtype) == (
            torch.uint8,
            torch.float32,
            torch.int64,
        )
        assert batch.model_inputs.shape[1:] == (4, 4, 3)
        assert torch.equal(batch.model_inputs[:, 0, 0, 0].long(), batch.rows)
        assert batch.labels.tolist() == LABELS[batch.rows].tolist()


def test_accumulation_changes_the_micro_batches_only() -> None:
    single, accumulated = batches(seed=3), batches(seed=3).with_accumulation(4)
    rows = [
        sorted(np.concatenate([batch.rows for batch in loader]))
        for loader in (single.train_dataloader(), accumulated.train_dataloader())
    ]
    assert rows[0] == rows[1]
    assert len(next(iter(accumulated.train_dataloader())).rows) == 4


class RowRecorder(LightningModule):
    """Records the rows of every step."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.rows: list[list[int]] = []
        self.validation_rows: list[int] = []

    def training_step(self, batch: Batch, _: int) -> Tensor:
        self.rows.append(batch.rows.tolist())
        return self.weight * batch.labels.mean()

    def validation_step(self, batch: Batch, _: int) -> None:
        self.validation_rows += batch.rows.tolist()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def fit(folder: Path, epochs: int, *, checkpoint: Path | None = None) -> RowRecorder:
    module = RowRecorder()
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "num_sanity_val_steps": 0}
    trainer = Trainer(
        accelerator="cpu", max_epochs=epochs, use_distributed_sampler=False, default_root_dir=folder, **quiet
    )
    trainer.fit(module, batches(), ckpt_path=checkpoint, weights_only=True)
    return module


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning")  # Lightning's, about its own calls
def test_lightning_sets_the_epoch_also_after_a_resumption(tmp_path: Path) -> None:
    uninterrupted = fit(tmp_path / "uninterrupted", 3)
    first = fit(tmp_path / "first", 1)
    (checkpoint,) = (tmp_path / "first").rglob("*.ckpt")
    resumed = fit(tmp_path / "resumed", 3, checkpoint=checkpoint)
    assert first.rows + resumed.rows == uninterrupted.rows
    expected = [batch.tolist() for epoch in range(3) for batch in row_batches(60, epoch=epoch)]
    assert uninterrupted.rows == expected
    assert uninterrupted.validation_rows == ROWS[60:].tolist() * 3
