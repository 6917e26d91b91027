"""train: from labelled images to a model and its evaluation.

The steps: list the files, train a network where the mode asks for it, embed every image, fit the model, check the dtype, evaluate
on the test set, audit.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

import numpy as np

from twofold.audit import MIN_IMAGES, Audit, assign_folds, audit_dataset, fit_learning_curve
from twofold.audit.leakage import find_leakage
from twofold.audit.learning_curve import LearningCurve
from twofold.core.hints import require
from twofold.core.notes import Note
from twofold.core.options import TrainingOptions
from twofold.core.timing import Clock
from twofold.data import FileList, IntensityRanges, list_labelled_files
from twofold.dataset.labelled import LabelledDataset, alphabetical, full_images, labelled_dataset, list_test_files
from twofold.decision.promises import check_possible
from twofold.duplicates import index_fingerprints
from twofold.embedding import Engine, Runtime, Source
from twofold.learning.run_folder import RunFolder
from twofold.networks import Backbone, Dtype, choose_dtype, offered_dtypes
from twofold.workflows.crops import CropsChoice
from twofold.workflows.dtype_check import DtypeCheck, check_dtype
from twofold.workflows.evaluate import measure_leakage
from twofold.workflows.fit import DecisionPolicy, Fit, check_promises
from twofold.workflows.forecast import Forecast, Forecaster, training_workload
from twofold.workflows.sliced_evaluation import evaluate_test, with_slices
from twofold.workflows.strategies import FrozenStrategy, Strategy, TrainedStrategy
from twofold.workflows.training_result import NetworkResult, TestResult, TrainingResult
from twofold.workflows.views import note_smallest_detail

if TYPE_CHECKING:
    from twofold.learning.training_run import TrainingRun

_TRAINED_DTYPES: Final[tuple[Dtype, ...]] = ("bf16", "f32")
"""The dtypes of a trained network. It has no activation ranges, which int8 needs."""


def train(
    data: Path,
    options: TrainingOptions,
    runtime: Runtime,
    *,
    test: Path | None = None,
    run_folder: RunFolder | None = None,
    announce: Callable[[Forecast], None] | None = None,
) -> TrainingResult:
    """The model fitted on the labelled images in DATA and, with `test`, its evaluation on that test set.

    The training of a network keeps checkpoints and logs in `run_folder`, by default a temporary folder, and continues from
    checkpoints there. With a frozen network `announce` is called with the forecast of seconds and memory. Raises DataError,
    UsageError, BackboneError or LearningError, before any long work where possible.
    """
    check_promises(options.decision)
    file_list = list_labelled_files(data, options.data, positive=options.positive)
    test_list = None if test is None else list_test_files(file_list.negative_and_positive, test, options.data)
    if options.positive is None:
        file_list = replace(file_list, notes=(*file_list.notes, alphabetical(file_list.negative_and_positive)))
    result = train_files(
        file_list, file_list.paths, options, runtime, test=test_list, run_folder=run_folder, announce=announce
    )
    return replace(result, roots=(data,) if test is None else (data, test))


def train_files(
    file_list: FileList,
    sources: Sequence[Source],
    options: TrainingOptions,
    runtime: Runtime,
    *,
    test: FileList | None = None,
    run_folder: RunFolder | None = None,
    announce: Callable[[Forecast], None] | None = None,
) -> TrainingResult:
    """The same for a file list whose images are `sources`, one for each file."""
    _check_promises(file_list, options)
    clock, mode, run, dtype = Clock(), options.learning.mode, None, _choose_dtype(options)
    if announce is not None and mode == "frozen":  # the time of a network's training is not known before
        test_images = 0 if test is None else len(test.files)
        workload = training_workload(len(sources), test_images, options, fast=dtype != "f32")
        runtime = Forecaster(workload, announce).watch(runtime)
    if mode != "frozen":
        _check_learning(options)
    with clock("embed"):
        ranges, range_notes = runtime.ranges(sources)
    if test is not None and mode != "frozen":  # before hours of training
        _check_usable(test, ranges, runtime)
    with clock("embed"):
        frozen, choice = _frozen_strategy(options, ranges, runtime).with_crops_for(mode, file_list, sources, dtype)
    if mode != "frozen":
        with clock("learn"):
            run = _train_network(file_list, sources, _with_crop_mode(options, choice), runtime, ranges, run_folder)
    strategy = frozen if run is None or not run.beats_frozen else TrainedStrategy(run, frozen.policy, ranges, runtime)
    job = _FitJob(file_list, sources, runtime, clock, strategy)
    result, check = job.fit_checked(
        dtype, automatic=options.backbone.dtype == "auto", seed=options.cross_validation.seed
    )
    with clock("embed"):
        fit = replace(result.fit, model=result.fit.model.with_probe_logits(runtime, result.engine))
    test_result = None if test is None else evaluate_on_test(test, fit, result.dataset, result.engine, runtime, clock)
    fit = replace(fit, evaluation=with_slices(fit.evaluation, result.dataset, fit.scores.rows))
    result = replace(result, dataset=replace(result.dataset, images=None))  # a result does not hold its sources
    with clock("audit"):
        folds = assign_folds(result.dataset, options.cross_validation.folds, options.cross_validation.seed)
        curve = None if run is not None and run.beats_frozen else _learning_curve(result.dataset, fit)
        audit = audit_dataset(result.dataset, fit.scores.rows, fit.scores.logits, folds, learning_curve=curve)
    run_notes = () if run is None else run.notes
    choice_notes = () if choice is None else choice.notes()
    detail_notes = note_smallest_detail(result.dataset.table.metadata, fit.model.backbone.preprocessing)
    earlier_notes = (*range_notes, *choice_notes, *detail_notes, *fit.notes, *interval_notes(fit, run))
    notes = collect_notes(earlier_notes, fit.model.backbone, audit, run_notes, check, result.dataset, test_result)
    learning = None if run is None else _network_result(run, fit, result.dataset)
    return TrainingResult(
        options, result.dataset, fit, audit, learning, check, test_result, clock.seconds(), notes, crops=choice
    )


def _learning_curve(dataset: LabelledDataset, fit: Fit) -> LearningCurve | None:
    """How many images would help; None for a head without folds."""
    scores = fit.scores
    if fit.C is None:
        return None
    features, labels = dataset.table.features, dataset.labels[scores.rows]
    features = features if len(scores.rows) == len(features) else features[scores.rows]
    return fit_learning_curve(features, labels, scores.folds, scores.logits, fit.C, dataset.classes)


def interval_notes(fit: Fit, run: "TrainingRun | None") -> tuple[Note, ...]:
    """The note on intervals that no nested cross-validation has widened."""
    if fit.evaluation.factors is not None:
        return ()
    scores = "out-of-fold" if run is None or run.folds is not None else "validation"
    why = "a class has too few groups" if run is None or not run.beats_frozen else "the network was trained"
    text = (
        f"The intervals of the {scores} scores are too narrow for the model, because {why}, so that no nested cross-validation "
        "tells how far such scores are from the model's."
    )
    return (Note("intervals-of-fixed-scores", text),)


def _check_promises(file_list: FileList, options: TrainingOptions) -> None:
    """DataError where too few files would be scored for the promises to be kept; before any work."""
    promises = check_promises(options.decision)
    if not promises:
        return
    learning, (_, positive) = options.learning, file_list.negative_and_positive
    scored_fraction = 1.0 if learning.mode == "frozen" or learning.cv else learning.validation_fraction
    units: dict[bool, set[str]] = {True: set(), False: set()}
    for number, entry in enumerate(file_list.files):
        units[entry.label == positive].add(f"file {number}" if entry.group is None else f"group {entry.group}")
    positives, negatives = (math.ceil(scored_fraction * len(units[of_class])) for of_class in (True, False))
    decision = options.decision
    check_possible(promises, positives, negatives, decision.confidence, simultaneous=decision.simultaneous)


def _choose_dtype(options: TrainingOptions) -> Dtype:
    frozen = options.learning.mode == "frozen"
    return choose_dtype(options.backbone, offered_dtypes(options.backbone.backbone) if frozen else _TRAINED_DTYPES)


def collect_notes(
    earlier_notes: Sequence[Note],
    backbone: Backbone,
    audit: Audit,
    run_notes: Sequence[Note],
    check: DtypeCheck | None,
    dataset: LabelledDataset,
    test: TestResult | None,
) -> tuple[Note, ...]:
    """All notes in the order in which they are shown, each once."""
    check_notes = [check.note()] if check is not None and not check.is_reliable else []
    notes = [*earlier_notes, *backbone.notes, *audit.notes(), *run_notes, *check_notes]
    if test is None:
        return tuple(dict.fromkeys((*notes, *dataset.table.notes)))
    test_notes = (*test.dataset.test_notes(), *dataset.table.notes, *test.dataset.table.notes)
    return tuple(dict.fromkeys((*test.leakage.notes(), *notes, *test_notes)))


def _check_usable(test: FileList, ranges: IntensityRanges, runtime: Runtime) -> None:
    """DataError where no image of the test set can be used."""
    table = runtime.scan(test.paths, ranges, what="test")
    LabelledDataset(test, table, test.negative_and_positive, ()).check_any()


def _check_learning(options: TrainingOptions) -> None:
    require(f"`mode={options.learning.mode!r}`", "torch", "lightning", "onnxscript")
    from twofold.learning.training_run import check_learning  # imports PyTorch

    check_learning(options)


def _train_network(
    file_list: FileList,
    sources: Sequence[Source],
    options: TrainingOptions,
    runtime: Runtime,
    ranges: IntensityRanges,
    run_folder: RunFolder | None,
) -> "TrainingRun":
    from twofold.learning.training_run import learn

    if run_folder is not None:
        return learn(file_list, sources, options, runtime, ranges, run_folder, min_per_class=MIN_IMAGES)
    with TemporaryDirectory() as folder:
        return learn(file_list, sources, options, runtime, ranges, RunFolder(Path(folder)), min_per_class=MIN_IMAGES)


def _with_crop_mode(options: TrainingOptions, choice: CropsChoice | None) -> TrainingOptions:
    """The options with the chosen crop mode."""
    if choice is None:
        return options
    return replace(options, backbone=replace(options.backbone, crop_mode=choice.mode))


def _frozen_strategy(options: TrainingOptions, ranges: IntensityRanges, runtime: Runtime) -> FrozenStrategy:
    policy = DecisionPolicy(options.decision, options.cross_validation.seed)
    return FrozenStrategy(options.backbone, ranges, runtime, options.cross_validation.folds, policy)


@dataclass(frozen=True, slots=True, eq=False)
class _FitResult:
    dataset: LabelledDataset
    fit: Fit
    engine: Engine


@dataclass(frozen=True, slots=True, eq=False)
class _FitJob:
    """The fit in a fast dtype, repeated in float32 where the dtypes differ too much."""

    file_list: FileList
    sources: Sequence[Source]
    runtime: Runtime
    clock: Clock
    strategy: Strategy

    def fit_checked(self, dtype: Dtype, *, automatic: bool, seed: int) -> tuple[_FitResult, DtypeCheck | None]:
        """The fit in this dtype, or in float32 where the dtype was chosen automatically and the check fails."""
        result = self.fit(dtype)
        if not automatic or dtype == "f32":
            return result, None
        with self.clock("embed"):
            table = result.dataset.table
            images = [self.sources[row] for row in table.used]
            float_backbone = self.strategy.backbone("f32")
            check = check_dtype(result.fit.model, images, table.features, float_backbone, self.runtime, seed=seed)
        return (result if check.is_reliable else self.fit("f32")), check

    def fit(self, dtype: Dtype) -> _FitResult:
        with self.clock("embed"):
            backbone = self.strategy.backbone(dtype)
            engine = self.runtime.engine(backbone)
            known = self.strategy.known_rows(engine.backbone)
            table = self.runtime.embed(self.sources, engine, what="train", known=known)
        with self.clock("audit"):
            dataset = self.strategy.dataset(self.file_list, table, self.sources)
        dataset.check_counts(MIN_IMAGES)
        with self.clock("fit"):
            return _FitResult(dataset, self.strategy.fit(dataset, backbone), engine)


def evaluate_on_test(
    test: FileList, fit: Fit, training: LabelledDataset, engine: Engine, runtime: Runtime, clock: Clock
) -> TestResult:
    """The evaluation on the images of a test set, whose duplicates in the training dataset are set apart."""
    with clock("embed"):
        table = runtime.embed(test.paths, engine, what="test")
    with clock("audit"):
        ranges = engine.backbone.preprocessing.ranges
        dataset = labelled_dataset(test, table, full_images(test.paths, table, runtime, ranges))
    dataset.check_any()
    with clock("audit"):
        index = index_fingerprints(*training.usable_fingerprints)
        leaked_images = find_leakage(dataset, index, training)
        leakage = measure_leakage(fit.model, dataset, leaked_images, np.flatnonzero(dataset.valid))
    return TestResult(replace(dataset, images=None), evaluate_test(fit.model, dataset), leakage)


def _network_result(run: "TrainingRun", fit: Fit, dataset: LabelledDataset) -> NetworkResult:
    model, rows = fit.model, ~run.validation & dataset.valid
    columns = dataset.table.features[rows], dataset.labels[rows], dataset.groups[rows]
    return NetworkResult(run, model.evaluate_features(*columns))
