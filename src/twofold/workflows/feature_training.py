"""train on saved features: from a folder of parts and labels to a model and its evaluation, without opening an image."""

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from twofold.audit import MIN_IMAGES, assign_folds, audit_dataset
from twofold.core.errors import UsageError
from twofold.core.notes import Note
from twofold.core.options import TrainingOptions, list_changed
from twofold.core.timing import Clock
from twofold.data import list_labelled_files, read_decisions
from twofold.dataset.labelled import LabelledDataset, alphabetical, list_test_files
from twofold.embedding import Runtime
from twofold.workflows.fit import DecisionPolicy, Fit, check_promises, fit_model
from twofold.workflows.scale.feature_folder import FeatureFolder, open_features
from twofold.workflows.scale.labelled_parts import labelled_parts
from twofold.workflows.sliced_evaluation import with_slices
from twofold.workflows.train import collect_notes, evaluate_on_test, interval_notes
from twofold.workflows.training_result import TrainingResult


def train_on_features(
    data: Path, features: Path, options: TrainingOptions, runtime: Runtime, *, test: Path | None = None
) -> TrainingResult:
    """The model fitted on the images that have labels in DATA and a row in the folder `features`, which `predict` wrote.

    Its network is that of the bundle that predicted. Raises UsageError for options that would change the network, and what
    `open_features` and `train` raise.
    """
    _check_options(options, features)
    check_promises(options.decision)
    folder = open_features(features)
    plain = replace(options.data, decisions=None)  # decisions are applied by the hashes in the parts
    file_list = list_labelled_files(data, plain, positive=options.positive, opened=False)
    test_list = None if test is None else list_test_files(file_list.negative_and_positive, test, plain)
    if options.positive is None:
        file_list = replace(file_list, notes=(*file_list.notes, alphabetical(file_list.negative_and_positive)))
    decisions = None if options.data.decisions is None else read_decisions(options.data.decisions)
    clock = Clock()
    with clock("features"):
        dataset = labelled_parts(file_list, folder, runtime.folder, runtime.progress, decisions)
    dataset.check_counts(MIN_IMAGES)
    engine = folder.bundle.model.engine(runtime)  # of the dtype that the features were computed in
    with clock("fit"):
        fit = _fit(dataset, folder, options)
    with clock("embed"):
        fit = replace(fit, model=fit.model.with_probe_logits(runtime, engine))
    test_result = None if test_list is None else evaluate_on_test(test_list, fit, dataset, engine, runtime, clock)
    with clock("audit"):
        folds = assign_folds(dataset, options.cross_validation.folds, options.cross_validation.seed)
        audit = audit_dataset(dataset, fit.scores.rows, fit.scores.logits, folds)
    notes = collect_notes(_notes(dataset, fit, folder), fit.model.backbone, audit, (), None, dataset, test_result)
    roots = (data,) if test is None else (data, test)
    return TrainingResult(options, dataset, fit, audit, None, None, test_result, clock.seconds(), notes, roots=roots)


def _fit(dataset: LabelledDataset, folder: FeatureFolder, options: TrainingOptions) -> Fit:
    """The model, and its evaluation with slices."""
    policy = DecisionPolicy(options.decision, options.cross_validation.seed)
    rows, backbone = np.flatnonzero(dataset.valid), folder.bundle.model.backbone
    fit = fit_model(dataset, rows, backbone, options.cross_validation.folds, policy)
    return replace(fit, evaluation=with_slices(fit.evaluation, dataset, fit.scores.rows))


def _check_options(options: TrainingOptions, features: Path) -> None:
    """Raises UsageError for options of the network."""
    records: tuple[Any, ...] = (options.backbone, options.learning)
    changed = [name for each in records for name in list_changed(each, [field.name for field in fields(each)])]
    if changed:
        raise UsageError(
            f"`{changed[0]}` has no effect on the features in {features}, which are computed already: leave it out, or train on "
            "the images."
        )


def _notes(dataset: LabelledDataset, fit: Fit, folder: FeatureFolder) -> tuple[Note, ...]:
    """What differs from a training on the images, and the notes of the fit."""
    version = str(folder.bundle.record["sha256"])[:12]
    notes = [
        Note("saved-features", f"The features are those in {folder.path}, by the bundle with the SHA-256 {version}….")
    ]
    if any(pair.kind == "same-scene" for pair in dataset.duplicates):
        text = (
            "Similar images were not compared at full size, because no image was opened: near duplicates count as images of the "
            "same object, which stay in one fold, too."
        )
        notes.append(Note("duplicates-by-thumbnail", text))
    return (*notes, *fit.notes, *interval_notes(fit, None))
