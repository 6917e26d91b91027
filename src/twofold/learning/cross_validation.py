"""Out-of-fold logits from networks that are each trained without one fold."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twofold.core.arrays import Rows
from twofold.core.errors import LearningInterruptedError
from twofold.learning.network_training import NetworkTraining


@dataclass(frozen=True, slots=True, eq=False)
class OutOfFoldLogits:
    """Fold and logit of every usable image, (used,); images that were left out have fold -1."""

    folds: NDArray[np.int64]
    logits: NDArray[np.float64]


def check_folds(training: NetworkTraining, rows: Rows, count: int | None) -> None:
    """Raises DataError, before hours of training, where the rows, or the training rows of a fold, cannot be split."""
    training.check_split(rows)
    for train, _ in _fold_rows(training, rows, count) if count else ():
        training.check_split(train)


def cross_validate(training: NetworkTraining, rows: Rows, count: int) -> OutOfFoldLogits | None:
    """The logit of each row by the network of its fold, which is trained on the other folds; None where Ctrl-C came first."""
    images = len(training.dataset.labels)
    folds, logits = np.full(images, -1, np.int64), np.zeros(images)
    try:
        for fold, (train, test) in enumerate(_fold_rows(training, rows, count)):
            fold_training = training.with_description(f"fold {fold + 1} of {count}")
            network, history, _ = fold_training.train(train, f"fold-{fold + 1}")
            if history.interrupted:
                return None
            fold_training.interpolate(network, train)
            folds[test], logits[test] = fold, fold_training.logits(network, test)
    except (KeyboardInterrupt, LearningInterruptedError):
        return None
    return OutOfFoldLogits(folds, logits)


def _fold_rows(training: NetworkTraining, rows: Rows, count: int) -> Iterator[tuple[Rows, Rows]]:
    """Training and test rows of each fold."""
    fold_of_row = training.assign_folds(rows, count, option="cv")
    for fold in range(count):
        yield rows[fold_of_row != fold], rows[fold_of_row == fold]
