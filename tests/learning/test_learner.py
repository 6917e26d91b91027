"""The loss, the steps and the rates."""

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from small import LABELS, SMALL, learner, pixels

from twofold.core.errors import LearningError
from twofold.core.options import LearningOptions
from twofold.learning.batches import Batch
from twofold.learning.recipes import CLASSIC, FINETUNE, MODERN, RECIPES, Recipe

PLAIN = replace(CLASSIC, size=32, augmentation=CLASSIC.augmentation.scaled(0))


def batch(count: int = 8) -> Batch:
    rows = np.arange(count)
    labels = torch.from_numpy(LABELS[:count].astype(np.float32))
    return Batch(torch.from_numpy(pixels().take(rows)), labels, torch.from_numpy(rows), 1.0)


def loss_of(recipe: Recipe, weights: tuple[float, float] = (1.0, 1.0)) -> tuple[float, torch.Tensor]:
    """The training loss on one batch, and the logits that it was computed from."""
    made = learner(recipe, weights=weights)()
    made.log_dict = lambda *_, **__: None  # type: ignore[method-assign]  # there is no trainer
    made.on_train_epoch_start()
    loss = made.training_step(batch(), 0).item()
    with torch.no_grad():
        return loss, made.network(batch().model_inputs.permute(0, 3, 1, 2).float())


def test_the_loss_is_binary_cross_entropy_with_smoothed_targets_and_weighted_classes() -> None:
    loss, logits = loss_of(replace(PLAIN, smoothing=0.1), weights=(0.5, 2.0))
    by_hand = []
    for logit, label in zip(logits.tolist(), LABELS[:8], strict=True):
        p, target = 1 / (1 + math.exp(-logit)), 0.95 if label else 0.05
        by_hand.append((2.0 if label else 0.5) * -(target * math.log(p) + (1 - target) * math.log(1 - p)))
    assert loss == pytest.approx(sum(by_hand) / 8, rel=1e-4)


def test_a_loss_that_is_no_number_stops_with_advice() -> None:
    made = learner(PLAIN)()
    with torch.no_grad():
        made.network.head.bias.fill_(math.nan)
    made.on_train_epoch_start()
    with pytest.raises(LearningError, match=r"became nan in epoch 1; try a lower --learning-rate than 0\.001"):
        made.training_step(batch(), 0)


def test_validation_is_scored_on_the_data_as_it_is() -> None:
    """Learned with classes weighted 1 to 3, the logits are log 3 too large."""
    seen = {}
    for shift in (0.0, math.log(3)):
        made = learner(PLAIN, shift=shift)()
        made.log_dict = lambda values, shift=shift, **_: seen.update({shift: values["val_loss"]})  # type: ignore[method-assign]
        made.validation_step(batch(), 0)
    _, logits = loss_of(PLAIN)
    target = batch().labels
    expected = torch.nn.functional.binary_cross_entropy_with_logits(logits - math.log(3), target)
    assert seen[math.log(3)].item() == pytest.approx(expected.item(), rel=1e-4)
    assert seen[0.0].item() != pytest.approx(expected.item(), rel=1e-2)


def test_the_rate_warms_up_and_then_falls_to_nothing() -> None:
    recipe = replace(MODERN, size=32, rate=0.1, warm_up=0.1)
    made = learner(recipe)()
    made._trainer = SimpleNamespace(estimated_stepping_batches=100)  # type: ignore[assignment]
    scheduled = made.configure_optimizers()
    optimizer, scheduler = scheduled["optimizer"], scheduled["lr_scheduler"]["scheduler"]
    rates = []
    for _ in range(100):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    assert rates[0] == pytest.approx(0.01)
    assert max(rates) == rates[9] == pytest.approx(0.1)
    assert rates[54] == pytest.approx(0.1 * 0.5 * (1 + math.cos(math.pi * 44 / 90)))
    assert rates[-1] < 1e-4


def test_rates_fall_toward_the_input_and_norms_and_biases_do_not_decay() -> None:
    recipe = replace(FINETUNE, rate=1.0, rate_at_input=0.01, rate_at_head=0.3, weight_decay=0.5, frozen=0.0)
    made = learner(recipe, norm=True)()
    made._trainer = SimpleNamespace(estimated_stepping_batches=10)  # type: ignore[assignment]
    groups = made.configure_optimizers()["optimizer"].param_groups
    rate = {id(p): group["initial_lr"] for group in groups for p in group["params"]}
    decay = {id(p): group["weight_decay"] for group in groups for p in group["params"]}
    named = dict(made.network.named_parameters())
    assert len(rate) == len(named)
    rates = [rate[id(p)] for name, p in named.items() if not name.startswith("head")]
    assert rates == sorted(rates)
    assert rates[0] == pytest.approx(0.01)
    assert rate[id(named["head.weight"])] == rate[id(named["head.bias"])] == pytest.approx(0.3)
    assert {name for name, p in named.items() if decay[id(p)] == 0} == {n for n, p in named.items() if p.ndim == 1}


def test_frozen_layers_are_those_next_to_the_input() -> None:
    made = learner(replace(FINETUNE, frozen=0.5))()
    named = list(made.network.body.named_parameters())
    assert [parameter.requires_grad for _, parameter in named] == [False, False, True, True]
    made._trainer = SimpleNamespace(estimated_stepping_batches=10)  # type: ignore[assignment]
    groups = made.configure_optimizers()["optimizer"].param_groups
    assert sum(len(group["params"]) for group in groups) == 2 + 2


def test_the_side_grows_by_multiples_of_16_and_is_whole_at_the_end() -> None:
    recipe = replace(SMALL, size=96, epochs=10, growth=0.5)
    sides = [recipe.side(epoch) for epoch in range(10)]
    assert sides[0] == 48
    assert sides[-2:] == [96, 96]
    assert sides == sorted(sides)
    assert all(side % 16 == 0 for side in sides)
    assert replace(recipe, size=90, growth=1.0).side(0) == 90
    assert max(replace(recipe, size=90).side(epoch) for epoch in range(10)) == 90


def test_options_replace_what_they_name_and_nothing_else() -> None:
    options = LearningOptions(mode="scratch", epochs=7, batch_size=64, learning_rate=0.5, augment=0.0)
    recipe = CLASSIC.adapted(options, 96)
    assert (recipe.epochs, recipe.batch_size, recipe.rate, recipe.size) == (7, 64, 0.5, 96)
    assert recipe.augmentation == type(recipe.augmentation)()
    assert recipe.patience == CLASSIC.patience
    little = FINETUNE.after(0.1)
    assert (little.rate, little.smoothing) == (
        pytest.approx(FINETUNE.rate / 10),
        pytest.approx(FINETUNE.smoothing / 10),
    )
    assert replace(little, rate=FINETUNE.rate, smoothing=FINETUNE.smoothing) == FINETUNE
    assert little.adapted(LearningOptions(mode="finetune", learning_rate=0.5), None).rate == 0.5
    turned = FINETUNE.adapted(LearningOptions(mode="finetune", fixed_orientation=False), None).augmentation
    assert turned == replace(FINETUNE.augmentation, upside_down=True, quarter_turns=True)
    still = FINETUNE.adapted(LearningOptions(mode="finetune", fixed_orientation=False, augment=0.0), None).augmentation
    assert still == type(still)()
    assert set(RECIPES) == {"classic", "modern", "finetune"}
