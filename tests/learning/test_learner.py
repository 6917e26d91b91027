"""The loss, the learning rates and the recipes."""

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from small import LABELS, SMALL, images, learner

from twofold.core.errors import LearningError
from twofold.core.options import LearningOptions
from twofold.learning.batches import Batch
from twofold.learning.recipes import CLASSIC, FINETUNE, MODERN, RECIPES, Recipe

PLAIN = replace(CLASSIC, size=32, augmentation=CLASSIC.augmentation.with_strength(0))


def batch(count: int = 8) -> Batch:
    rows = np.arange(count)
    labels = torch.from_numpy(LABELS[:count].astype(np.float32))
    return Batch(torch.from_numpy(images().take(rows)), labels, torch.from_numpy(rows), 1.0)


def loss_of(recipe: Recipe, weights: tuple[float, float] = (1.0, 1.0)) -> tuple[float, torch.Tensor]:
    """The training loss on one batch, and the logits."""
    module = learner(recipe, class_weights=weights)()
    module.log_dict = lambda *_, **__: None  # type: ignore[method-assign]  # there is no trainer
    module.on_train_epoch_start()
    loss = module.training_step(batch(), 0).item()
    with torch.no_grad():
        return loss, module.network(batch().model_inputs.permute(0, 3, 1, 2).float())


def test_the_loss_is_binary_cross_entropy_with_smoothed_targets_and_weighted_classes() -> None:
    loss, logits = loss_of(replace(PLAIN, label_smoothing=0.1), weights=(0.5, 2.0))
    expected_losses = []
    for logit, label in zip(logits.tolist(), LABELS[:8], strict=True):
        p, target = 1 / (1 + math.exp(-logit)), 0.95 if label else 0.05
        expected_losses.append((2.0 if label else 0.5) * -(target * math.log(p) + (1 - target) * math.log(1 - p)))
    assert loss == pytest.approx(sum(expected_losses) / 8, rel=1e-4)


def test_a_loss_that_is_not_finite_is_an_error_with_advice() -> None:
    module = learner(PLAIN)()
    with torch.no_grad():
        module.network.head.bias.fill_(math.nan)
    module.on_train_epoch_start()
    with pytest.raises(
        LearningError, match=r"became nan in epoch 1; try a lower `learning_rate` than 0\.001, and `dtype='f32'`"
    ):
        module.training_step(batch(), 0)


def test_validation_is_scored_at_the_true_prevalence() -> None:
    """With class weights of 1 to 3 the logits are log 3 too large."""
    losses = {}
    for shift in (0.0, math.log(3)):
        module = learner(PLAIN, logit_shift=shift)()
        module.log_dict = lambda metrics, shift=shift, **_: losses.update({shift: metrics["val_loss"]})  # type: ignore[method-assign]
        module.validation_step(batch(), 0)
    _, logits = loss_of(PLAIN)
    target = batch().labels
    expected = torch.nn.functional.binary_cross_entropy_with_logits(logits - math.log(3), target)
    assert losses[math.log(3)].item() == pytest.approx(expected.item(), rel=1e-4)
    assert losses[0.0].item() != pytest.approx(expected.item(), rel=1e-2)


def test_the_learning_rate_warms_up_and_then_falls_to_zero() -> None:
    recipe = replace(MODERN, size=32, learning_rate=0.1, warmup_fraction=0.1)
    module = learner(recipe)()
    module._trainer = SimpleNamespace(estimated_stepping_batches=100)  # type: ignore[assignment]
    configuration = module.configure_optimizers()
    optimizer, scheduler = configuration["optimizer"], configuration["lr_scheduler"]["scheduler"]
    rates = []
    for _ in range(100):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    assert rates[0] == pytest.approx(0.01)
    assert max(rates) == rates[9] == pytest.approx(0.1)
    assert rates[54] == pytest.approx(0.1 * 0.5 * (1 + math.cos(math.pi * 44 / 90)))
    assert rates[-1] < 1e-4


