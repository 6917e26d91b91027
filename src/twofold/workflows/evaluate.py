"""Bundles on labelled pictures: one evaluation each and, of two, the comparison."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twofold.audit.leakage import Leakage, LeakedImage, find_leakage, unseen_rows
from twofold.bundle.model import Model
from twofold.bundle.storage import Bundle
from twofold.core.errors import UsageError
from twofold.core.notes import Note
from twofold.core.options import DataOptions
from twofold.core.timing import Clock
from twofold.data import choose_positive
from twofold.dataset.labelled import LabelledDataset, alphabetical, embed_files, list_for
from twofold.embedding import Runtime
from twofold.evaluation import Comparison, Evaluation, compare, with_positive


@dataclass(frozen=True, slots=True, eq=False)
class EvaluationResult:
    """`evaluation` is that of the first model; `comparison` and `second` are there where two were tested, on the pictures that
    count for both. Of test pictures that were trained on, `leaks` has the first model's numbers without them, and
    `second_unseen` the second's; then `comparison` is without them, too.
    """

    dataset: LabelledDataset
    evaluation: Evaluation
    second: Evaluation | None
    comparison: Comparison | None
    leakage: Leakage
    second_unseen: Evaluation | None
    seconds: dict[str, float]
    notes: tuple[Note, ...] = field(repr=False)

    @property
    def data(self) -> dict[str, Any]:
        """The block "data"."""
        return {**self.dataset.as_json(), "positive": self.evaluation.classes[1]}

    @property
    def unseen(self) -> Evaluation | None:
        """The first model's, without the pictures that were trained on; None where there are no others."""
        return self.leakage.unseen if self.leakage.images else self.evaluation

    def as_json(self) -> dict[str, Any]:
        """The blocks that `evaluate --json` prints."""
        other = {}
        if self.second is not None and self.comparison is not None:
            other = {"second": self.second.as_json(), "comparison": self.comparison.as_json()}
        if self.second_unseen is not None:
            other["second"]["leakage"] = {"test_unseen": self.second_unseen.as_json()}
        return {
            "data": self.data,
            **self.evaluation.as_json(),
            **self.leakage.as_json(),
            **other,
            "seconds": self.seconds,
            "notes": [asdict(note) for note in self.notes],
        }


def test(
    bundles: Sequence[Bundle], data: Path, options: DataOptions, runtime: Runtime, *, positive: str | None
) -> EvaluationResult:
    """The model of one bundle, or of two with the same classes, on the labelled pictures of DATA.

    The numbers speak of `positive` as the positive class, by default of the first model's; the answers do not change.
    """
    clock, models = Clock(), [bundle.model for bundle in bundles]
    first = models[0]
    chosen, positive = positive, first.classes[1] if positive is None else choose_positive(first.classes, positive)
    if any(model.classes != first.classes for model in models):
        raise UsageError(
            f"The bundles answer different questions: {' and '.join(' / '.join(m.classes) for m in models)}."
        )
    file_list = list_for(first.classes, data, options)
    sources = [item.path for item in file_list.files]
    datasets = []
    for model in models:
        with clock("embed"):
            engine = model.engine(runtime)
            datasets.append(embed_files(file_list, sources, engine, runtime, what="test"))
        datasets[-1].check_any()
    rows = _rows_of_all(datasets)
    scored = [model.evaluate(dataset, own) for model, dataset, own in zip(models, datasets, rows, strict=True)]
    evaluations = [with_positive(positive, evaluation) for evaluation in scored]
    with clock("audit"):
        leakage = [leakage.with_positive(positive) for leakage in _leaks(bundles, datasets, rows)]
    unseen = [each.unseen for each in leakage if each.unseen is not None]
    if len(unseen) < len(models):
        unseen = []
    told = [alphabetical(first.classes)] if chosen is None and is_alphabetical(bundles[0]) else []
    two = len(models) > 1
    return EvaluationResult(
        datasets[0],
        evaluations[0],
        evaluations[1] if two else None,
        _comparison(*(unseen or evaluations)) if two else None,
        leakage[0],
        unseen[1] if two and unseen else None,
        clock.seconds(),
        (*leakage[0].notes(), *told, *datasets[0].test_notes(), *_left_out(datasets, rows), *runtime.notes),
    )


def is_alphabetical(bundle: Bundle) -> bool:
    """Whether nobody chose the positive class of its model, so that the alphabet did."""
    options = bundle.record.get("options")
    decision = options.get("decision") if isinstance(options, dict) else None
    return not (isinstance(decision, dict) and decision.get("positive") is not None)


def _rows_of_all(datasets: Sequence[LabelledDataset]) -> list[NDArray[np.intp]]:
    """Of each sample the usable rows that count in all: conflicts are told by what a network sees, and files may vanish."""
    items = reduce(np.intersect1d, [dataset.table.used[dataset.valid] for dataset in datasets])
    return [np.searchsorted(dataset.table.used, items) for dataset in datasets]


def _left_out(datasets: Sequence[LabelledDataset], rows: Sequence[NDArray[np.intp]]) -> list[Note]:
    count = len(reduce(np.union1d, [dataset.table.used[dataset.valid] for dataset in datasets])) - len(rows[0])
    text = f"Left out, because they count for one of the bundles alone: {count} pictures."
    return [Note("not-for-both", text)] if count else []


def _leaks(
    bundles: Sequence[Bundle], datasets: Sequence[LabelledDataset], rows: Sequence[NDArray[np.intp]]
) -> list[Leakage]:
    """Test pictures that any of the models was trained on, with the numbers of each."""
    leaked: dict[int, LeakedImage] = {}
    for bundle, dataset in zip(bundles, datasets, strict=True):
        leaked = find_leakage(dataset, bundle.trained_on()) | leaked
    return [
        measure_leakage(bundle.model, dataset, leaked, counted)
        for bundle, dataset, counted in zip(bundles, datasets, rows, strict=True)
    ]


def measure_leakage(
    model: Model, test: LabelledDataset, leaked: Mapping[int, LeakedImage], rows: NDArray[np.intp]
) -> Leakage:
    """The leaked images among these usable rows of a test set, and the evaluation on the rest."""
    unseen = unseen_rows(test, leaked, rows)
    images = tuple(leaked[place] for place in test.table.used[rows].tolist() if place in leaked)
    return Leakage(images, model.evaluate(test, unseen) if images and len(unseen) else None)


def _comparison(a: Evaluation, b: Evaluation) -> Comparison:
    return compare(a.labels, (a.probabilities, a.rule), (b.probabilities, b.rule))
