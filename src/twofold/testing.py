"""Bundles on labelled pictures: one evaluation each and, of two, the comparison."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from twofold.bundle import Bundle
from twofold.clock import Clock
from twofold.copies import Copy, find_known
from twofold.data import Note
from twofold.embedding import Machine
from twofold.errors import UsageError
from twofold.evaluation import Comparison, Evaluation, compare
from twofold.leaks import Leaks, leaks_of
from twofold.options import DataOptions
from twofold.sample import Sample, list_for, observe_listing


@dataclass(frozen=True, slots=True, eq=False)
class Testing:
    """`evaluation` is that of the first model; `comparison` and `second` are there where two were tested."""

    sample: Sample
    evaluation: Evaluation
    second: Evaluation | None
    comparison: Comparison | None
    leaks: Leaks
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
            **self.leaks.as_json(),
            **other,
            "seconds": self.seconds,
            "notes": [asdict(note) for note in self.notes],
        }


def test(bundles: Sequence[Bundle], data: Path, options: DataOptions, machine: Machine) -> Testing:
    """The model of one bundle, or of two with the same classes, on the labelled pictures of DATA."""
    clock, models = Clock(), [bundle.model for bundle in bundles]
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
    with clock("audit"):
        leaks = _leaks(bundles, samples)
    return Testing(
        samples[0],
        evaluations[0],
        second,
        None if second is None else _comparison(evaluations[0], second),
        leaks,
        clock.seconds(),
        (*leaks.notes(), *samples[0].notes(), *machine.notes),
    )


def _leaks(bundles: Sequence[Bundle], samples: Sequence[Sample]) -> Leaks:
    """Test pictures that any of the models was trained on, with the numbers of the first."""
    found: dict[int, tuple[Copy, str]] = {}
    for bundle, sample in zip(bundles, samples, strict=True):
        trained_on = bundle.trained_on()
        for copy in find_known(sample.sights, trained_on):
            found.setdefault(copy.first, (copy, trained_on.paths[copy.second]))
    copies = [replace(copy, second=number) for number, (copy, _) in enumerate(found.values())]
    return leaks_of(bundles[0].model, samples[0], copies, [path for _, path in found.values()])


def _comparison(a: Evaluation, b: Evaluation) -> Comparison:
    return compare(a.labels, (a.probabilities, a.threshold), (b.probabilities, b.threshold))
