"""Hyper-parameter search with a simulated training whose loss is known; test_train_networks.py has the real one."""

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
from twofold.learning.tuning.search import delete_trials, hyper_parameters, trial_folder, tune
from twofold.learning.tuning.trial import Setting, Tuning

EPOCHS = 6
SCRATCH = LearningOptions(mode="scratch", recipe="modern")
SPACE = hyper_parameters(SCRATCH, MODERN, (500, 500))

Settings = Mapping[str, Setting]


class Killed(BaseException):
    """The process is gone: nothing is cleaned up."""


def bowl(settings: Settings) -> float:
    """A loss whose minimum, 0.2, is at a third of the recipe's learning rate."""
    learning_rate = float(settings.get("learning_rate", MODERN.learning_rate))
    return 0.2 + 0.3 * math.log10(learning_rate / (MODERN.learning_rate / 3)) ** 2


@dataclass
class SimulatedTraining:
    """The order of events is Lightning's: an epoch, then the callback, then the checkpoint.

    `interrupt` is called with the trial and the epoch before each checkpoint, and with half an epoch more after it.
    """

    folder: Path
    loss: Callable[[Settings], float] = bowl
    interrupt: Callable[[str, float], None] = lambda name, epoch: None
    trials: list[tuple[str, Settings]] = field(default_factory=list)

    def __call__(self, settings: Settings, name: str, callback: Callback) -> TrainingHistory:
        self.trials.append((name, settings))
        callback = pickle.loads(pickle.dumps(callback))  # as for several processes
        checkpoint = self.folder / name / "last.ckpt"
        checkpoint.parent.mkdir(exist_ok=True)
        history = pickle.loads(checkpoint.read_bytes()) if checkpoint.exists() else []
        strategy = SimpleNamespace(broadcast=lambda value: value)
        trainer = SimpleNamespace(is_global_zero=True, should_stop=False, strategy=strategy, current_epoch=len(history))
        call: Any = callback
        call.on_train_start(trainer, None)
        while len(history) < EPOCHS and not trainer.should_stop:
            trainer.current_epoch = len(history)
            loss = self.loss(settings) * (1 + 1 / (1 + len(history)))
            trainer.callback_metrics = {"val_loss": loss}
            call.on_train_epoch_end(trainer, None)
            self.interrupt(name, len(history))
            history.append({"epoch": len(history) + 1, "val_loss": loss, "val_accuracy": 1 - loss / 2})
            checkpoint.write_bytes(pickle.dumps(history))
            self.interrupt(name, len(history) - 0.5)
        return TrainingHistory(history, len(history), False, ())


def search(training: SimulatedTraining, *, count: int, seed: int = 0) -> Tuning:
    return tune(training, SPACE, training.folder, count=count, epochs=EPOCHS, seed=seed)


@pytest.fixture(scope="module")
def training(tmp_path_factory: pytest.TempPathFactory) -> SimulatedTraining:
    return SimulatedTraining(tmp_path_factory.mktemp("tuning"))


@pytest.fixture(scope="module")
def tuning(training: SimulatedTraining) -> Tuning:
    return search(training, count=24)


def test_the_recipe_is_the_first_trial_and_the_best_trial_is_chosen(
    training: SimulatedTraining, tuning: Tuning
) -> None:
    assert [trial.number for trial in tuning.trials] == list(range(1, 25))
    assert training.trials[0] == ("trial-1", {})
    assert tuning.trials[0].settings["learning_rate"] == MODERN.learning_rate
    complete = [trial.loss for trial in tuning.trials if trial.loss is not None and trial.state == "complete"]
    assert tuning.best_trial.loss == min(complete)
    assert tuning.best_settings == dict(training.trials[tuning.best_number - 1][1]) == tuning.best_trial.settings
    replace(SCRATCH, **tuning.best_settings)  # type: ignore[arg-type]  # they are options
    assert f"`learning_rate={tuning.best_settings['learning_rate']}`" in tuning.note().text


def test_the_best_settings_are_near_the_optimum(tuning: Tuning) -> None:
    assert (
        MODERN.learning_rate / 3 / 1.6 < float(tuning.best_settings["learning_rate"]) < MODERN.learning_rate / 3 * 1.6
    )


def test_only_the_checkpoints_of_the_best_trial_are_kept(training: SimulatedTraining, tuning: Tuning) -> None:
    assert {path.name for path in training.folder.iterdir()} == {"tuning.sqlite", trial_folder(tuning.best_number)}


def test_worse_trials_are_pruned(tuning: Tuning) -> None:
    pruned = [trial for trial in tuning.trials if trial.state == "pruned"]
    assert pruned
    assert all(trial.epochs < EPOCHS for trial in pruned)
    assert all(
        trial.loss is not None and trial.loss > tuning.best_trial.loss for trial in pruned if tuning.best_trial.loss
    )
    assert tuning.best_trial.epochs == EPOCHS


def test_the_dominant_hyper_parameter_has_the_greatest_importance(tuning: Tuning) -> None:
    assert next(iter(tuning.importances)) == "learning_rate"
    assert sum(tuning.importances.values()) == pytest.approx(1)


def test_few_trials_have_no_importances(tmp_path: Path) -> None:
    assert search(SimulatedTraining(tmp_path), count=3).importances == {}


def test_the_recipe_is_chosen_where_no_trial_is_better(tmp_path: Path) -> None:
    tuning = search(SimulatedTraining(tmp_path, loss=lambda settings: 0.5 if settings else 0.4), count=3)
    assert (tuning.best_number, tuning.best_settings) == (1, {})
    assert "The recipe had the lowest validation loss of 3 trials" in tuning.note().text