def test_learning_rates_fall_towards_the_input_and_norms_and_biases_do_not_decay() -> None:
    recipe = replace(
        FINETUNE, learning_rate=1.0, input_lr_factor=0.01, head_lr_factor=0.3, weight_decay=0.5, frozen_fraction=0.0
    )
    module = learner(recipe, norm=True)()
    module._trainer = SimpleNamespace(estimated_stepping_batches=10)  # type: ignore[assignment]
    groups = module.configure_optimizers()["optimizer"].param_groups
    rate = {id(p): group["initial_lr"] for group in groups for p in group["params"]}
    decay = {id(p): group["weight_decay"] for group in groups for p in group["params"]}
    named = dict(module.network.named_parameters())
    assert len(rate) == len(named)
    rates = [rate[id(p)] for name, p in named.items() if not name.startswith("head")]
    assert rates == sorted(rates)
    assert rates[0] == pytest.approx(0.01)
    assert rate[id(named["head.weight"])] == rate[id(named["head.bias"])] == pytest.approx(0.3)
    assert {name for name, p in named.items() if decay[id(p)] == 0} == {n for n, p in named.items() if p.ndim == 1}


def test_frozen_layers_are_those_next_to_the_input() -> None:
    module = learner(replace(FINETUNE, frozen_fraction=0.5))()
    named = list(module.network.body.named_parameters())
    assert [parameter.requires_grad for _, parameter in named] == [False, False, True, True]
    module._trainer = SimpleNamespace(estimated_stepping_batches=10)  # type: ignore[assignment]
    groups = module.configure_optimizers()["optimizer"].param_groups
    assert sum(len(group["params"]) for group in groups) == 2 + 2


def test_the_image_size_grows_by_multiples_of_16_to_the_full_size() -> None:
    recipe = replace(SMALL, size=96, epochs=10, initial_size_fraction=0.5)
    sizes = [recipe.image_size(epoch) for epoch in range(10)]
    assert sizes[0] == 48
    assert sizes[-2:] == [96, 96]
    assert sizes == sorted(sizes)
    assert all(size % 16 == 0 for size in sizes)
    assert replace(recipe, size=90, initial_size_fraction=1.0).image_size(0) == 90
    assert max(replace(recipe, size=90).image_size(epoch) for epoch in range(10)) == 90


def test_options_replace_the_values_of_the_recipe() -> None:
    options = LearningOptions(mode="scratch", epochs=7, batch_size=64, learning_rate=0.5, augment=0.0)
    recipe = CLASSIC.with_options(options, 96)
    assert (recipe.epochs, recipe.batch_size, recipe.learning_rate, recipe.size) == (7, 64, 0.5, 96)
    assert recipe.augmentation == type(recipe.augmentation)()
    assert recipe.patience == CLASSIC.patience
    certain = FINETUNE.for_uncertainty(0.1)
    assert (certain.learning_rate, certain.label_smoothing) == (
        pytest.approx(FINETUNE.learning_rate / 10),
        pytest.approx(FINETUNE.label_smoothing / 10),
    )
    unchanged = {"learning_rate": FINETUNE.learning_rate, "label_smoothing": FINETUNE.label_smoothing}
    assert replace(certain, **unchanged) == FINETUNE
    assert certain.with_options(LearningOptions(mode="finetune", learning_rate=0.5), None).learning_rate == 0.5
    rotated = FINETUNE.with_options(LearningOptions(mode="finetune", fixed_orientation=False), None).augmentation
    assert rotated == replace(FINETUNE.augmentation, vertical_flip=True, quarter_turns=True)
    unaugmented = FINETUNE.with_options(
        LearningOptions(mode="finetune", fixed_orientation=False, augment=0.0), None
    ).augmentation
    assert unaugmented == type(unaugmented)()
    assert set(RECIPES) == {"classic", "modern", "finetune"}
