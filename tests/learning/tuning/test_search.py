"""Settings tried one after another. What learns is a stand-in, whose loss is known; the whole road is in test_learning.py."""

import logging
import math
import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from lightning.pytorch.callbacks import Callback

from twofold.core.errors import LearningError, LearningInterruptedError, UsageError
from twofold.core.options import LearningOptions
from twofold.learning.recipes import CLASSIC, FINETUNE, MODERN
from twofold.learning.trainer import TrainingHistory
from twofold.learning.tuning.search import folder, forget, hyper_parameters, tune
from twofold.learning.tuning.trial import Setting, Tuning

EPOCHS = 6
SCRATCH = LearningOptions(mode="scratch", recipe="modern")
SPACE = hyper_parameters(SCRATCH, MODERN, (500, 500))

Settings = Mapping[str, Setting]


class Killed(BaseException):
    """The process is gone: nothing tidies up."""


def bowl(settings: Settings) -> float:
    """A loss that is lowest, 0.2, a factor of 3 below the recipe's rate."""
    rate = float(settings.get("learning_rate", MODERN.rate))
    return 0.2 + 0.3 * math.log10(rate / (MODERN.rate / 3)) ** 2


@dataclass
class LearningResult:
    """Learns as Lightning would: an epoch, then the callback, then the checkpoint.

    `stop` is told the trial and the epoch before each checkpoint, and half an epoch more after it.
    """

    place: Path
    loss: Callable[[Settings], float] = bowl
    stop: Callable[[str, float], None] = lambda name, epoch: None
    tried: list[tuple[str, Settings]] = field(default_factory=list)

    def __call__(self, settings: Settings, name: str, callback: Callback) -> TrainingHistory:
        self.tried.append((name, settings))
        callback = pickle.loads(pickle.dumps(callback))  # as where several processes learn
        checkpoint = self.place / name / "last.ckpt"
        checkpoint.parent.mkdir(exist_ok=True)
        history = pickle.loads(checkpoint.read_bytes()) if checkpoint.exists() else []
        alone = SimpleNamespace(broadcast=lambda value: value)
        trainer = SimpleNamespace(is_global_zero=True, should_stop=False, strategy=alone, current_epoch=len(history))
        call: Any = callback
        call.on_train_start(trainer, None)
        while len(history) < EPOCHS and not trainer.should_stop:
            trainer.current_epoch = len(history)
            loss = self.loss(settings) * (1 + 1 / (1 + len(history)))
            trainer.callback_metrics = {"val_loss": loss}
            call.on_train_epoch_end(trainer, None)
            self.stop(name, len(history))
            history.append({"epoch": len(history) + 1, "val_loss": loss, "val_accuracy": 1 - loss / 2})
            checkpoint.write_bytes(pickle.dumps(history))
            self.stop(name, len(history) - 0.5)
        return TrainingHistory(history, len(history), False, ())


def tuned(learning: LearningResult, *, count: int, seed: int = 0) -> Tuning:
    return tune(learning, SPACE, learning.place, count=count, epochs=EPOCHS, seed=seed)


@pytest.fixture(scope="module")
def learning(tmp_path_factory: pytest.TempPathFactory) -> LearningResult:
    return LearningResult(tmp_path_factory.mktemp("tuned"))


@pytest.fixture(scope="module")
def tuning(learning: LearningResult) -> Tuning:
    return tuned(learning, count=24)


def test_the_recipe_as_it_is_comes_first_and_the_best_is_chosen(learning: LearningResult, tuning: Tuning) -> None:
    assert [trial.number for trial in tuning.trials] == list(range(1, 25))
    assert learning.tried[0] == ("trial-1", {})
    assert tuning.trials[0].settings["learning_rate"] == MODERN.rate
    complete = [trial.loss for trial in tuning.trials if trial.loss is not None and trial.state == "complete"]
    assert tuning.winner.loss == min(complete)
    assert tuning.chosen == dict(learning.tried[tuning.best - 1][1]) == tuning.winner.settings
    replace(SCRATCH, **tuning.chosen)  # type: ignore[arg-type]  # they are options
    assert f"--learning-rate {tuning.chosen['learning_rate']}" in tuning.note().text


