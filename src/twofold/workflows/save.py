"""save: from a training result to the files of a bundle."""

import csv
import platform
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from twofold.audit import write_file_report
from twofold.audit.leakage import LEAKAGE
from twofold.bundle.card import decision_sentences, render_card
from twofold.bundle.held_out_scores import HeldOutScores, write_test_scores
from twofold.bundle.storage import new_bundle_folder, write_model
from twofold.core.files import open_replacement, printable, write_errors
from twofold.core.json_text import json_text
from twofold.core.privacy import change_texts, public_word, relative_to
from twofold.duplicates import index_fingerprints, write_index
from twofold.workflows.monitors import trait_urns
from twofold.workflows.training_result import TestResult, TrainingResult, crop_choices

if TYPE_CHECKING:
    from twofold.learning.tuning.trial import Tuning

_LIBRARIES: Final = ("numpy", "pillow", "onnx", "openvino", "scikit-learn")
_TRAINING_LIBRARIES: Final = ("torch", "lightning")

PublicPath = Callable[[str], str]
"""Makes a path, or the paths in a text, relative to DATA."""


def save(training: TrainingResult, path: Path, *, command: Sequence[str] = (), force: bool = False) -> None:
    """Writes the bundle at `path`, whole or not at all. Raises UsageError where `path` exists and `force` is False."""
    public_path = public_paths(training)
    with write_errors(path), new_bundle_folder(path, force=force) as folder:
        _write_file_report(training, public_path, folder / "files.csv")
        _write_fingerprints(training, public_path, folder / "fingerprints.csv")
        _write_scores(training, public_path, folder / "scores.csv")
        if training.test is not None:
            scores = _test_scores(training.test, public_path)
            write_test_scores(scores, training.fit.model.classes, folder / "test_scores.csv")
        if training.learning is not None:
            _write_history(training.learning.run.history.epochs, folder / "history.csv")
            if training.learning.run.tuning is not None:
                _write_tuning(training.learning.run.tuning, folder / "tuning.csv")
        result = change_texts(training.as_json(), public_path)
        _write_text(json_text(result), folder / "evaluation.json")
        _write_text(render_card(_card_values(training, result, path.name)), folder / "README.md")
        write_model(folder, training.fit.model, _record(training, command))


def public_paths(training: TrainingResult) -> PublicPath:
    """A function that makes paths relative to DATA. The location of DATA is private, and bundles are passed on."""
    file_lists = [training.dataset.file_list]
    if training.test is not None:
        file_lists.append(training.test.dataset.file_list)
    paths = [str(path) for file_list in file_lists for path in file_list.paths]
    paths += [str(skip.path) for file_list in file_lists for skip in file_list.skips]
    roots = [root.parent if root.suffix.lower() == ".csv" else root for root in training.roots]
    return relative_to(roots, paths)


def _write_text(text: str, path: Path) -> None:
    path.write_text(text, encoding="utf-8", errors="backslashreplace")


def _write_file_report(training: TrainingResult, public_path: PublicPath, path: Path) -> None:
    rows = (
        replace(row, path=public_path(row.path), duplicate_of=row.duplicate_of and public_path(row.duplicate_of))
        for row in training.audit.file_report()
    )
    write_file_report(rows, path)


def _write_fingerprints(training: TrainingResult, public_path: PublicPath, path: Path) -> None:
    paths, fingerprints = training.dataset.usable_fingerprints
    with open_replacement(path) as file:
        write_index(index_fingerprints(list(map(public_path, paths)), fingerprints), file)


def _write_scores(training: TrainingResult, public_path: PublicPath, path: Path) -> None:
    dataset, scores = training.dataset, training.fit.scores
    files = [dataset.file_list.files[row] for row in dataset.table.used[scores.rows]]
    groups = dataset.groups[scores.rows]
    numbers = _score_columns(training)
    columns = zip(files, groups, scores.folds, *numbers, strict=True)
    with path.open("w", encoding="utf-8", newline="", errors="backslashreplace") as file:
        rows = csv.writer(file)
        rows.writerow(("path", "label", "group", "fold", "logit", "probability", "familiarity"))
        rows.writerows(
            (public_path(str(entry.path)), entry.label, group, fold, *map(_number_text, scores_of_image))
            for entry, group, fold, *scores_of_image in columns
        )


