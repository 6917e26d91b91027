"""A hyper-parameter search as text."""

from typing import TYPE_CHECKING, Final

from twofold.report.layout import number_text, table

if TYPE_CHECKING:
    from twofold.learning.tuning.trial import Setting, Trial, Tuning

_MAX_TRIALS: Final = 20  # lines of the tables
_ENDS: Final = {"pruned": "stopped early: other trials were better", "failed": "failed, its loss was not finite"}


def tuning_lines(tuning: "Tuning") -> list[str]:
    """The trials in two tables, results and hyper-parameters, those with the lowest validation loss first."""
    order = sorted(tuning.trials, key=_rank)
    rows = order[:_MAX_TRIALS]
    names = list(tuning.trials[0].settings)
    results = [
        [
            f"{trial.number}",
            number_text(trial.loss),
            number_text(trial.accuracy),
            f"{trial.epochs}",
            _remark(trial, tuning),
        ]
        for trial in rows
    ]
    settings = [[f"{trial.number}", *(_setting_text(trial.settings[name]) for name in names)] for trial in rows]
    header = ["trial", "validation loss", "accuracy", "epochs"]
    lines = ["", *(f"{line}  {row[-1]}".rstrip() for line, row in _with_remarks(header, results))]
    lines += ["", *table([["trial", *(parameter_name(name) for name in names)], *settings], left=0)]
    if len(order) > len(rows):
        lines.append(f"{len(order) - len(rows)} more trials are in tuning.csv")
    if tuning.importances:
        fractions = ", ".join(f"{parameter_name(name)} {value:.0%}" for name, value in tuning.importances.items())
        lines.append(f"importance: {fractions}")
    return lines


def _with_remarks(header: list[str], rows: list[list[str]]) -> list[tuple[str, list[str]]]:
    """The lines of the table without the last cell of each row, and the rows; remarks are left-aligned."""
    lines = table([header, *(row[:-1] for row in rows)], left=0)
    return list(zip(lines, [[*header, ""], *rows], strict=True))


def _rank(trial: "Trial") -> tuple[bool, bool, float]:
    return trial.state != "complete", trial.state == "failed", trial.loss or 0.0


def _remark(trial: "Trial", tuning: "Tuning") -> str:
    remarks = [
        *(["best"] if trial.number == tuning.best_number else []),
        *(["the recipe"] if trial.number == 1 else []),
        *([_ENDS[trial.state]] if trial.state in _ENDS else []),
    ]
    return ", ".join(remarks)


def parameter_name(name: str) -> str:
    """The name of an option in plain text.

    >>> parameter_name("learning_rate")
    'learning rate'
    """
    return name.replace("_", " ")


def _setting_text(value: "Setting | None") -> str:
    return "" if value is None else f"{value:.3g}" if isinstance(value, float) else str(value)
