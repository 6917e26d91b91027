"""Which pictures are learned from together, in which order, and by which process."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

import numpy as np
import torch
from lightning.pytorch import LightningDataModule
from numpy.typing import NDArray
from torch import Tensor

from twofold.core.errors import DataError, UsageError
from twofold.learning.decoded_images import DecodedImages

Rows = NDArray[np.int64]
Sampler = Literal["shuffled", "balanced"]

FEWEST: Final = 2  # pictures in a batch of one process: batch norm needs two


class Batch(NamedTuple):
    """Pictures, on whichever device."""

    model_inputs: Tensor  # uint8 (b, size, size, 3)
    labels: Tensor  # float32 (b,), 1 for the positive class
    rows: Tensor  # int64 (b,), among the usable pictures
    weight: float = 1.0
    """Of its mean loss: so weighted, the mean over all parts and processes is the mean over the pictures of the step."""


class Part(NamedTuple):
    """The rows of a batch, and its weight."""

    rows: Rows
    weight: float


@dataclass(frozen=True, slots=True)
class Share:
    """One of the `count` processes that learn together."""

    rank: int
    count: int


ALONE: Final = Share(0, 1)


class Order:
    """The parts of the current epoch's batches, for one process.

    The order of an epoch follows from the seed and its number alone. It is cut into batches of `size` for all processes, each
    of these is dealt out to the processes, and what a process has of it is cut into `accumulate` parts: the same pictures make
    a step whatever the number of processes and of parts. Shares and parts differ by one picture at most. A last batch makes as
    many parts as have two pictures, and is left out where that is none.

    shuffled: each row once. balanced: as many rows, half of them of each class, of which all come before any comes again.
    """

    def __init__(
        self,
        rows: Rows,
        labels: NDArray[np.int8],
        *,
        size: int,
        accumulate: int = 1,
        seed: int = 0,
        sampler: Sampler = "shuffled",
        share: Share = ALONE,
    ) -> None:
        self._rows, self._labels, self._seed, self._sampler, self._share = rows, labels, seed, sampler, share
        self._size, self._accumulate, self._epoch = size, accumulate, 0
        fewest = FEWEST * share.count
        if size < fewest * accumulate:
            raise UsageError(
                f"A batch of {size} pictures leaves fewer than {FEWEST} for each of {share.count} processes and {accumulate} "
                f"parts: use a --batch-size of at least {fewest * accumulate}."
            )
        if len(rows) < fewest:
            raise DataError(f"There are {len(rows)} pictures to learn from, fewer than {fewest}: add pictures.")

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning before each epoch, also by the one that resumes."""
        self._epoch = epoch

    def __len__(self) -> int:
        return sum(parts for _, parts in self._cuts())

    def __iter__(self) -> Iterator[Part]:
        order = self._ordered()
        for start, parts in self._cuts():
            batch = order[start : start + self._size]
            for rows in np.array_split(batch[self._share.rank :: self._share.count], parts):
                yield Part(rows, len(rows) * self._share.count * self._accumulate / len(batch))

    def _cuts(self) -> list[tuple[int, int]]:
        """Where each batch starts in the epoch's order, and in how many parts a process takes its share."""
        count = len(self._rows)
        held = (
            (start, min(self._size, count - start) // (FEWEST * self._share.count))
            for start in range(0, count, self._size)
        )
        return [(start, min(self._accumulate, most)) for start, most in held if most]

    def _ordered(self) -> Rows:
        random = np.random.default_rng([self._seed, self._epoch])
        if self._sampler == "shuffled":
            return random.permutation(self._rows)
        positive = self._labels[self._rows] == 1
        each = len(self._rows) // 2
        drawn = (
            _dealt(self._rows[~positive], each, random),
            _dealt(self._rows[positive], len(self._rows) - each, random),
        )
        return random.permutation(np.concatenate(drawn))


class Straight:
    """The rows in batches of at most `size`, each row once, none twice, for one process of several; all have as many batches."""

    def __init__(self, rows: Rows, *, size: int, share: Share = ALONE) -> None:
        if len(rows) < share.count:
            raise DataError(f"There are {len(rows)} pictures to validate with, fewer than the {share.count} processes.")
        self._mine = rows[share.rank :: share.count]
        most = -(-len(rows) // share.count)
        self._count = -(-most // size)

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Part]:
        return (Part(rows, 1.0) for rows in np.array_split(self._mine, self._count))


class Loader:
    """Batches of an order. No DataLoader: there is nothing for its workers to do, a batch is copied out of mapped memory."""

    def __init__(self, pixels: DecodedImages, labels: NDArray[np.int8], sampler: Order | Straight) -> None:
        self.sampler = sampler  # where Lightning looks for `set_epoch`
        self.batch_sampler = None  # which Lightning asks for, too
        self._pixels, self._labels = pixels, labels

    def __len__(self) -> int:
        return len(self.sampler)

    def __iter__(self) -> Iterator[Batch]:
        for rows, weight in self.sampler:
            labels = torch.from_numpy(self._labels[rows].astype(np.float32))
            yield Batch(torch.from_numpy(self._pixels.take(rows)), labels, torch.from_numpy(rows.copy()), weight)


class Batches(LightningDataModule):
    """Pictures to learn from and to validate with; `labels` int8 (used,), `train` and `validation` rows among the usable.

    `batch_size` is that of a step, over all processes and parts. A Trainer needs use_distributed_sampler=False.
    """

    def __init__(
        self,
        pixels: DecodedImages,
        labels: NDArray[np.int8],
        train: Rows,
        validation: Rows,
        *,
        batch_size: int,
        accumulate: int = 1,
        seed: int = 0,
        sampler: Sampler = "shuffled",
    ) -> None:
        super().__init__()
        self.pixels, self.labels, self.train, self.validation = pixels, labels, train, validation
        self.batch_size, self.accumulate, self.seed, self.draw = batch_size, accumulate, seed, sampler

    def accumulating(self, accumulate: int) -> "Batches":
        """The same, each process's share of a batch in so many parts."""
        return Batches(
            self.pixels,
            self.labels,
            self.train,
            self.validation,
            batch_size=self.batch_size,
            accumulate=accumulate,
            seed=self.seed,
            sampler=self.draw,
        )

    def train_dataloader(self) -> Loader:
        order = Order(
            self.train,
            self.labels,
            size=self.batch_size,
            accumulate=self.accumulate,
            seed=self.seed,
            sampler=self.draw,
            share=self._share(),
        )
        return Loader(self.pixels, self.labels, order)

    def val_dataloader(self) -> Loader:
        share = self._share()
        size = max(1, self.batch_size // (self.accumulate * share.count))
        return Loader(self.pixels, self.labels, Straight(self.validation, size=size, share=share))

    def _share(self) -> Share:
        return Share(self.trainer.global_rank, self.trainer.world_size) if self.trainer is not None else ALONE


def _dealt(rows: Rows, count: int, random: np.random.Generator) -> Rows:
    """`count` of the rows in chance order: all of them before any comes again."""
    rounds = -(-count // len(rows))
    return np.concatenate([random.permutation(rows) for _ in range(rounds)])[:count]