def _score_columns(training: TrainingResult) -> list[Any]:
    """Logit, probability and familiarity of each scored image, NaN where it is unknown."""
    fit = training.fit
    familiarity = np.full(len(fit.scores.rows), np.nan) if fit.familiarity is None else fit.familiarity
    return [fit.scores.logits, fit.evaluation.probabilities, familiarity]


def _test_scores(test: TestResult, public_path: PublicPath) -> HeldOutScores:
    """The scores of all valid test images, also of those that duplicate training images."""
    dataset, evaluation = test.dataset, test.evaluation
    rows = dataset.table.used[dataset.valid]
    metadata = [entry for row in rows.tolist() if (entry := dataset.table.metadata[row]) is not None]
    unknown = np.full(len(rows), np.nan)
    return HeldOutScores(
        tuple(public_path(str(dataset.file_list.files[row].path)) for row in rows.tolist()),
        evaluation.labels,
        dataset.groups[dataset.valid],
        evaluation.probabilities,
        unknown if evaluation.familiarity is None else evaluation.familiarity,
        tuple(entry.bytes for entry in metadata),
        tuple(entry.sha256 for entry in metadata),
    )


def _number_text(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.6g}"


def _write_history(epochs: Sequence[dict[str, float]], path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.DictWriter(file, epochs[0])
        rows.writeheader()
        rows.writerows({name: f"{value:.6g}" for name, value in epoch.items()} for epoch in epochs)


def _write_tuning(tuning: "Tuning", path: Path) -> None:
    names = list(tuning.trials[0].settings)
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("trial", "state", "val_loss", "val_accuracy", "epochs", *names))
        for trial in tuning.trials:
            values = ("" if value is None else f"{value:.6g}" for value in (trial.loss, trial.accuracy))
            settings = (trial.settings[name] for name in names)
            rows.writerow((trial.number, trial.state, *values, trial.epochs, *settings))


def _record(training: TrainingResult, command: Sequence[str]) -> dict[str, Any]:
    """The content of bundle.json beside the model itself."""
    libraries = (*_LIBRARIES, *(_TRAINING_LIBRARIES if training.learning is not None else ()))
    return {
        "twofold": version("twofold"),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": [public_word(word) for word in command],
        "options": change_texts(_paths_as_text(asdict(training.options)), public_word),
        "seed": training.options.cross_validation.seed,
        "versions": {"python": platform.python_version(), **{name: version(name) for name in libraries}},
        "data": training.dataset.as_json(),
        "traits": {name: urn.as_json() for name, urn in trait_urns(training.dataset).items()},
        "evidence": training.evidence,
        "C": training.fit.C,
        **crop_choices(training.crops),
        "dtype_check": None if training.dtype_check is None else asdict(training.dtype_check),
    }


def _paths_as_text(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _paths_as_text(entry) for key, entry in value.items()}
    return printable(str(value)) if isinstance(value, Path) else value


def _card_values(training: TrainingResult, result: dict[str, Any], name: str) -> dict[str, Any]:
    model = training.fit.model
    return {
        "name": name,
        "result": result,
        "evidence": training.evidence,
        "trained": training.training_run is not None,
        "scored_images": len(training.fit.scores.rows),
        "test_columns": _test_columns(training),
        "negative": model.classes[0],
        "features": model.head.weights.size,
        "rule": model.rule,
        "decision": decision_sentences(model.rule, model.classes),
        "leakage_notes": [note for note in result["notes"] if note["code"] == LEAKAGE],
        "notes": [note for note in result["notes"] if note["code"] != LEAKAGE],
        "version": version("twofold"),
    }


def _test_columns(training: TrainingResult) -> list[dict[str, Any]]:
    """The columns of the test set: the headline, then all images where some of them duplicate training images."""
    if training.test is None:
        return []
    name, headline = training.test.leakage.headline(training.test.evaluation)
    columns = {name: headline, **({} if name == "test" else {"test (inflated)": training.test.evaluation})}
    return [
        {
            "name": name,
            "images": len(evaluation.labels),
            "groups": evaluation.group_count,
            "metrics": evaluation.as_json()["metrics"],
        }
        for name, evaluation in columns.items()
    ]
