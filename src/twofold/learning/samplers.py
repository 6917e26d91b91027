"""Samplers: the rows of each step, for each process."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from twofold.core.arrays import Rows
from twofold.core.errors import DataError, UsageError

Sampling = Literal["shuffled", "balanced"]

MIN_BATCH: Final = 2  # images in a micro-batch: batch norm needs two


class MicroBatch(NamedTuple):
    """The images that one process computes at once: some rows of a batch, and the weight of their mean loss."""

    rows: Rows
    weight: float


@dataclass(frozen=True, slots=True)
class Rank:
    """One of the `world_size` processes that train together."""

    rank: int
    world_size: int


SINGLE_PROCESS: Final = Rank(0, 1)


class BatchSampler:
    """The micro-batches of the current epoch, for one process.

    The order of an epoch follows from seed and epoch. It is cut into batches of `batch_size`; each batch is divided among the
    processes, and each process cuts its rows into `accumulate` micro-batches. So a step has the same images for any number of
    processes and micro-batches, whose sizes differ by at most one. The last batch is cut into fewer micro-batches where
    they would have less than two images, and is dropped where it has too few.

    shuffled: each row once. balanced: the same number of rows, half of them of each class; rows of a class repeat only after
    all of them were drawn.
    """

    def __init__(
        self,
        rows: Rows,
        labels: NDArray[np.int8],
        *,
        batch_size: int,
        accumulate: int = 1,
        seed: int = 0,
        sampling: Sampling = "shuffled",
        rank: Rank = SINGLE_PROCESS,
    ) -> None:
        self._rows, self._labels, self._seed, self._sampling, self._rank = rows, labels, seed, sampling, rank
        self._batch_size, self._accumulate, self._epoch = batch_size, accumulate, 0
        minimum = MIN_BATCH * rank.world_size
        if batch_size < minimum * accumulate:
            raise UsageError(
                f"A batch of {batch_size} images leaves fewer than {MIN_BATCH} for each of {rank.world_size} processes and "
                f"{accumulate} micro-batches: `batch_size` must be at least {minimum * accumulate}."
            )
        if len(rows) < minimum:
            raise DataError(f"There are {len(rows)} training images, fewer than {minimum}: add images.")

    def set_epoch(self, epoch: int) -> None:
        """Lightning calls this before each epoch, also before the one that it resumes."""
        self._epoch = epoch

    def __len__(self) -> int:
        return sum(count for _, count in self._batches())

    def __iter__(self) -> Iterator[MicroBatch]:
        order = self._epoch_order()
        for start, count in self._batches():
            batch = order[start : start + self._batch_size]
            for rows in np.array_split(batch[self._rank.rank :: self._rank.world_size], count):
                yield MicroBatch(rows, len(rows) * self._rank.world_size * self._accumulate / len(batch))

    def _batches(self) -> list[tuple[int, int]]:
        """Start of each batch in the order of the epoch, and its number of micro-batches per process."""
        total = len(self._rows)
        capacities = (
            (start, min(self._batch_size, total - start) // (MIN_BATCH * self._rank.world_size))
            for start in range(0, total, self._batch_size)
        )
        return [(start, min(self._accumulate, capacity)) for start, capacity in capacities if capacity]

    def _epoch_order(self) -> Rows:
        random = np.random.default_rng([self._seed, self._epoch])
        if self._sampling == "shuffled":
            return random.permutation(self._rows)
        positive = self._labels[self._rows] == 1
        half = len(self._rows) // 2
        rows_by_class = (
            _draw(self._rows[~positive], half, random),
            _draw(self._rows[positive], len(self._rows) - half, random),
        )
        return random.permutation(np.concatenate(rows_by_class))


class SequentialSampler:
    """Each row once, in micro-batches of at most `batch_size`, for one process; all processes have equally many micro-batches."""

    def __init__(self, rows: Rows, *, batch_size: int, rank: Rank = SINGLE_PROCESS) -> None:
        if len(rows) < rank.world_size:
            raise DataError(
                f"There are {len(rows)} validation images, fewer than the {rank.world_size} processes: raise "
                "`validation_fraction`, or lower `devices`."
            )
        self._rows = rows[rank.rank :: rank.world_size]
        largest = -(-len(rows) // rank.world_size)
        self._count = -(-largest // batch_size)

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[MicroBatch]:
        return (MicroBatch(rows, 1.0) for rows in np.array_split(self._rows, self._count))


def _draw(rows: Rows, count: int, random: np.random.Generator) -> Rows:
    """`count` of the rows in random order; rows repeat only after all of them were drawn."""
    rounds = -(-count // len(rows))
    return np.concatenate([random.permutation(rows) for _ in range(rounds)])[:count]
