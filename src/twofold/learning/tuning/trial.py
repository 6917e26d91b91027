"""Settings of a recipe that were tried, and what came of each."""

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from twofold.core.notes import Note

Setting = float | int | str
State = Literal["complete", "pruned", "failed"]


@dataclass(frozen=True, slots=True)
class Trial:
    """One trial. `settings` are by the name of the option; None where the recipe has no single number for it.

    pruned: stopped because others were better by that epoch. failed: its loss became no number.
    """

    number: int  # from 1, in the order of trying
    state: State
    loss: float | None  # the lowest validation loss of an epoch
    accuracy: float | None  # that of the validation part in the same epoch
    epochs: int
    settings: dict[str, Setting | None]


@dataclass(frozen=True, slots=True)
class Tuning:
    """All trials. The first is the recipe as it is.

    `importances` are shares of 1, the greatest first: how far the settings of the better third differ from all. None of them
    where there were too few trials to tell.
    """

    trials: tuple[Trial, ...] = field(repr=False)
    best: int
    chosen: dict[str, Setting]  # what to change in the options; nothing where the recipe as it is was best
    importances: dict[str, float]
    interrupted: bool = False  # before all that were to be tried were

    @property
    def winner(self) -> Trial:
        return next(trial for trial in self.trials if trial.number == self.best)

    def as_json(self) -> dict[str, Any]:
        return {
            "trials": [asdict(trial) for trial in self.trials],
            "best": self.best,
            "chosen": self.chosen,
            "importances": self.importances,
        }

    def note(self) -> Note:
        """What was chosen, as it would be typed, and what that does to the numbers."""
        count, best, own = len(self.trials), self.winner, self.trials[0]
        if not self.chosen:
            text = f"None of {count} settings was better than the recipe as it is, with a validation loss of {best.loss:.4f}."
        else:
            typed = ", ".join(f"`{name}={value!r}`" for name, value in self.chosen.items())
            before = "" if own.loss is None else f", against {own.loss:.4f} of the recipe as it is"
            text = f"Of {count} settings number {best.number} had the lowest validation loss, {best.loss:.4f}{before}: {typed}."
        return Note(
            "tuned", f"{text} The validation part chose, so its own numbers flatter a little; --test is free of that."
        )
