"""A training -> the files of a bundle."""

import csv
import json
import platform
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twofold.audit import write_file_report
from twofold.bundle.storage import write_model, writing
from twofold.core.files import printable, replacing, write_errors
from twofold.core.privacy import change_texts, public_address, relative_to, without_home
from twofold.duplicates import index_fingerprints, write_index
from twofold.workflows.train import TrainingResult

if TYPE_CHECKING:
    from twofold.learning.tuning.trial import Tuning

_LIBRARIES = ("numpy", "pillow", "onnx", "openvino", "scikit-learn")
_LEARNING = ("torch", "lightning")


def save(training: TrainingResult, path: Path, *, command: Sequence[str] = (), force: bool = False) -> None:
    """Writes the bundle at `path`, whole or not at all. UsageError where `path` is taken and `force` is off."""
    shown = _shown_paths(training)
    with write_errors(path), writing(path, force=force) as folder:
        met = training.audit.file_report()
        rows = (replace(row, path=shown(row.path), nearest=row.nearest and shown(row.nearest)) for row in met)
        write_file_report(rows, folder / "files.csv")
        learned, fingerprints = training.dataset.valid_fingerprints
        with replacing(folder / "fingerprints.csv") as file:
            write_index(index_fingerprints(list(map(shown, learned)), fingerprints), file)
        _write_scores(training, shown, folder / "scores.csv")
        if training.learning is not None:
            _write_history(training.learning.training_run.history.epochs, folder / "history.csv")
            if training.learning.training_run.tuning is not None:
                _write_tuning(training.learning.training_run.tuning, folder / "tuning.csv")
        result = change_texts(training.as_json(), shown)
        results = json.dumps(result, indent=1, ensure_ascii=False)
        (folder / "evaluation.json").write_text(results + "\n", encoding="utf-8", errors="backslashreplace")
        (folder / "README.md").write_text(_card(training, result, path), encoding="utf-8", errors="backslashreplace")
        write_model(folder, training.fit.model, _record(training, command))


def _record(training: TrainingResult, command: Sequence[str]) -> dict[str, Any]:
    libraries = (*_LIBRARIES, *(_LEARNING if training.learning is not None else ()))
    return {
        "twofold": version("twofold"),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": [_public(word) for word in command],
        "options": change_texts(_plain(asdict(training.options)), _public),
        "seed": training.options.decision.seed,
        "versions": {"python": platform.python_version(), **{name: version(name) for name in libraries}},
        "data": training.dataset.as_json(),
        "scored": training.scored,
        "C": training.fit.C,
        "dtype_check": None if training.dtype is None else asdict(training.dtype),
    }


def _public(word: str) -> str:
    return without_home(public_address(printable(word)))


def _shown_paths(training: TrainingResult) -> Callable[[str], str]:
    """What makes paths relative to DATA, whose own place is nobody's business: bundles are handed on."""
    listings = [training.dataset.file_list, *([] if training.test is None else [training.test.dataset.file_list])]
    items = [str(item.path) for file_list in listings for item in file_list.files]
    skips = [str(skip.path) for file_list in listings for skip in file_list.skips]
    return relative_to(
        [root.parent if root.suffix.lower() == ".csv" else root for root in training.roots], items + skips
    )


def _plain(value: Any) -> Any:
    """The same, with paths as text."""
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    return printable(str(value)) if isinstance(value, Path) else value


def _write_scores(training: TrainingResult, shown: Callable[[str], str], path: Path) -> None:
    dataset, fit = training.dataset, training.fit
    paths, used = dataset.paths, dataset.table.used
    named = ((shown(paths[row]), dataset.file_list.files[used[row]].label) for row in fit.scores.rows)
    scores = zip(named, fit.scores.folds, fit.scores.logits, fit.evaluation.probabilities, strict=True)
    with path.open("w", encoding="utf-8", newline="", errors="backslashreplace") as file:
        rows = csv.writer(file)
        rows.writerow(("path", "label", "fold", "logit", "probability"))
        rows.writerows((path, label, fold, f"{logit:.6g}", f"{p:.6g}") for (path, label), fold, logit, p in scores)


def _write_history(history: Sequence[dict[str, float]], path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.DictWriter(file, history[0])
        rows.writeheader()
        rows.writerows({name: f"{value:.6g}" for name, value in row.items()} for row in history)


def _write_tuning(tuning: "Tuning", path: Path) -> None:
    names = list(tuning.trials[0].settings)
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("trial", "state", "val_loss", "val_accuracy", "epochs", *names))
        for trial in tuning.trials:
            reached = ("" if value is None else f"{value:.6g}" for value in (trial.loss, trial.accuracy))
            settings = (trial.settings[name] for name in names)
            rows.writerow((trial.number, trial.state, *reached, trial.epochs, *settings))


def _card(training: TrainingResult, result: dict[str, Any], path: Path) -> str:
    import jinja2  # here, because answering does not need it

    template = (files("twofold.bundle") / "card.md.jinja").read_text(encoding="utf-8")
    environment = jinja2.Environment(trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined)
    return environment.from_string(template).render(
        name=path.name,
        training=training,
        result=result,
        tested=_tested(training),
        version=version("twofold"),
    )


def _tested(training: TrainingResult) -> list[dict[str, Any]]:
    """The columns of a test in the card: first what it is judged by, then all pictures, where these are not the same."""
    if training.test is None:
        return []
    name, judged = training.test.leakage.headline(training.test.evaluation)
    columns = {name: judged, **({} if name == "test" else {"test (inflated)": training.test.evaluation})}
    return [
        {"name": name, "images": len(column.labels), "metrics": column.as_json()["metrics"]}
        for name, column in columns.items()
    ]
