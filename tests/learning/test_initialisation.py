"""What fine-tuning begins with."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from twofold.core.options import BackboneOptions, CrossValidationOptions, TrainingOptions
from twofold.embedding import Runtime
from twofold.learning.initialisation import left_to_learn
from twofold.workflows.train import train


def test_what_is_left_to_learn_is_the_share_of_the_uncertainty_that_stays_out_of_fold(
    drawn: Path, runtime: Runtime
) -> None:
    training = train(drawn, TrainingOptions(backbone=BackboneOptions(size=96, dtype="f32")), runtime)
    dataset, logits = training.dataset, training.fit.scores.logits
    losses = np.logaddexp(0, np.where(dataset.labels == 1, -logits, logits))
    assert dataset.labels.mean() == 0.5
    left = left_to_learn(dataset, CrossValidationOptions())
    assert left == pytest.approx(losses.mean() / np.log(2))
    assert left < 0.2
    noise = np.random.default_rng(0).normal(size=dataset.table.features.shape).astype(np.float32)
    nothing = replace(dataset, table=replace(dataset.table, features=noise))
    assert 0.9 < left_to_learn(nothing, CrossValidationOptions()) <= 1.0