def test_the_best_settings_come_near_to_what_is_best(tuning: Tuning) -> None:
    assert MODERN.rate / 3 / 1.6 < float(tuning.chosen["learning_rate"]) < MODERN.rate / 3 * 1.6


def test_only_the_checkpoints_of_the_best_are_left(learning: LearningResult, tuning: Tuning) -> None:
    assert {path.name for path in learning.place.iterdir()} == {"tuning.sqlite", folder(tuning.best)}


def test_those_that_others_leave_behind_are_stopped(tuning: Tuning) -> None:
    pruned = [trial for trial in tuning.trials if trial.state == "pruned"]
    assert pruned
    assert all(trial.epochs < EPOCHS for trial in pruned)
    assert all(trial.loss is not None and trial.loss > tuning.winner.loss for trial in pruned if tuning.winner.loss)
    assert tuning.winner.epochs == EPOCHS


def test_what_mattered_is_found(tuning: Tuning) -> None:
    assert next(iter(tuning.importances)) == "learning_rate"
    assert sum(tuning.importances.values()) == pytest.approx(1)


def test_few_trials_do_not_tell_what_mattered(tmp_path: Path) -> None:
    assert tuned(LearningResult(tmp_path), count=3).importances == {}


def test_what_is_no_better_than_the_recipe_is_not_chosen(tmp_path: Path) -> None:
    tuning = tuned(LearningResult(tmp_path, loss=lambda settings: 0.5 if settings else 0.4), count=3)
    assert (tuning.best, tuning.chosen) == (1, {})
    assert "None of 3 settings was better" in tuning.note().text


def test_the_same_seed_tries_the_same(tmp_path: Path) -> None:
    first, same, other = (LearningResult(tmp_path / name) for name in "abc")
    assert tuned(first, count=3) == tuned(same, count=3)
    tuned(other, count=2, seed=1)
    assert first.tried == same.tried
    assert first.tried[1] != other.tried[1]


