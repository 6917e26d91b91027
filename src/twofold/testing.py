"""Bundles on labelled pictures: one evaluation each and, of two, the comparison."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from twofold.clock import Clock
from twofold.data import Note
from twofold.embedding import Machine
from twofold.errors import UsageError
from twofold.evaluation import Comparison, Evaluation, compare
from twofold.model import Model
from twofold.options import DataOptions
from twofold.sample import Sample, list_for, observe_listing


@dataclass(frozen=True, slots=True, eq=False)
class Testing:
    """`evaluation` is that of the first model; `comparison` and `second` are there where two were tested."""

    sample: Sample
    evaluation: Evaluation
    second: Evaluation | None
    comparison: Comparison | None
    seconds: dict[str, float]
    notes: tuple[Note, ...]

    def as_json(self) -> dict[str, Any]:
        """The blocks that `evaluate --json` prints."""
        other = {}
        if self.second is not None and self.comparison is not None:
            other = {"second": self.second.as_json(), "comparison": self.comparison.as_json()}
        return {
            "data": self.sample.as_json(),
            **self.evaluation.as_json(),
            **other,
            "seconds": self.seconds,
            "notes": [asdict(note) for note in self.notes],
        }


def test(models: Sequence[Model], data: Path, options: DataOptions, machine: Machine) -> Testing:
    """One model, or two of the same classes, on the labelled pictures of DATA."""
    clock = Clock()
    first = models[0]
    if any(model.classes != first.classes for model in models):
        raise UsageError(
            f"The bundles answer different questions: {' and '.join(' / '.join(m.classes) for m in models)}."
        )
    listing = list_for(first.classes, data, options)
    sources = [item.path for item in listing.items]
    evaluations, samples = [], []
    for model in models:
        with clock("embed"):
            engine = machine.engine(model.backbone)
            samples.append(observe_listing(listing, sources, engine, machine, what="test"))
        samples[-1].check_counts(1)
        evaluations.append(model.evaluate(samples[-1]))
    second = evaluations[1] if len(models) > 1 else None
    return Testing(
        samples[0],
        evaluations[0],
        second,
        None if second is None else _comparison(evaluations[0], second),
        clock.seconds(),
        (*samples[0].notes(), *machine.notes),
    )


def _comparison(a: Evaluation, b: Evaluation) -> Comparison:
    return compare(a.labels, (a.probabilities, a.threshold), (b.probabilities, b.threshold))
