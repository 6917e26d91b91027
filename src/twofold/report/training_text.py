"""The result of `train` as text."""

from pathlib import Path
from typing import TYPE_CHECKING, Final

from twofold.audit.leakage import LEAKAGE
from twofold.evaluation import Evaluation
from twofold.report.evaluation_text import (
    data_line,
    decision_lines,
    detail_lines,
    metric_lines,
    test_columns,
    warning_lines,
)
from twofold.report.layout import note_lines, number_text, table
from twofold.report.policy_text import operating_lines, outcome_lines, policy_lines, restated_lines
from twofold.report.shortcuts_text import SHORTCUT, shortcut_lines
from twofold.report.slices_text import slice_lines
from twofold.report.sparkline import sparklines
from twofold.report.timing_text import timing_text
from twofold.report.tuning_text import tuning_lines
from twofold.workflows.training_result import NetworkResult, TrainingResult

if TYPE_CHECKING:
    from twofold.learning.trainer import TrainingHistory

_MAX_EPOCHS: Final = 24  # lines of the epoch table
_SPLIT_NAMES: Final = {"train": "train", "val": "validation"}


def training_text(result: TrainingResult, out: Path, figures: Path | None = None) -> str:
    """The confusion matrix of the headline evaluation, then all metrics, the training run, notes and the time."""
    columns = _columns(result)
    headline, evaluation = next(iter(columns.items()))
    lines = warning_lines(result.notes)
    lines.append(data_line("train", result.dataset.as_json()))
    lines += [] if result.test is None else [data_line("test", result.test.dataset.as_json())]
    lines += decision_lines(headline, evaluation)
    lines += [*policy_lines(evaluation.rule), *outcome_lines(evaluation), *restated_lines(evaluation)]
    lines += operating_lines(evaluation.operating_table, evaluation.classes)
    lines += metric_lines(columns)
    lines += [*detail_lines(headline, evaluation), *slice_lines(evaluation.slices)]
    if result.learning is not None:
        lines += _training_run_lines(result, result.learning)
    if result.audit.shortcuts is not None:
        lines += shortcut_lines(result.audit.shortcuts, result.fit.evaluation.metrics["roc_auc"])
    lines += note_lines(note for note in result.notes if note.code not in (LEAKAGE, SHORTCUT))
    backbone = result.fit.model.backbone
    lines += ["", f"{backbone.name}, {backbone.preprocessing.size} px, {backbone.dtype}", timing_text(result.seconds)]
    lines.append(f"Wrote {out}" + ("" if figures is None else f", and figures to {figures}"))
    return "\n".join(lines)


def _columns(result: TrainingResult) -> dict[str, Evaluation]:
    """The evaluations by their names in the metrics table, the headline first."""
    test = {} if result.test is None else test_columns(result.test.evaluation, result.test.leakage)
    headline = dict(list(test.items())[:1])
    columns = {"train (out-of-fold)": result.fit.evaluation}
    if result.training_run is not None and result.learning is not None:
        name = "validation" if result.evidence == "validation" else "out-of-fold"
        columns = {name: result.fit.evaluation, "train": result.learning.train}
    return {**headline, **columns, **test}


def _training_run_lines(result: TrainingResult, network: NetworkResult) -> list[str]:
    history, tuning = network.run.history, network.run.tuning
    lines = [] if tuning is None else tuning_lines(tuning)
    lines += [*_curve_lines(history), *_epoch_lines(history)]
    return [*lines, *_accuracy_difference(result, history)]


def _accuracy_difference(result: TrainingResult, history: "TrainingHistory") -> list[str]:
    """A sentence where the validation accuracy of the best epoch differs from the one in the metrics table."""
    if result.evidence != "validation" or result.training_run is None:
        return []
    epoch = history.epochs[history.best_epoch - 1]["val_accuracy"]
    final = result.fit.evaluation.metrics["accuracy"].value
    if f"{epoch:.4f}" == f"{final:.4f}":
        return []
    weights = "weight interpolation, " if result.training_run.interpolation is not None else ""
    return [
        f"Validation accuracy is {epoch:.4f} in epoch {history.best_epoch} at threshold 0.5, and {final:.4f} after {weights}"
        "calibration and the choice of the threshold."
    ]


def _curve_lines(history: "TrainingHistory") -> list[str]:
    lines = [""]
    for metric in ("loss", "accuracy"):
        series = {split: [row[f"{split}_{metric}"] for row in history.epochs] for split in _SPLIT_NAMES}
        curves = sparklines(list(series.values()))
        for (split, values), curve in zip(series.items(), curves, strict=True):
            title = metric if split == "train" else ""
            ends = f"{number_text(values[0])} to {number_text(values[-1])}"
            lines.append(f"{title:8}  {_SPLIT_NAMES[split]:10}  {curve}  {ends}")
    return lines


def _epoch_lines(history: "TrainingHistory") -> list[str]:
    """The table of epochs, at most `_MAX_EPOCHS` of them."""
    epochs = _select_epochs(len(history.epochs), history.best_epoch)
    rows = [
        [
            f"{row['epoch']:d}",
            *(number_text(row[key]) for key in ("train_loss", "train_accuracy", "val_loss", "val_accuracy")),
            f"{row['learning_rate']:.2g}",
            "best" if row["epoch"] == history.best_epoch else "",
        ]
        for row in history.epochs
        if row["epoch"] in epochs
    ]
    names = ["epoch", "train loss", "train accuracy", "val loss", "val accuracy", "learning rate", ""]
    lines = ["", *table([names, *rows], left=0)]
    if len(epochs) < len(history.epochs):
        lines.append(f"{len(epochs)} of {len(history.epochs)} epochs; all are in history.csv")
    return lines


def _select_epochs(count: int, best: int) -> set[int]:
    """The epochs of the table: all or, of many, the first, the best with its neighbours, the last, and some evenly between."""
    if count <= _MAX_EPOCHS:
        return set(range(1, count + 1))
    step = next(step for step in (2, 5, 10, 20, 50, 100, count) if count / step <= _MAX_EPOCHS / 2)
    return {1, *range(step, count, step), best - 1, best, best + 1, count} & set(range(1, count + 1))
