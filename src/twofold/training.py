"""From two kinds of pictures to a model and its honest numbers."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from twofold.audit import LEAST, Audit, audit_sample
from twofold.auditing import load_frozen
from twofold.clock import Clock
from twofold.copies import known
from twofold.data import Listing, Note, Ranges, list_pictures
from twofold.embedding import Arithmetic, Backbone, Engine, Machine, Source, Table, offered_precisions, ranged
from twofold.errors import DataError
from twofold.evaluation import Evaluation, evaluate
from twofold.fit import Fit, Scores, decide, fit_model
from twofold.leaks import Leaks, find_leaks, leaks_of
from twofold.model import Model
from twofold.options import DecisionOptions, TrainingOptions
from twofold.place import Place
from twofold.precision import PrecisionCheck, compare_precisions, starting_precision
from twofold.sample import Sample, alphabetical, list_for, tabled

if TYPE_CHECKING:
    from twofold.learning.runs import Course

_LEARNED: Final[tuple[Arithmetic, ...]] = ("bf16", "f32")  # what networks that learned are run in


@dataclass(frozen=True, slots=True, eq=False)
class HeldOut:
    """Pictures that had no part in the fit, and how the model did on them; `leaks` are those that had, after all."""

    sample: Sample
    evaluation: Evaluation
    leaks: Leaks

    def as_json(self) -> dict[str, Any]:
        return {"data": self.sample.as_json(), **self.evaluation.as_json(), **self.leaks.as_json()}


@dataclass(frozen=True, slots=True, eq=False)
class Learning:
    """How the network was learned, and how the model does on the very pictures that it learned from."""

    course: "Course"
    train: Evaluation

    def as_json(self) -> dict[str, Any]:
        course, learned = self.course, self.course.learned
        return {
            "epochs": len(learned.history),
            "best_epoch": learned.best,
            "interrupted": learned.interrupted,
            "pictures": {
                "train": len(self.train.labels),
                "validation": int(course.validation.sum()),
            },
            "history": learned.history,
            "tuning": None if course.tuning is None else course.tuning.as_json(),
            "weights": None if course.way is None else course.way.as_json(),
        }


@dataclass(frozen=True, slots=True, eq=False)
class Training:
    """What `train` gives; `twofold.saving.save` makes a bundle of it."""

    options: TrainingOptions = field(repr=False)
    sample: Sample
    fit: Fit
    audit: Audit
    learning: Learning | None
    precision: PrecisionCheck | None
    test: HeldOut | None
    seconds: dict[str, float]
    notes: tuple[Note, ...] = field(repr=False)
    roots: tuple[Path, ...] = ()  # DATA and --test, to which the paths in a bundle are relative

    @property
    def scored(self) -> str:
        """Where the model's honest numbers come from: "cross_validation", or the "validation" part of learning."""
        course = self.learned_course
        return "cross_validation" if course is None or course.folds is not None else "validation"

    @property
    def learned_course(self) -> "Course | None":
        """How the model's network was learned; None where it is the frozen one, after fine-tuning that made it no better, too."""
        return self.learning.course if self.learning is not None and self.learning.course.better else None

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C ended the learning of the network."""
        return self.learning is not None and self.learning.course.learned.interrupted

    def as_json(self) -> dict[str, Any]:
        """The blocks that `train --json` prints."""
        backbone = self.fit.model.backbone
        tested = {} if self.test is None else {"test": self.test.as_json()}
        learned = (
            {}
            if self.learning is None
            else {"train": self.learning.train.as_json(), "learning": self.learning.as_json()}
        )
        return {
            "data": self.sample.as_json(),
            "backbone": {"name": backbone.name, "size": backbone.square.size, "precision": backbone.precision},
            "mode": self.options.learning.mode,
            self.scored: self.fit.evaluation.as_json(),
            "audit": self.audit.as_json(),
            **learned,
            **tested,
            "precision_check": None if self.precision is None else asdict(self.precision),
            "seconds": self.seconds,
            "notes": [asdict(note) for note in self.notes],
        }


def train(
    data: Path, options: TrainingOptions, machine: Machine, *, test: Path | None = None, place: Place | None = None
) -> Training:
    """The model of the pictures in DATA, and, with `test`, its evaluation there.

    A network that learns keeps its checkpoints and logs in `place`, a temporary folder by default, and goes on from
    what is there. Raises DataError, UsageError, BackboneError or LearningError, before any long work where that is possible.
    """
    listing = list_pictures(data, options.data, positive=options.decision.positive)
    other = None if test is None else list_for(listing.ordered, test, options.data)
    if options.decision.positive is None:
        listing = replace(listing, notes=(*listing.notes, alphabetical(listing.ordered)))
    training = train_listing(listing, [item.path for item in listing.items], options, machine, test=other, place=place)
    return replace(training, roots=(data,) if test is None else (data, test))


def train_listing(
    listing: Listing,
    sources: Sequence[Source],
    options: TrainingOptions,
    machine: Machine,
    *,
    test: Listing | None = None,
    place: Place | None = None,
) -> Training:
    """The same for a listing whose pictures are in `sources`, one for each item."""
    clock = Clock()
    learns, course = options.learning.mode != "frozen", None
    with clock("embed"):
        ranges, range_notes = machine.ranges(sources)
    offered = _LEARNED if learns else offered_precisions(options.backbone.backbone)
    precision = starting_precision(options.backbone, offered)
    if learns:
        if test is not None:  # before hours of work
            seen = machine.examine([item.path for item in test.items], ranges, what="test")
            Sample(test, seen, test.ordered, ()).check_any()
        with clock("learn"):
            course = _learn(listing, sources, options, machine, ranges, place)
    road = _frozen_road(options, machine, ranges)
    if course is not None and course.better:
        road = _learned_road(course, options.decision)
    run = _Run(listing, sources, options, machine, clock, road)
    sample, fit, engine = run.fitted(precision)
    check, notes = run.checked(sample, fit), []
    if check is not None and not check.trusted:
        notes = [check.note()]
        sample, fit, engine = run.fitted("f32")
    with clock("embed"):
        fit = replace(fit, model=fit.model.probed(machine, engine))
    tested = None
    if test is not None:
        with clock("embed"):
            table = machine.observe([item.path for item in test.items], engine, what="test")
        with clock("audit"):
            held_out = tabled(test, table)
        held_out.check_any()
        with clock("audit"):
            leaks = leaks_of(fit.model, held_out, find_leaks(held_out, known(*sample.learned)))
        tested = HeldOut(held_out, fit.model.evaluate(held_out), leaks)
        notes += held_out.test_notes()
    learning = None if course is None else _learning(course, fit.model, sample)
    learned_notes = () if course is None else course.notes
    with clock("audit"):
        audit = audit_sample(sample, fit.scores.rows, fit.scores.logits, options.decision)
    loudest = [] if tested is None else tested.leaks.notes()
    notes = [*loudest, *range_notes, *fit.model.backbone.notes, *audit.notes(), *learned_notes, *notes, *machine.notes]
    return Training(options, sample, fit, audit, learning, check, tested, clock.seconds(), tuple(notes))


@dataclass(frozen=True, slots=True)
class _Road:
    """How copies among pictures are found, a backbone is got in an arithmetic, and a model is fitted on the vectors it gives."""

    sample: Callable[[Listing, Table], Sample]
    backbone: Callable[[Arithmetic], Backbone]
    fit: Callable[[Sample, Backbone], Fit]


@dataclass(frozen=True, slots=True, eq=False)
class _Run:
    """One training, which may have to be done twice: in the fastest arithmetic, and then in float32 after all."""

    listing: Listing
    sources: Sequence[Source]
    options: TrainingOptions
    machine: Machine
    clock: Clock
    road: _Road

    def fitted(self, precision: Arithmetic) -> tuple[Sample, Fit, Engine]:
        with self.clock("embed"):
            backbone = self.road.backbone(precision)
            engine = self.machine.engine(backbone)
            table = self.machine.observe(self.sources, engine, what="train")
        with self.clock("audit"):
            sample = self.road.sample(self.listing, table)
        sample.check_counts(LEAST)
        with self.clock("fit"):
            return sample, self.road.fit(sample, backbone), engine

    def checked(self, sample: Sample, fit: Fit) -> PrecisionCheck | None:
        if self.options.backbone.precision != "auto" or fit.model.backbone.precision == "f32":
            return None
        with self.clock("embed"):
            sources = [self.sources[row] for row in sample.table.used]
            exact, seed = self.road.backbone("f32"), self.options.decision.seed
            return compare_precisions(fit.model, sources, sample.table.vectors, exact, self.machine, seed=seed)


def _frozen_road(options: TrainingOptions, machine: Machine, ranges: Ranges) -> _Road:
    network = options.backbone

    def fit(sample: Sample, backbone: Backbone) -> Fit:
        rows = np.flatnonzero(sample.agreed)
        labels, groups = sample.labels, sample.groups
        return fit_model(sample.table.vectors, labels, groups, rows, sample.classes, backbone, options.decision)

    def backbone(precision: Arithmetic) -> Backbone:
        return ranged(load_frozen(network, precision, machine), ranges)

    return _Road(tabled, backbone, fit)


def _learn(
    listing: Listing,
    sources: Sequence[Source],
    options: TrainingOptions,
    machine: Machine,
    ranges: Ranges,
    place: Place | None,
) -> "Course":
    from twofold.learning.extra import require

    require(f"--mode {options.learning.mode}", "torch", "lightning", "kornia", "onnxscript")
    from twofold.learning.runs import learn  # brings PyTorch

    if place is not None:
        return learn(listing, sources, options, machine, ranges, place, least=LEAST)
    with TemporaryDirectory() as folder:
        return learn(listing, sources, options, machine, ranges, Place(Path(folder)), least=LEAST)


def _learned_road(course: "Course", options: DecisionOptions) -> _Road:
    """The network is there, with its head; what is left is to score honestly, to calibrate and to choose the threshold."""

    def sample(listing: Listing, table: Table) -> Sample:
        return Sample(listing, table, listing.ordered, course.copies)  # by which its folds were dealt

    def backbone(precision: Arithmetic) -> Backbone:
        return replace(course.backbone, precision=precision)

    def fit(sample: Sample, backbone: Backbone) -> Fit:
        if [facts and facts.sha256 for facts in sample.table.facts] != [
            facts and facts.sha256 for facts in course.facts
        ]:
            raise DataError(
                "Pictures were changed while the network learned: put them back as they were and go on with --resume, which "
                "keeps what was learned, or start anew with --force."
            )
        if course.folds is not None and course.logits is not None:
            rows = np.flatnonzero(course.folds >= 0)
            scores = Scores(rows, course.folds[rows], course.logits[rows])
        else:
            rows = np.flatnonzero(course.validation)
            scores = Scores(rows, np.zeros(len(rows), np.int64), course.head.logits(sample.table.vectors[rows]))
        return decide(scores, sample.labels, sample.classes, backbone, course.head, None, options)

    return _Road(sample, backbone, fit)


def _learning(course: "Course", model: Model, sample: Sample) -> Learning:
    rows = ~course.validation & sample.agreed
    probabilities = model.probabilities(sample.table.vectors[rows])
    return Learning(course, evaluate(sample.labels[rows], probabilities, model.threshold, classes=model.classes))
