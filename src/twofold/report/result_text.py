"""Results as people read them, and as JSON and CSV."""

import json
import math
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twofold.audit.leakage import LEAKAGE, Leakage
from twofold.core.files import printable
from twofold.core.notes import Note
from twofold.evaluation import PER_CLASS_METRICS, Comparison, Evaluation, Interval
from twofold.report.sparkline import sparklines
from twofold.workflows.evaluate import EvaluationResult
from twofold.workflows.training_result import TrainingResult

if TYPE_CHECKING:
    from twofold.learning.trainer import TrainingHistory
    from twofold.learning.tuning.trial import Setting, Tuning

_SHOWN = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "precision": "precision",
    "recall": "recall",
    "specificity": "specificity",
    "f1": "F1",
    "mcc": "MCC",
    "roc_auc": "ROC AUC",
    "average_precision": "average precision",
    "log_loss": "loss (log-loss)",
    "brier": "Brier score",
    "ece": "calibration error",
}


_MOST_SETTINGS = 20
_MOST_EPOCHS = 24


def as_text(result: Any) -> str:
    """JSON that people can read; what is undefined is null."""
    return json.dumps(result, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def print_json(result: Any) -> None:
    """In ASCII, so that any terminal shows it and any program reads it, whatever files are called."""
    sys.stdout.write(json.dumps(result, indent=1, allow_nan=False) + "\n")


def print_training(training: TrainingResult, out: Path, figures: Path | None = None) -> None:
    backbone, seconds = training.fit.model.backbone, training.seconds
    if training.test is not None:
        _print_leaks(training.test.leakage)
    _print(_counted("train", training.dataset.as_json()))
    if training.test is not None:
        _print(_counted("test", training.test.dataset.as_json()))
    learned = f"learned in {seconds['learn']:.1f} s, " if training.learning is not None else ""
    _print(
        f"{backbone.name} at {backbone.preprocessing.size} px in {backbone.dtype}: "
        f"{learned}observed in {seconds['embed']:.1f} s, fitted in {seconds['fit']:.1f} s, {seconds['total']:.1f} s in all"
    )
    columns = {"train (out-of-fold)": training.fit.evaluation}
    if training.learning is not None:
        training_run = training.learning.run
        if training_run.tuning is not None:
            _print_tuning(training_run.tuning)
        _print_epochs(training_run.history)
        if training_run.better:
            scored = "validation" if training_run.folds is None else "out-of-fold"
            columns = {"train": training.learning.train, scored: training.fit.evaluation}
    if training.test is not None:
        columns |= _tested(training.test.evaluation, training.test.leakage)
    _print_metrics(columns)
    name = list(columns)[-1]
    if training.test is not None:
        name, _ = training.test.leakage.headline(training.test.evaluation)
    _print_report(name, columns[name])
    _print_notes(training.notes)
    drawn = "" if figures is None else f", and figures into {figures}"
    _print(f"\nWrote {printable(f'{out}{drawn}')}")


def _print_tuning(tuning: "Tuning") -> None:
    """What was tried, the best first."""
    ends = {"pruned": "stopped, others were better", "failed": "failed, its loss was no number"}
    names = list(tuning.trials[0].settings)
    _print(
        f"\n{'setting':>7}  {'validation loss':>15}  {'accuracy':>8}  {'epochs':>6}" + _cells(map(_named, names), names)
    )
    order = sorted(
        tuning.trials, key=lambda trial: (trial.state != "complete", trial.state == "failed", trial.loss or 0)
    )
    for trial in order[:_MOST_SETTINGS]:
        reached = f"{_fixed(trial.loss):>15}  {_fixed(trial.accuracy):>8}  {trial.epochs:6d}"
        settings = _cells((_short(trial.settings[name]) for name in names), names)
        said = [
            *(["best"] if trial.number == tuning.best else []),
            *(["the recipe as it is"] if trial.number == 1 else []),
            *([ends[trial.state]] if trial.state in ends else []),
        ]
        _print(f"{trial.number:7d}  {reached}{settings}  {', '.join(said)}".rstrip())
    if len(order) > _MOST_SETTINGS:
        _print(f"{'…':>7}  {len(order) - _MOST_SETTINGS} more stand in tuning.csv")
    if tuning.importances:
        fractions = ", ".join(f"{_named(name)} {fraction:.0%}" for name, fraction in tuning.importances.items())
        _print(f"what mattered, as shares: {fractions}")


def _print_epochs(learned: "TrainingHistory") -> None:
    """The course of learning: as a curve, then a line for every epoch, or where these are many, for some of them."""
    history = learned.epochs
    _print("")
    for measure in ("loss", "accuracy"):
        series = {part: [row[f"{part}_{measure}"] for row in history] for part in ("train", "val")}
        drawn = sparklines(list(series.values()))
        for (part, values), line in zip(series.items(), drawn, strict=True):
            name = {"train": "train", "val": "validation"}[part]
            _print(f"{measure if part == 'train' else '':8}  {name:10}  {line}  {values[0]:.4f} to {values[-1]:.4f}")
    _print(
        f"\n{'epoch':>5}  {'train loss':>10}  {'accuracy':>8}  {'validation loss':>15}  {'accuracy':>8}  {'rate':>8}"
    )
    shown = _telling(len(history), learned.best)
    for row in history:
        if row["epoch"] not in shown:
            continue
        best = "  best" if row["epoch"] == learned.best else ""
        _print(
            f"{row['epoch']:5d}  {row['train_loss']:10.4f}  {row['train_accuracy']:8.4f}  {row['val_loss']:15.4f}  "
            f"{row['val_accuracy']:8.4f}  {row['rate']:8.2g}{best}"
        )
    if len(shown) < len(history):
        _print(f"{'…':>5}  {len(shown)} of {len(history)} epochs; history.csv has all")


def _telling(count: int, best: int) -> set[int]:
    """Epochs to show: all, or when they are many, the first, the best with its neighbours, the last, and some evenly between."""
    if count <= _MOST_EPOCHS:
        return set(range(1, count + 1))
    step = next(step for step in (2, 5, 10, 20, 50, 100, count) if count / step <= _MOST_EPOCHS / 2)
    return {1, *range(step, count, step), best - 1, best, best + 1, count} & set(range(1, count + 1))


def _cells(values: Iterable[str], names: Sequence[str]) -> str:
    return "".join(f"  {value:>{max(8, len(name))}}" for value, name in zip(values, names, strict=True))


def _named(name: str) -> str:
    return name.replace("_", " ")


def _short(value: "Setting | None") -> str:
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _fixed(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}" if value < 1000 else f"{value:.2e}"


def print_testing(testing: EvaluationResult, out: Path | None) -> None:
    _print_leaks(testing.leakage)
    _print(_counted("test", testing.data))
    columns = _tested(testing.evaluation, testing.leakage)
    shown = dict(list(columns.items())[:1])
    if testing.second is not None:
        shown = columns = {"first": testing.evaluation, "second": testing.second}
    if testing.leakage.unseen is not None and testing.second_unseen is not None:
        shown = {"first (unseen)": testing.leakage.unseen, "second (unseen)": testing.second_unseen}
        _print_metrics(shown)
        columns = {f"{name} (inflated)": evaluation for name, evaluation in columns.items()}
    _print_metrics(columns)
    if testing.comparison is not None:
        which = "the same pictures" if testing.second_unseen is None else "test (unseen)"
        _print_comparison(testing.comparison, which)
    for name, evaluation in shown.items():
        _print_report(name, evaluation)
    _print_notes(testing.notes)
    if out is not None:
        _print(f"\nWrote {printable(str(out))}")


def _counted(what: str, data: dict[str, Any]) -> str:
    counts = ", ".join(f"{count} {name}" for name, count in data["counts"].items())
    skipped = f", {data['skipped']} skipped" if data["skipped"] else ""
    return f"{what}: {data['images']} files, {data['used']} used{skipped}: {counts} (positive: {data['positive']})"


def _print_metrics(columns: dict[str, Evaluation]) -> None:
    """The evaluations side by side, each number with its 95% interval; what speaks of one class names it."""
    (_, positive), *_ = (evaluation.classes for evaluation in columns.values())
    names = {key: f"{text} ({positive})" if key in PER_CLASS_METRICS else text for key, text in _SHOWN.items()}
    width = max(map(len, names.values()))
    _print("\n" + f"{'':{width}}" + "".join(f"  {name:26}" for name in columns).rstrip())
    for key, text in names.items():
        cells = "".join(f"  {_interval(evaluation.metrics[key]):26}" for evaluation in columns.values())
        _print(f"{text:{width}}{cells}".rstrip())


def _interval(value: Interval) -> str:
    if math.isnan(value.value):
        return "undefined"
    return f"{value.value:.4f} ({value.low:.4f}–{value.high:.4f})"


def _print_report(name: str, evaluation: Evaluation) -> None:
    """Confusion matrix, classification report, and the answers that nearly went the other way."""
    negative, positive = evaluation.classes
    cells, width = evaluation.confusion, max(12, *(len(c) for c in evaluation.classes))
    _print(f"\n{name}, confusion matrix: a row a true class, a column an answer")
    _print(f"{'':{width}}  {negative:>{width}}  {positive:>{width}}")
    for label, row in ((negative, (cells.tn, cells.fp)), (positive, (cells.fn, cells.tp))):
        _print(f"{label:{width}}  {row[0]:>{width}}  {row[1]:>{width}}")
    _print(f"\n{'':{width}}  {'precision':>9}  {'recall':>9}  {'F1':>9}  {'support':>9}")
    for label, report in evaluation.per_class.items():
        rates = "".join(f"  {_rate(rate.value):>9}" for rate in (report.precision, report.recall, report.f1))
        _print(f"{label:{width}}{rates}  {report.support:9d}")
    _print("\n" + _hesitant(evaluation))


def _rate(value: float) -> str:
    return "undefined" if math.isnan(value) else f"{value:.4f}"


def _hesitant(evaluation: Evaluation) -> str:
    near, best = evaluation.borderline, evaluation.best_threshold
    said = (
        f"threshold {evaluation.rule.threshold:.4f}: {near.images} answers lie within {near.within} of it, "
        f"{near.errors} of them wrong.\n"
    )
    if best is None:
        return said + f"No test image is of {evaluation.missing[0]}, so no other threshold can be judged."
    if best.gain <= 0:
        return said + "No other threshold would have been more accurate here."
    return said + (
        f"Best here would have been {best.value:.4f}: {best.repaired} more right, {best.spoiled} more wrong, "
        f"accuracy +{best.gain:.4f}; that is {'' if best.more_than_noise else 'no '}more than noise (p = {best.p_value:.2g})."
    )


def _print_comparison(comparison: Comparison, which: str) -> None:
    _print(f"\nsecond minus first, on {which}")
    for key, value in comparison.differences.items():
        told = f"{value.value:+.4f} ({value.low:+.4f} to {value.high:+.4f})"
        _print(f"{_SHOWN[key]:18}  {'undefined' if math.isnan(value.value) else told}")
    _print(
        f"right only with the second: {comparison.repaired}, only with the first: {comparison.spoiled}; "
        f"p = {comparison.p_value:.2g}"
    )


def _print_leaks(leakage: Leakage) -> None:
    """First and loudest: where test pictures were trained on, no number below means what it says."""
    for note in leakage.notes():
        _print(f"WARNING: {note.text}\n")


def _tested(evaluation: Evaluation, leakage: Leakage) -> dict[str, Evaluation]:
    """The columns of a test: first what it is judged by, then all pictures, where these are not the same."""
    name, judged = leakage.headline(evaluation)
    return {name: judged} if judged is evaluation else {name: judged, "test (inflated)": evaluation}


def _print_notes(notes: Sequence[Note]) -> None:
    if any(note.code != LEAKAGE for note in notes):
        _print("")
    for note in notes:
        if note.code == LEAKAGE:  # said above
            continue
        _print(f"note: {printable(note.text)}")


def _print(text: str) -> None:
    sys.stdout.write(printable(text) + "\n")
