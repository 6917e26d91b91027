"""evaluate: one or two bundles on labelled images, with the comparison of two."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property, reduce
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twofold.audit.leakage import Leakage, LeakedImage, find_leakage, unseen_rows
from twofold.bundle.model import Model
from twofold.bundle.storage import Bundle
from twofold.core.data_frame import records_frame
from twofold.core.errors import UsageError
from twofold.core.notes import Note
from twofold.core.options import DataOptions
from twofold.core.timing import Clock
from twofold.data import choose_positive
from twofold.dataset.labelled import LabelledDataset, alphabetical, embed_files, list_test_files
from twofold.embedding import Runtime
from twofold.evaluation import Comparison, Evaluation, compare, with_positive
from twofold.evaluation.notebook_view import result_html
from twofold.workflows.image_decisions import (
    DecisionDifference,
    ImageDecision,
    decision_differences,
    image_decisions,
)
from twofold.workflows.sliced_evaluation import evaluate_test


@dataclass(frozen=True, eq=False)
class EvaluationResult:
    """The evaluation of one bundle on a test set, and of a second one where two are compared.

    `dataset` holds the images that are valid for both. Where test images duplicate training images, `leakage` has the first
    model's evaluation without them, `second_unseen` the second's, and `comparison` leaves them out, too.
    """

    dataset: LabelledDataset
    evaluation: Evaluation
    second: Evaluation | None
    comparison: Comparison | None
    leakage: Leakage
    second_unseen: Evaluation | None
    seconds: dict[str, float]
    notes: tuple[Note, ...] = field(repr=False)
    paths: tuple[str, ...] = field(repr=False)  # of the evaluated images, (n,)
    folds: tuple[dict[str, int], ...] = field(repr=False)  # by model: the folds of leaked images by path

    @property
    def data(self) -> dict[str, Any]:
        """The block "data"."""
        return {**self.dataset.as_json(), "positive": self.evaluation.classes[1]}

    @property
    def unseen(self) -> Evaluation | None:
        """The first model's evaluation without images that duplicate training images; None where no image is left."""
        return self.leakage.unseen if self.leakage.images else self.evaluation

    def decisions(self) -> list[ImageDecision]:
        """The decision of the first model for each image."""
        return self._decisions(self.evaluation, self.folds[0])

    def second_decisions(self) -> list[ImageDecision]:
        """The same of the second model; empty where there is none."""
        return [] if self.second is None else self._decisions(self.second, self.folds[1])

    def _decisions(self, evaluation: Evaluation, folds: dict[str, int]) -> list[ImageDecision]:
        duplicate_of = {image.path: image.duplicate_of for image in self.leakage.images}
        return image_decisions(self.paths, evaluation, duplicate_of, folds)

    @cached_property
    def differences(self) -> list[DecisionDifference]:
        """The images of `comparison` on which the two models differ."""
        if self.second is None:
            return []
        if self.leakage.unseen is None or self.second_unseen is None:
            return decision_differences(self.paths, self.evaluation, self.second)
        leaked = {image.path for image in self.leakage.images}
        unseen = [path for path in self.paths if path not in leaked]
        return decision_differences(unseen, self.leakage.unseen, self.second_unseen)

    def to_pandas(self) -> Any:
        """The decisions of the first model as a pandas.DataFrame, with the columns of `ImageDecision`.

        Raises UsageError where pandas is not installed.
        """
        return records_frame(self.decisions(), ImageDecision)

    def _repr_html_(self) -> str:
        column, headline = self.leakage.headline(self.evaluation)
        evaluations = {column: headline}
        if self.second is not None:
            evaluations = {"first": headline, "second": self.second_unseen or self.second}
        return result_html(evaluations, [note.text for note in self.notes])

    def as_json(self) -> dict[str, Any]:
        """The result as JSON."""
        second: dict[str, Any] = {}
        if self.second is not None and self.comparison is not None:
            images = [asdict(image) for image in self.differences]
            second = {"second": self.second.as_json(), "comparison": {**self.comparison.as_json(), "differing": images}}
        if self.second_unseen is not None:
            second["second"]["leakage"] = {"test_unseen": self.second_unseen.as_json()}
        return {
            "data": self.data,
            **self.evaluation.as_json(),
            **self.leakage.as_json(),
            **second,
            "seconds": self.seconds,
            "notes": [asdict(note) for note in self.notes],
        }


