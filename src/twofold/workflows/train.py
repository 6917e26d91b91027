"""From two kinds of pictures to a model and its honest numbers."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from twofold.audit import LEAST, Audit, audit_sample
from twofold.audit.leakage import Leakage, find_leakage
from twofold.bundle.model import Model
from twofold.core.errors import DataError
from twofold.core.notes import Note
from twofold.core.options import DecisionOptions, TrainingOptions
from twofold.core.timing import Clock
from twofold.data import FileList, Ranges, list_labelled_files
from twofold.dataset.labelled import LabelledDataset, alphabetical, labelled_dataset, list_for
from twofold.duplicates import index_fingerprints
from twofold.embedding import Engine, FeatureTable, Runtime, Source
from twofold.evaluation import Evaluation, evaluate
from twofold.learning.run_folder import RunFolder
from twofold.networks import Backbone, Dtype, choose_dtype, load_backbone, offered_dtypes, ranged
from twofold.workflows.dtype_check import DtypeCheck, check_dtype
from twofold.workflows.evaluate import measure_leakage
from twofold.workflows.fit import Fit, Scores, decide, fit_model

if TYPE_CHECKING:
    from twofold.learning.training_run import TrainingRun

_LEARNED: Final[tuple[Dtype, ...]] = ("bf16", "f32")  # what networks that learned are run in


@dataclass(frozen=True, slots=True, eq=False)
class TestResult:
    """Pictures that had no part in the fit, and how the model did on them; `leaks` are those that had, after all."""

    dataset: LabelledDataset
    evaluation: Evaluation
    leakage: Leakage

    def as_json(self) -> dict[str, Any]:
        return {"data": self.dataset.as_json(), **self.evaluation.as_json(), **self.leakage.as_json()}


@dataclass(frozen=True, slots=True, eq=False)
class LearningResult:
    """How the network was learned, and how the model does on the very pictures that it learned from."""

    training_run: "TrainingRun"
    train: Evaluation

    def as_json(self) -> dict[str, Any]:
        training_run, learned = self.training_run, self.training_run.history
        return {
            "epochs": len(learned.epochs),
            "best_epoch": learned.best,
            "interrupted": learned.interrupted,
            "images": {
                "train": len(self.train.labels),
                "validation": int(training_run.validation.sum()),
            },
            "history": learned.epochs,
            "tuning": None if training_run.tuning is None else training_run.tuning.as_json(),
            "weights": None if training_run.interpolation is None else training_run.interpolation.as_json(),
        }


@dataclass(frozen=True, slots=True, eq=False)
class TrainingResult:
    """What `train` gives; `twofold.workflows.save.save` makes a bundle of it."""

    options: TrainingOptions = field(repr=False)
    dataset: LabelledDataset
    fit: Fit
    audit: Audit
    learning: LearningResult | None
    dtype: DtypeCheck | None
    test: TestResult | None
    seconds: dict[str, float]
    notes: tuple[Note, ...] = field(repr=False)
    roots: tuple[Path, ...] = ()  # DATA and --test, to which the paths in a bundle are relative

    @property
    def scored(self) -> str:
        """Where the model's honest numbers come from: "cross_validation", or the "validation" part of learning."""
        training_run = self.learned_course
        return "cross_validation" if training_run is None or training_run.folds is not None else "validation"

    @property
    def learned_course(self) -> "TrainingRun | None":
        """How the model's network was learned; None where it is the frozen one, after fine-tuning that made it no better, too."""
        return self.learning.training_run if self.learning is not None and self.learning.training_run.better else None

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C ended the learning of the network."""
        return self.learning is not None and self.learning.training_run.history.interrupted

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
            "data": self.dataset.as_json(),
            "backbone": {"name": backbone.name, "size": backbone.preprocessing.size, "precision": backbone.dtype},
            "mode": self.options.learning.mode,
            self.scored: self.fit.evaluation.as_json(),
            "audit": self.audit.as_json(),
            **learned,
            **tested,
            "dtype_check": None if self.dtype is None else asdict(self.dtype),
            "seconds": self.seconds,
            "notes": [asdict(note) for note in self.notes],
        }


def train(
    data: Path, options: TrainingOptions, runtime: Runtime, *, test: Path | None = None, place: RunFolder | None = None
) -> TrainingResult:
    """The model of the pictures in DATA, and, with `test`, its evaluation there.

    A network that learns keeps its checkpoints and logs in `place`, a temporary folder by default, and goes on from
    what is there. Raises DataError, UsageError, BackboneError or LearningError, before any long work where that is possible.
    """
    file_list = list_labelled_files(data, options.data, positive=options.decision.positive)
    other = None if test is None else list_for(file_list.ordered, test, options.data)
    if options.decision.positive is None:
        file_list = replace(file_list, notes=(*file_list.notes, alphabetical(file_list.ordered)))
    training = train_listing(
        file_list, [item.path for item in file_list.files], options, runtime, test=other, place=place
    )
    return replace(training, roots=(data,) if test is None else (data, test))


def train_listing(
    file_list: FileList,
    sources: Sequence[Source],
    options: TrainingOptions,
    runtime: Runtime,
    *,
    test: FileList | None = None,
    place: RunFolder | None = None,
) -> TrainingResult:
    """The same for a listing whose pictures are in `sources`, one for each item."""
    clock = Clock()
    learns, training_run = options.learning.mode != "frozen", None
    with clock("embed"):
        ranges, range_notes = runtime.ranges(sources)
    offered = _LEARNED if learns else offered_dtypes(options.backbone.backbone)
    dtype = choose_dtype(options.backbone, offered)
    if learns:
        if test is not None:  # before hours of work
            seen = runtime.scan([item.path for item in test.files], ranges, what="test")
            LabelledDataset(test, seen, test.ordered, ()).check_any()
        with clock("learn"):
            training_run = _learn(file_list, sources, options, runtime, ranges, place)
    road = _frozen_road(options, runtime, ranges)
    if training_run is not None and training_run.better:
        road = _learned_road(training_run, options.decision)
    run = _Run(file_list, sources, options, runtime, clock, road)
    dataset, fit, engine = run.fitted(dtype)
    check, notes = run.checked(dataset, fit), []
    if check is not None and not check.trusted:
        notes = [check.note()]
        dataset, fit, engine = run.fitted("f32")
    with clock("embed"):
        fit = replace(fit, model=fit.model.probed(runtime, engine))
    tested = None
    if test is not None:
        with clock("embed"):
            table = runtime.embed([item.path for item in test.files], engine, what="test")
        with clock("audit"):
            held_out = labelled_dataset(test, table)
        held_out.check_any()
        with clock("audit"):
            leaked = find_leakage(held_out, index_fingerprints(*dataset.valid_fingerprints))
            leakage = measure_leakage(fit.model, held_out, leaked, np.flatnonzero(held_out.valid))
        tested = TestResult(held_out, fit.model.evaluate(held_out), leakage)
        notes += held_out.test_notes()
    learning = None if training_run is None else _learning(training_run, fit.model, dataset)
    learned_notes = () if training_run is None else training_run.notes
    with clock("audit"):
        audit = audit_sample(dataset, fit.scores.rows, fit.scores.logits, options.decision)
    loudest = [] if tested is None else tested.leakage.notes()
    notes = [*loudest, *range_notes, *fit.model.backbone.notes, *audit.notes(), *learned_notes, *notes, *runtime.notes]
    return TrainingResult(options, dataset, fit, audit, learning, check, tested, clock.seconds(), tuple(notes))


@dataclass(frozen=True, slots=True)
class _Road:
    """How copies among pictures are found, a backbone is got in an arithmetic, and a model is fitted on the vectors it gives."""

    dataset: Callable[[FileList, FeatureTable], LabelledDataset]
    backbone: Callable[[Dtype], Backbone]
    fit: Callable[[LabelledDataset, Backbone], Fit]


@dataclass(frozen=True, slots=True, eq=False)
class _Run:
    """One training, which may have to be done twice: in the fastest arithmetic, and then in float32 after all."""

    file_list: FileList
    sources: Sequence[Source]
    options: TrainingOptions
    runtime: Runtime
    clock: Clock
    road: _Road

    def fitted(self, dtype: Dtype) -> tuple[LabelledDataset, Fit, Engine]:
        with self.clock("embed"):
            backbone = self.road.backbone(dtype)
            engine = self.runtime.engine(backbone)
            table = self.runtime.embed(self.sources, engine, what="train")
        with self.clock("audit"):
            dataset = self.road.dataset(self.file_list, table)
        dataset.check_counts(LEAST)
        with self.clock("fit"):
            return dataset, self.road.fit(dataset, backbone), engine

    def checked(self, dataset: LabelledDataset, fit: Fit) -> DtypeCheck | None:
        if self.options.backbone.dtype != "auto" or fit.model.backbone.dtype == "f32":
            return None
        with self.clock("embed"):
            sources = [self.sources[row] for row in dataset.table.used]
            exact, seed = self.road.backbone("f32"), self.options.decision.seed
            return check_dtype(fit.model, sources, dataset.table.features, exact, self.runtime, seed=seed)


def _frozen_road(options: TrainingOptions, runtime: Runtime, ranges: Ranges) -> _Road:
    network = options.backbone

    def fit(dataset: LabelledDataset, backbone: Backbone) -> Fit:
        rows = np.flatnonzero(dataset.valid)
        labels, groups = dataset.labels, dataset.groups
        return fit_model(dataset.table.features, labels, groups, rows, dataset.classes, backbone, options.decision)

    def backbone(dtype: Dtype) -> Backbone:
        return ranged(load_backbone(network, dtype, cache=runtime.folder, progress=runtime.progress), ranges)

    return _Road(labelled_dataset, backbone, fit)


def _learn(
    file_list: FileList,
    sources: Sequence[Source],
    options: TrainingOptions,
    runtime: Runtime,
    ranges: Ranges,
    place: RunFolder | None,
) -> "TrainingRun":
    from twofold.core.hints import require

    require(f"--mode {options.learning.mode}", "torch", "lightning", "onnxscript")
    from twofold.learning.training_run import learn  # brings PyTorch

    if place is not None:
        return learn(file_list, sources, options, runtime, ranges, place, least=LEAST)
    with TemporaryDirectory() as folder:
        return learn(file_list, sources, options, runtime, ranges, RunFolder(Path(folder)), least=LEAST)


def _learned_road(training_run: "TrainingRun", options: DecisionOptions) -> _Road:
    """The network is there, with its head; what is left is to score honestly, to calibrate and to choose the threshold."""

    def dataset(file_list: FileList, table: FeatureTable) -> LabelledDataset:
        return LabelledDataset(
            file_list, table, file_list.ordered, training_run.duplicates
        )  # by which its folds were dealt

    def backbone(dtype: Dtype) -> Backbone:
        return replace(training_run.backbone, dtype=dtype)

    def fit(dataset: LabelledDataset, backbone: Backbone) -> Fit:
        if [metadata and metadata.sha256 for metadata in dataset.table.metadata] != [
            metadata and metadata.sha256 for metadata in training_run.metadata
        ]:
            raise DataError(
                "Pictures were changed while the network learned: put them back as they were and go on with --resume, which "
                "keeps what was learned, or start anew with --force."
            )
        if training_run.folds is not None and training_run.logits is not None:
            rows = np.flatnonzero(training_run.folds >= 0)
            scores = Scores(rows, training_run.folds[rows], training_run.logits[rows])
        else:
            rows = np.flatnonzero(training_run.validation)
            scores = Scores(rows, np.zeros(len(rows), np.int64), training_run.head.logits(dataset.table.features[rows]))
        return decide(scores, dataset.labels, dataset.classes, backbone, training_run.head, None, options)

    return _Road(dataset, backbone, fit)


def _learning(training_run: "TrainingRun", model: Model, dataset: LabelledDataset) -> LearningResult:
    rows = ~training_run.validation & dataset.valid
    probabilities = model.probabilities(dataset.table.features[rows])
    return LearningResult(
        training_run, evaluate(dataset.labels[rows], probabilities, model.rule, classes=model.classes)
    )
