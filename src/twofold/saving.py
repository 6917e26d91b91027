"""A training -> the files of a bundle."""

import csv
import json
import platform
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twofold.bundle import write_model, writing
from twofold.copies import known, write_known
from twofold.data import write_ledger
from twofold.training import Training
from twofold.writing import printable, replacing

if TYPE_CHECKING:
    from twofold.learning.tuning.settings import Tuning

_LIBRARIES = ("numpy", "pillow", "onnx", "openvino", "scikit-learn")
_LEARNING = ("torch", "lightning")


def save(training: Training, path: Path, *, command: Sequence[str] = (), force: bool = False) -> None:
    """Writes the bundle at `path`, whole or not at all. UsageError where `path` is taken and `force` is off."""
    with writing(path, force=force) as folder:
        write_ledger(training.audit.ledger(), folder / "ledger.csv")
        with replacing(folder / "hashes.csv") as file:
            write_known(known(*training.sample.learned), file)
        _write_scores(training, folder / "scores.csv")
        if training.learning is not None:
            _write_history(training.learning.course.learned.history, folder / "learning.csv")
            if training.learning.course.tuning is not None:
                _write_tuning(training.learning.course.tuning, folder / "tuning.csv")
        results = json.dumps(training.as_json(), indent=1, ensure_ascii=False)
        (folder / "evaluation.json").write_text(results + "\n", encoding="utf-8", errors="backslashreplace")
        (folder / "README.md").write_text(_card(training, path), encoding="utf-8", errors="backslashreplace")
        write_model(folder, training.fit.model, _record(training, command))


def _record(training: Training, command: Sequence[str]) -> dict[str, Any]:
    libraries = (*_LIBRARIES, *(_LEARNING if training.learning is not None else ()))
    return {
        "twofold": version("twofold"),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": [printable(word) for word in command],
        "options": _plain(asdict(training.options)),
        "seed": training.options.decision.seed,
        "versions": {"python": platform.python_version(), **{name: version(name) for name in libraries}},
        "data": training.sample.as_json(),
        "threshold": training.fit.threshold.as_json(),
        "scored": training.scored,
        "strength": training.fit.strength,
        "precision_check": None if training.precision is None else asdict(training.precision),
    }


def _plain(value: Any) -> Any:
    """The same, with paths as text."""
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    return printable(str(value)) if isinstance(value, Path) else value


def _write_scores(training: Training, path: Path) -> None:
    sample, fit = training.sample, training.fit
    paths, used = sample.paths, sample.table.used
    named = ((paths[row], sample.listing.items[used[row]].label) for row in fit.scores.rows)
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


def _card(training: Training, path: Path) -> str:
    import jinja2  # here, because answering does not need it

    template = (files("twofold") / "card.md.jinja").read_text(encoding="utf-8")
    environment = jinja2.Environment(trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined)
    return environment.from_string(template).render(
        name=path.name,
        training=training,
        result=training.as_json(),
        tested=_tested(training),
        version=version("twofold"),
    )


def _tested(training: Training) -> list[dict[str, Any]]:
    """The columns of a test in the card: first what it is judged by, then all pictures, where these are not the same."""
    if training.test is None:
        return []
    name, judged = training.test.leaks.headline(training.test.evaluation)
    columns = {name: judged, **({} if name == "test" else {"test (inflated)": training.test.evaluation})}
    return [
        {"name": name, "images": len(column.labels), "metrics": column.as_json()["metrics"]}
        for name, column in columns.items()
    ]