def evaluate_bundles(
    bundles: Sequence[Bundle], data: Path, options: DataOptions, runtime: Runtime, *, positive: str | None
) -> EvaluationResult:
    """The evaluation of one bundle, or of two with the same classes, on the labelled images of DATA.

    `positive` is the class of the per-class metrics, by default the first model's positive class. Decisions do not change.
    """
    clock, models = Clock(), [bundle.model for bundle in bundles]
    classes = models[0].classes
    if any(model.classes != classes for model in models):
        names = " and ".join(" / ".join(model.classes) for model in models)
        raise UsageError(f"The bundles have different classes, {names}: evaluate each alone.")
    notes = [alphabetical(classes)] if positive is None and is_alphabetical(bundles[0]) else []
    positive = classes[1] if positive is None else choose_positive(classes, positive)
    file_list = list_test_files(classes, data, options)
    datasets = []
    for model in models:
        with clock("embed"):
            datasets.append(embed_files(file_list, file_list.paths, model.engine(runtime), runtime, what="test"))
        datasets[-1].check_any()
    rows = _rows_in_all(datasets)
    evaluations = [
        with_positive(positive, evaluate_test(model, dataset, counted_rows))
        for model, dataset, counted_rows in zip(models, datasets, rows, strict=True)
    ]
    with clock("audit"):
        leaked = [
            find_leakage(dataset, bundle.fingerprint_index()) for bundle, dataset in zip(bundles, datasets, strict=True)
        ]
        leakage = [
            model_leakage.with_positive(positive) for model_leakage in _measure_leakage(models, datasets, leaked, rows)
        ]
        folds = tuple(map(_folds, bundles, leaked))
    unseen = [model_leakage.unseen for model_leakage in leakage if model_leakage.unseen is not None]
    if len(unseen) < len(models):
        unseen = []
    has_second = len(models) > 1
    columns = 'the columns "first (unseen)" and "second (unseen)"' if has_second else 'the column "test (unseen)"'
    embedding_notes = dict.fromkeys(note for dataset in datasets for note in dataset.table.notes)
    return EvaluationResult(
        datasets[0],
        evaluations[0],
        evaluations[1] if has_second else None,
        _compare(*(unseen or evaluations)) if has_second else None,
        leakage[0],
        unseen[1] if has_second and unseen else None,
        clock.seconds(),
        (*leakage[0].notes(columns), *notes, *datasets[0].test_notes(), *_skip_notes(datasets, rows), *embedding_notes),
        tuple(datasets[0].paths[row] for row in rows[0].tolist()),
        folds,
    )


def is_alphabetical(bundle: Bundle) -> bool:
    """Whether the positive class of the bundle's model is the default, the second in alphabetical order."""
    options = bundle.record.get("options")
    chosen = isinstance(options, dict) and options.get("positive") is not None
    return not chosen and bundle.model.classes[1] == max(bundle.model.classes)  # labels 9 and 10 are sorted as numbers


def measure_leakage(
    model: Model, test: LabelledDataset, leaked_images: Mapping[int, LeakedImage], rows: NDArray[np.intp]
) -> Leakage:
    """The leaked images among these usable rows of a test set, and the evaluation on the rest."""
    remaining_rows = unseen_rows(test, leaked_images, rows)
    images = tuple(leaked_images[row] for row in test.table.used[rows].tolist() if row in leaked_images)
    return Leakage(images, evaluate_test(model, test, remaining_rows) if images and len(remaining_rows) else None)


def _rows_in_all(datasets: Sequence[LabelledDataset]) -> list[NDArray[np.intp]]:
    """The usable rows of each dataset that are valid in all. Label conflicts depend on the model input, and files may vanish."""
    file_rows = reduce(np.intersect1d, [dataset.table.used[dataset.valid] for dataset in datasets])
    return [np.searchsorted(dataset.table.used, file_rows) for dataset in datasets]


def _skip_notes(datasets: Sequence[LabelledDataset], rows: Sequence[NDArray[np.intp]]) -> list[Note]:
    count = len(reduce(np.union1d, [dataset.table.used[dataset.valid] for dataset in datasets])) - len(rows[0])
    text = f"Skipped images that are valid for only one of the bundles: {count}."
    return [Note("valid-for-one-bundle", text)] if count else []


def _measure_leakage(
    models: Sequence[Model],
    datasets: Sequence[LabelledDataset],
    leaked: Sequence[Mapping[int, LeakedImage]],
    rows: Sequence[NDArray[np.intp]],
) -> list[Leakage]:
    """For each model, the test images that duplicate training images of any of the models."""
    leaked_images: dict[int, LeakedImage] = {}
    for images in reversed(leaked):
        leaked_images |= images
    return [
        measure_leakage(model, dataset, leaked_images, counted_rows)
        for model, dataset, counted_rows in zip(models, datasets, rows, strict=True)
    ]


def _folds(bundle: Bundle, leaked: Mapping[int, LeakedImage]) -> dict[str, int]:
    """The folds of the training images that these test images duplicate, by the path of the test image."""
    folds = bundle.folds() if leaked else {}
    return {image.path: folds[image.duplicate_of] for image in leaked.values() if image.duplicate_of in folds}


def _compare(first: Evaluation, second: Evaluation) -> Comparison:
    scores = (first.probabilities, first.rule), (second.probabilities, second.rule)
    return compare(first.labels, *scores, first.groups)
