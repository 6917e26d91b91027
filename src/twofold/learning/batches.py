"""Batches of decoded images, as Lightning loads them."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from lightning.pytorch import LightningDataModule
from numpy.typing import NDArray
from torch import Tensor

from twofold.core.arrays import Rows
from twofold.learning.decoded_images import DecodedImages
from twofold.learning.samplers import SINGLE_PROCESS, BatchSampler, Rank, Sampling, SequentialSampler


class Batch(NamedTuple):
    """Images of one micro-batch, on any device."""

    model_inputs: Tensor  # uint8 (b, size, size, 3)
    labels: Tensor  # float32 (b,), 1 for the positive class
    rows: Tensor  # int64 (b,), among the usable images
    weight: float = 1.0
    """Weight of the mean loss: the weighted mean over all micro-batches and processes is the mean over the images of a step."""


class Loader:
    """Batches in the order of a sampler.

    A DataLoader with workers would gain nothing: a batch is copied from mapped memory.
    """

    def __init__(
        self, images: DecodedImages, labels: NDArray[np.int8], sampler: BatchSampler | SequentialSampler
    ) -> None:
        self.sampler = sampler  # Lightning calls its `set_epoch`
        self.batch_sampler = None  # Lightning reads this attribute, too
        self._images, self._labels = images, labels

    def __len__(self) -> int:
        return len(self.sampler)

    def __iter__(self) -> Iterator[Batch]:
        for rows, weight in self.sampler:
            labels = torch.from_numpy(self._labels[rows].astype(np.float32))
            yield Batch(torch.from_numpy(self._images.take(rows)), labels, torch.from_numpy(rows.copy()), weight)


class Batches(LightningDataModule):
    """Training and validation batches; `labels` int8 (used,), `train` and `validation` are rows of the usable images.

    `batch_size` is the number of images per step, over all processes and micro-batches. A Trainer needs
    use_distributed_sampler=False.
    """

    def __init__(
        self,
        images: DecodedImages,
        labels: NDArray[np.int8],
        train: Rows,
        validation: Rows,
        *,
        batch_size: int,
        accumulate: int = 1,
        seed: int = 0,
        sampling: Sampling = "shuffled",
    ) -> None:
        super().__init__()
        self.images, self.labels, self.train, self.validation = images, labels, train, validation
        self.batch_size, self.accumulate, self.seed, self.sampling = batch_size, accumulate, seed, sampling

    def with_accumulation(self, accumulate: int) -> "Batches":
        """A copy in which each process cuts its rows of a batch into `accumulate` micro-batches."""
        return Batches(
            self.images,
            self.labels,
            self.train,
            self.validation,
            batch_size=self.batch_size,
            accumulate=accumulate,
            seed=self.seed,
            sampling=self.sampling,
        )

    def train_dataloader(self) -> Loader:
        sampler = BatchSampler(
            self.train,
            self.labels,
            batch_size=self.batch_size,
            accumulate=self.accumulate,
            seed=self.seed,
            sampling=self.sampling,
            rank=self._rank(),
        )
        return Loader(self.images, self.labels, sampler)

    def val_dataloader(self) -> Loader:
        rank = self._rank()
        batch_size = max(1, self.batch_size // (self.accumulate * rank.world_size))
        return Loader(self.images, self.labels, SequentialSampler(self.validation, batch_size=batch_size, rank=rank))

    def _rank(self) -> Rank:
        return Rank(self.trainer.global_rank, self.trainer.world_size) if self.trainer is not None else SINGLE_PROCESS