def test_what_was_tried_can_be_forgotten(tmp_path: Path) -> None:
    tuned(LearningResult(tmp_path), count=1)
    forget(tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("stopped", [LearningInterruptedError("Ctrl-C in the first epoch."), KeyboardInterrupt()])
def test_ctrl_c_keeps_the_best_so_far_and_nothing_is_tried_twice(tmp_path: Path, stopped: BaseException) -> None:
    whole = LearningResult(tmp_path / "whole")
    expected = tuned(whole, count=3)

    def press(name: str, epoch: float) -> None:
        if (name, epoch) == ("trial-2", 2):
            raise stopped

    place = tmp_path / "stopped"
    so_far = tuned(LearningResult(place, stop=press), count=3)
    assert so_far.interrupted
    assert (so_far.trials, so_far.best) == (expected.trials[:1], 1)
    after = LearningResult(place)
    assert tuned(after, count=3) == expected
    assert after.tried == whole.tried[1:]


def test_after_ctrl_c_that_lightning_took_a_trial_is_not_over(tmp_path: Path) -> None:
    def learn(settings: Settings, name: str, callback: Callback) -> TrainingHistory:
        return replace(LearningResult(tmp_path)(settings, name, callback), interrupted=True)

    with pytest.raises(LearningInterruptedError, match="before one of 3 settings was tried to its end"):
        tune(learn, SPACE, tmp_path, count=3, epochs=EPOCHS, seed=0)


def test_a_killed_trial_goes_on_in_its_folder_to_the_same_result(tmp_path: Path) -> None:
    """Killed before and after each checkpoint of each trial in turn, one that others leave behind among them."""
    expected = tuned(LearningResult(tmp_path / "whole"), count=5, seed=1)
    assert {trial.state for trial in expected.trials} == {"complete", "pruned"}
    killed: set[tuple[str, float]] = set()

    def kill(name: str, epoch: float) -> None:
        if (name, epoch) not in killed:
            killed.add((name, epoch))
            raise Killed

    learning = LearningResult(tmp_path / "killed", stop=kill)
    for _ in range(2 * sum(trial.epochs for trial in expected.trials)):
        with pytest.raises(Killed):
            tuned(learning, count=5, seed=1)
    assert tuned(learning, count=5, seed=1) == expected


def test_a_loss_that_is_no_number_is_one_failure_and_not_the_end(tmp_path: Path) -> None:
    def loss(settings: Settings) -> float:
        if float(settings.get("learning_rate", 0)) > MODERN.rate:
            raise LearningError("The loss became nan.")
        return bowl(settings)

    tuning = tuned(LearningResult(tmp_path, loss=loss), count=6)
    states = {trial.state for trial in tuning.trials if float(trial.settings["learning_rate"] or 0) > MODERN.rate}
    assert states == {"failed"}
    assert tuning.winner.state == "complete"


def test_a_validation_loss_that_is_no_number_is_a_failure_too(tmp_path: Path) -> None:
    tuning = tuned(LearningResult(tmp_path, loss=lambda settings: math.nan if settings else 0.5), count=2)
    assert [trial.state for trial in tuning.trials] == ["complete", "failed"]
    assert tuning.trials[1].loss is None


def test_where_every_setting_fails_the_first_reason_is_given(tmp_path: Path) -> None:
    def loss(settings: Settings) -> float:
        raise LearningError("Memory does not suffice.")

    with pytest.raises(LearningError, match="Memory does not suffice"):
        tuned(LearningResult(tmp_path, loss=loss), count=2)


def test_a_folder_may_be_called_anything(tmp_path: Path) -> None:
    place = tmp_path / "what? 100%25 #1 ä"
    tuned(LearningResult(place), count=2)
    assert (place / "tuning.sqlite").exists()


def test_optuna_says_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        tuned(LearningResult(tmp_path), count=9)
    assert capfd.readouterr() == ("", "")
    assert [record for record in caplog.records if record.name.startswith("optuna")] == []


@pytest.mark.parametrize(
    ("options", "recipe", "counts", "tried"),
    [
        (SCRATCH, MODERN, (500, 500), {"learning_rate", "batch_size", "weight_decay", "augment", "dropout"}),
        (SCRATCH, MODERN, (500, 300), {"learning_rate", "batch_size", "weight_decay", "augment", "dropout", "balance"}),
        (
            LearningOptions(mode="finetune"),
            FINETUNE,
            (500, 500),
            {"learning_rate", "batch_size", "weight_decay", "augment"},
        ),
        (
            replace(SCRATCH, batch_size=16, augment=0.5, balance="sampler"),
            MODERN,
            (500, 300),
            {"learning_rate", "weight_decay", "dropout"},
        ),
    ],
)
def test_what_is_given_stays_and_what_does_not_matter_is_not_tried(
    options: LearningOptions, recipe: Any, counts: tuple[int, int], tried: set[str]
) -> None:
    assert hyper_parameters(options, recipe, counts).keys() == tried


@pytest.mark.parametrize("recipe", [CLASSIC, MODERN, FINETUNE])
@pytest.mark.parametrize("images", [20, 20_000])
def test_the_recipe_as_it_is_can_be_tried(recipe: Any, images: int) -> None:
    space = hyper_parameters(SCRATCH, recipe, (images // 2, images // 2))
    for hyper_parameter in space.values():
        assert hyper_parameter.tried._contains(hyper_parameter.tried.to_internal_repr(hyper_parameter.nearest))


def test_with_everything_given_there_is_nothing_to_tune() -> None:
    given = replace(SCRATCH, learning_rate=1e-3, batch_size=16, weight_decay=0.0, dropout=0.0, augment=0.5)
    with pytest.raises(UsageError, match="nothing left to try"):
        hyper_parameters(given, MODERN, (50, 50))
