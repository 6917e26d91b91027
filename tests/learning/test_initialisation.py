"""The initialisation of fine-tuning."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from twofold.core.options import BackboneOptions, CrossValidationOptions, TrainingOptions
from twofold.embedding import Runtime
from twofold.learning.initialisation import remaining_uncertainty
from twofold.workflows.train import train


def test_the_remaining_uncertainty_is_the_out_of_fold_log_loss_over_the_entropy(drawn: Path, runtime: Runtime) -> None:
    training = train(drawn, TrainingOptions(backbone=BackboneOptions(size=96, dtype="f32")), runtime)
    dataset, logits = training.dataset, training.fit.scores.logits
    losses = np.logaddexp(0, np.where(dataset.labels == 1, -logits, logits))
    assert dataset.labels.mean() == 0.5
    uncertainty = remaining_uncertainty(dataset, CrossValidationOptions())
    assert uncertainty == pytest.approx(losses.mean() / np.log(2))
    assert uncertainty < 0.2
    noise = np.random.default_rng(0).normal(size=dataset.table.features.shape).astype(np.float32)
    noise_dataset = replace(dataset, table=replace(dataset.table, features=noise))
    assert 0.9 < remaining_uncertainty(noise_dataset, CrossValidationOptions()) <= 1.0
