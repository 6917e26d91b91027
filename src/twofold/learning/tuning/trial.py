"""The trials of a hyper-parameter search and their results."""

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from twofold.core.notes import Note

Setting = float | int | str
State = Literal["complete", "pruned", "failed"]


@dataclass(frozen=True, slots=True)
class Trial:
    """One trial. `settings` maps options to values; None where the recipe has no single value.

    pruned: stopped early, because other trials had a lower loss at that epoch. failed: the loss was not finite.
    """

    number: int  # from 1, in the order of the search
    state: State
    loss: float | None  # lowest validation loss of an epoch
    accuracy: float | None  # validation accuracy of the same epoch
    epochs: int
    settings: dict[str, Setting | None]


@dataclass(frozen=True, slots=True)
class Tuning:
    """All trials; the first one has the settings of the recipe.

    `importances` are fractions that sum to 1, in descending order: how much the settings of the best third of the trials differ
    from those of all. Empty where there are too few trials.
    """

    trials: tuple[Trial, ...] = field(repr=False)
    best_number: int  # number of the trial with the lowest validation loss
    best_settings: dict[str, Setting]  # options to change; empty where the recipe itself was best
    importances: dict[str, float]
    interrupted: bool = False

    @property
    def best_trial(self) -> Trial:
        return next(trial for trial in self.trials if trial.number == self.best_number)

    def as_json(self) -> dict[str, Any]:
        return {
            "trials": [asdict(trial) for trial in self.trials],
            "best_number": self.best_number,
            "best_settings": self.best_settings,
            "importances": self.importances,
        }

    def note(self) -> Note:
        """The best settings, and the bias of the validation scores."""
        count, best, recipe = len(self.trials), self.best_trial, self.trials[0]
        if not self.best_settings:
            text = f"The recipe had the lowest validation loss of {count} trials, {best.loss:.4f}."
        else:
            settings = ", ".join(f"`{name}={value!r}`" for name, value in self.best_settings.items())
            baseline = "" if recipe.loss is None else f" (recipe: {recipe.loss:.4f})"
            text = (
                f"Trial {best.number} of {count} had the lowest validation loss, {best.loss:.4f}{baseline}: {settings}."
            )
        bias = (
            "The validation images chose the trial, so scores on them are optimistic; scores on `test` images are not."
        )
        return Note("tuned", f"{text} {bias}")
