"""Which pictures make a step: the same whatever the number of processes, and after a resumption."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from numpy.typing import NDArray
from torch import Tensor

from twofold.core.errors import DataError, UsageError
from twofold.learning.batches import Batch, Batches, Order, Part, Share, Straight
from twofold.learning.decoded_images import hold

ROWS = np.flatnonzero(np.arange(140) % 7)  # 120 of 140
LABELS = (np.arange(140) % 5 == 0).astype(np.int8)


def parts_of(count: int, *, epoch: int = 0, **options: object) -> list[Part]:
    made = Order(ROWS[:count], LABELS, **{"size": 16, **options})  # type: ignore[arg-type]
    made.set_epoch(epoch)
    parts = list(made)
    assert len(made) == len(parts)
    return parts


def order(count: int = 100, **options: object) -> list[NDArray[np.int64]]:
    return [part.rows for part in parts_of(count, **options)]  # type: ignore[arg-type]


def steps(count: int, processes: int, parts: int, **options: object) -> list[list[int]]:
    """The rows that make each step, in sorted order, by all processes and parts together."""
    shares = [order(count, share=Share(rank, processes), accumulate=parts, **options) for rank in range(processes)]
    assert len({len(batches) for batches in shares}) == 1  # who had one more would wait for ever
    assert all(len(batch) > 1 for batches in shares for batch in batches)
    per_step = [
        [batch for batches in shares for batch in batches[start : start + parts]]
        for start in range(0, len(shares[0]), parts)
    ]
    return [sorted(np.concatenate(batches).tolist()) for batches in per_step]


@pytest.mark.parametrize("count", [96, 100, 110])
def test_an_epoch_has_every_picture_once(count: int) -> None:
    rows = np.concatenate(order(count))
    assert sorted(rows) == ROWS[:count].tolist()
    assert [len(batch) for batch in order(100)] == [16] * 6 + [4]


def test_a_last_picture_that_is_alone_is_left_out() -> None:
    assert [len(batch) for batch in order(97)] == [16] * 6
    assert [len(batch) for batch in order(99, share=Share(0, 2))] == [8] * 6


@pytest.mark.parametrize("sampler", ["shuffled", "balanced"])
@pytest.mark.parametrize(("processes", "parts"), [(2, 1), (3, 1), (1, 2), (1, 4), (2, 3)])
def test_the_same_pictures_make_a_step(processes: int, parts: int, sampler: str) -> None:
    expected = [sorted(batch.tolist()) for batch in order(112, sampler=sampler)]
    assert steps(112, processes, parts, sampler=sampler) == expected


def test_shares_and_parts_differ_by_one_picture_at_most() -> None:
    sizes = [len(batch) for rank in range(3) for batch in order(96, share=Share(rank, 3), accumulate=2)]
    assert set(sizes) == {2, 3}


def test_a_last_batch_makes_as_many_parts_as_have_two_pictures() -> None:
    assert [len(batch) for batch in order(37, accumulate=4)] == [4] * 8 + [3, 2]


@pytest.mark.parametrize(("processes", "parts"), [(1, 1), (1, 4), (2, 3), (3, 1), (3, 2)])
def test_weighted_means_of_parts_are_the_mean_of_the_step(processes: int, parts: int) -> None:
    values = np.random.default_rng(0).normal(size=140)
    whole = [values[rows].mean() for rows in order(110)]
    found = np.zeros(len(whole))
    for rank in range(processes):
        for number, part in enumerate(parts_of(110, share=Share(rank, processes), accumulate=parts)):
            found[number // parts] += part.weight * values[part.rows].mean() / parts / processes
    assert found == pytest.approx(np.array(whole))


def test_an_epoch_follows_from_seed_and_number() -> None:
    first, again, later, other = (
        np.concatenate(order(seed=seed, epoch=epoch)) for seed, epoch in ((0, 3), (0, 3), (0, 4), (1, 3))
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, later)
    assert not np.array_equal(first, other)


def test_balanced_takes_both_classes_as_often_and_their_pictures_evenly() -> None:
    rows = np.concatenate(order(112, sampler="balanced"))
    assert len(rows) == 112
    assert LABELS[rows].sum() == 56
    for label in (0, 1):
        times = Counter(rows[LABELS[rows] == label].tolist())
        members = (LABELS[ROWS[:112]] == label).sum()
        assert max(times.values()) <= -(-56 // members)
        assert len(times) == min(members, 56)


def test_too_few_pictures_are_said_to_be_too_few() -> None:
    with pytest.raises(DataError, match="There are 3 pictures to learn from, fewer than 4: add pictures."):
        order(3, share=Share(0, 2))
    with pytest.raises(UsageError, match="use a --batch-size of at least 20"):
        order(share=Share(0, 10))
    with pytest.raises(DataError, match="There are 3 pictures to validate with, fewer than the 4 processes"):
        Straight(ROWS[:3], size=8, share=Share(0, 4))


@pytest.mark.parametrize("processes", [1, 2, 3])
@pytest.mark.parametrize("count", [3, 64, 65, 67])
def test_validation_counts_every_picture_once(count: int, processes: int) -> None:
    shares = [Straight(ROWS[:count], size=32, share=Share(rank, processes)) for rank in range(processes)]
    batches = [[part.rows for part in share] for share in shares]
    assert sorted(np.concatenate([rows for share in batches for rows in share])) == ROWS[:count].tolist()
    assert {len(share) for share in batches} == {len(share) for share in shares}
    assert len({len(share) for share in batches}) == 1
    assert all(0 < len(rows) <= 32 for share in batches for rows in share)


def batches(**options: object) -> Batches:
    model_inputs = np.arange(140, dtype=np.uint8)[:, None, None, None].repeat(4, 1).repeat(4, 2).repeat(3, 3)
    return Batches(hold(model_inputs), LABELS, ROWS[:60], ROWS[60:], **{"batch_size": 16, **options})  # type: ignore[arg-type]


def test_a_batch_holds_the_squares_and_labels_of_its_rows() -> None:
    for batch in (*batches().train_dataloader(), *batches().val_dataloader()):
        assert (batch.model_inputs.dtype, batch.labels.dtype, batch.rows.dtype) == (
            torch.uint8,
            torch.float32,
            torch.int64,
        )
        assert batch.model_inputs.shape[1:] == (4, 4, 3)
        assert torch.equal(batch.model_inputs[:, 0, 0, 0].long(), batch.rows)
        assert batch.labels.tolist() == LABELS[batch.rows].tolist()


def test_accumulating_changes_the_parts_alone() -> None:
    whole, parts = batches(seed=3), batches(seed=3).accumulating(4)
    seen = [
        sorted(np.concatenate([b.rows for b in loader]))
        for loader in (whole.train_dataloader(), parts.train_dataloader())
    ]
    assert seen[0] == seen[1]
    assert len(next(iter(parts.train_dataloader())).rows) == 4


class Seen(LightningModule):
    """Notes the rows of every step."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.rows: list[list[int]] = []
        self.validated: list[int] = []

    def training_step(self, batch: Batch, _: int) -> Tensor:
        self.rows.append(batch.rows.tolist())
        return self.weight * batch.labels.mean()

    def validation_step(self, batch: Batch, _: int) -> None:
        self.validated += batch.rows.tolist()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def fit(place: Path, epochs: int, *, resume: Path | None = None) -> Seen:
    module = Seen()
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "num_sanity_val_steps": 0}
    trainer = Trainer(
        accelerator="cpu", max_epochs=epochs, use_distributed_sampler=False, default_root_dir=place, **quiet
    )
    trainer.fit(module, batches(), ckpt_path=resume, weights_only=True)
    return module


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning")  # of Lightning, about its own calls
def test_lightning_takes_each_epoch_in_its_own_order_and_goes_on_with_it_after_a_resumption(tmp_path: Path) -> None:
    whole = fit(tmp_path / "whole", 3)
    first = fit(tmp_path / "first", 1)
    (checkpoint,) = (tmp_path / "first").rglob("*.ckpt")
    rest = fit(tmp_path / "rest", 3, resume=checkpoint)
    assert first.rows + rest.rows == whole.rows
    expected = [batch.tolist() for epoch in range(3) for batch in order(60, epoch=epoch)]
    assert whole.rows == expected
    assert whole.validated == ROWS[60:].tolist() * 3
