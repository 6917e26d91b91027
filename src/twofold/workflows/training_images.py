"""Training images of a bundle: where they are, and its scores of them, by content."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twofold.bundle.storage import Bundle
from twofold.core.errors import DataError
from twofold.core.options import DataOptions


@dataclass(frozen=True, slots=True)
class TrainingScore:
    """The out-of-fold scores of a training image, its label at the training, and the fold that held it out.

    The familiarity is NaN where there is none.
    """

    label: str
    logit: float
    familiarity: float
    fold: int


def find_training_data(bundle: Bundle) -> Path:
    """DATA of the training, as the bundle's command names it. DataError where it is not there."""
    command = [str(word) for word in bundle.record.get("command", [])]
    words = command[command.index("train") + 1 :] if "train" in command else []
    data = Path(words[0]).expanduser() if words and not words[0].startswith("-") else None
    if data is None or not (data.exists() or data.parent.suffix.lower() == ".csv"):
        where = "" if data is None else f"; they were in {data}"
        raise DataError(f"The training images of {bundle.path} are not at hand{where}: give them with `data`.")
    return data


def training_data_options(bundle: Bundle) -> DataOptions:
    """The classes and the label pattern of the training."""
    options = bundle.record.get("options")
    data: Any = options.get("data", {}) if isinstance(options, dict) else {}
    classes, pattern = data.get("classes"), data.get("label_pattern")
    return DataOptions(classes=tuple(classes) if classes else None, label_pattern=pattern)


def training_scores(bundle: Bundle) -> dict[str, TrainingScore]:
    """The out-of-fold scores of the training images, by SHA-256. Raises BundleError where a file is missing or altered."""
    hashes, table = training_hashes(bundle), bundle.scores()
    columns = (column.tolist() for column in (table.labels, table.logits, table.familiarity, table.folds))
    return {
        hashes[path]: TrainingScore(bundle.model.classes[label], logit, familiarity, fold)
        for path, label, logit, familiarity, fold in zip(table.paths, *columns, strict=True)
        if path in hashes
    }


def training_hashes(bundle: Bundle) -> dict[str, str]:
    """The SHA-256 of each training image that was read, by its path in the bundle."""
    return {row["path"]: row["sha256"] for row in bundle.file_rows() if re.fullmatch("[0-9a-f]{64}", row["sha256"])}


def leaked_training_paths(bundle: Bundle) -> set[str]:
    """The paths of training images that have a duplicate in the test set of the training."""
    test = bundle.evaluation().get("test")
    leakage = test.get("leakage", {}) if isinstance(test, dict) else {}
    return {str(image.get("duplicate_of")) for image in leakage.get("images", []) if isinstance(image, dict)}