def test_the_same_seed_gives_the_same_trials(tmp_path: Path) -> None:
    first, repeated, other_seed = (SimulatedTraining(tmp_path / name) for name in "abc")
    assert search(first, count=3) == search(repeated, count=3)
    search(other_seed, count=2, seed=1)
    assert first.trials == repeated.trials
    assert first.trials[1] != other_seed.trials[1]


def test_trials_can_be_deleted(tmp_path: Path) -> None:
    search(SimulatedTraining(tmp_path), count=1)
    delete_trials(tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("error", [LearningInterruptedError("Ctrl-C in the first epoch."), KeyboardInterrupt()])
def test_ctrl_c_keeps_the_best_trial_and_no_trial_is_repeated(tmp_path: Path, error: BaseException) -> None:
    uninterrupted = SimulatedTraining(tmp_path / "uninterrupted")
    expected = search(uninterrupted, count=3)

    def press(name: str, epoch: float) -> None:
        if (name, epoch) == ("trial-2", 2):
            raise error

    folder = tmp_path / "interrupted"
    partial_result = search(SimulatedTraining(folder, interrupt=press), count=3)
    assert partial_result.interrupted
    assert (partial_result.trials, partial_result.best_number) == (expected.trials[:1], 1)
    resumed = SimulatedTraining(folder)
    assert search(resumed, count=3) == expected
    assert resumed.trials == uninterrupted.trials[1:]


def test_an_interrupted_trial_is_not_finished(tmp_path: Path) -> None:
    def train_trial(settings: Settings, name: str, callback: Callback) -> TrainingHistory:
        return replace(SimulatedTraining(tmp_path)(settings, name, callback), interrupted=True)

    with pytest.raises(
        LearningInterruptedError, match="before the end of the first of 3 trials; continue with `resume=True`"
    ):
        tune(train_trial, SPACE, tmp_path, count=3, epochs=EPOCHS, seed=0)


def test_a_killed_trial_continues_in_its_folder_to_the_same_result(tmp_path: Path) -> None:
    """Killed before and after each checkpoint of each trial in turn; one of the trials is pruned."""
    expected = search(SimulatedTraining(tmp_path / "uninterrupted"), count=5, seed=1)
    assert {trial.state for trial in expected.trials} == {"complete", "pruned"}
    kills: set[tuple[str, float]] = set()

    def kill(name: str, epoch: float) -> None:
        if (name, epoch) not in kills:
            kills.add((name, epoch))
            raise Killed

    training = SimulatedTraining(tmp_path / "killed", interrupt=kill)
    for _ in range(2 * sum(trial.epochs for trial in expected.trials)):
        with pytest.raises(Killed):
            search(training, count=5, seed=1)
    assert search(training, count=5, seed=1) == expected


def test_a_loss_that_is_not_finite_fails_one_trial_only(tmp_path: Path) -> None:
    def loss(settings: Settings) -> float:
        if float(settings.get("learning_rate", 0)) > MODERN.learning_rate:
            raise LearningError("The loss became nan.")
        return bowl(settings)

    tuning = search(SimulatedTraining(tmp_path, loss=loss), count=6)
    states = {
        trial.state for trial in tuning.trials if float(trial.settings["learning_rate"] or 0) > MODERN.learning_rate
    }
    assert states == {"failed"}
    assert tuning.best_trial.state == "complete"


def test_a_validation_loss_that_is_not_finite_fails_the_trial_too(tmp_path: Path) -> None:
    tuning = search(SimulatedTraining(tmp_path, loss=lambda settings: math.nan if settings else 0.5), count=2)
    assert [trial.state for trial in tuning.trials] == ["complete", "failed"]
    assert tuning.trials[1].loss is None


def test_the_first_reason_is_raised_where_all_trials_fail(tmp_path: Path) -> None:
    def loss(settings: Settings) -> float:
        raise LearningError("There is not enough memory.")

    with pytest.raises(LearningError, match="There is not enough memory"):
        search(SimulatedTraining(tmp_path, loss=loss), count=2)


def test_a_folder_name_may_have_any_character(tmp_path: Path) -> None:
    folder = tmp_path / "what? 100%25 #1 ä"
    search(SimulatedTraining(folder), count=2)
    assert (folder / "tuning.sqlite").exists()


def test_optuna_logs_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        search(SimulatedTraining(tmp_path), count=9)
    assert capfd.readouterr() == ("", "")
    assert [record for record in caplog.records if record.name.startswith("optuna")] == []


@pytest.mark.parametrize(
    ("options", "recipe", "counts", "names"),
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
def test_options_that_are_set_are_not_searched_and_balance_only_for_uneven_classes(
    options: LearningOptions, recipe: Any, counts: tuple[int, int], names: set[str]
) -> None:
    assert hyper_parameters(options, recipe, counts).keys() == names


@pytest.mark.parametrize("recipe", [CLASSIC, MODERN, FINETUNE])
@pytest.mark.parametrize("images", [20, 20_000])
def test_the_start_lies_in_the_distribution(recipe: Any, images: int) -> None:
    space = hyper_parameters(SCRATCH, recipe, (images // 2, images // 2))
    for hyper_parameter in space.values():
        assert hyper_parameter.distribution._contains(
            hyper_parameter.distribution.to_internal_repr(hyper_parameter.start)
        )


def test_tuning_with_all_options_set_is_an_error() -> None:
    options = replace(SCRATCH, learning_rate=1e-3, batch_size=16, weight_decay=0.0, dropout=0.0, augment=0.5)
    with pytest.raises(UsageError, match="`tune` has no hyper-parameter to search"):
        hyper_parameters(options, MODERN, (50, 50))
