"""A training run: the network of a model and, with `cv`, out-of-fold logits of its images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial
from importlib.util import find_spec

import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from numpy.typing import NDArray

from twofold.core.arrays import Rows
from twofold.core.errors import DataError, LearningError, UsageError
from twofold.core.hints import install
from twofold.core.notes import Note
from twofold.core.options import BackboneOptions, LearningOptions, TrainingOptions
from twofold.core.progress import no_progress
from twofold.data import FileList, IntensityRanges
from twofold.dataset.labelled import LabelledDataset, embed_files
from twofold.decision import Head
from twofold.duplicates import Duplicate
from twofold.embedding import Metadata, Runtime, Source
from twofold.learning.cross_validation import check_folds, cross_validate
from twofold.learning.decoded_images import DecodedImages
from twofold.learning.decoder import decode_images
from twofold.learning.initialisation import (
    Initialisation,
    from_pretrained,
    from_scratch,
    load_frozen_backbone,
    remaining_uncertainty,
)
from twofold.learning.network_training import Initialise, NetworkTraining
from twofold.learning.processes import check_processes, count_devices
from twofold.learning.run_folder import RunFolder, run_key
from twofold.learning.trainer import Devices, TrainingHistory
from twofold.learning.tuning.trial import Setting, Tuning
from twofold.learning.weight_interpolation import WeightInterpolation
from twofold.networks import (
    Backbone,
    choose_dtype,
    fast_dtypes,
    is_trainable,
    load_backbone,
    offered_dtypes,
    with_intensity_ranges,
)


@dataclass(frozen=True, slots=True, eq=False)
class TrainingRun:
    """The result of a training run. Arrays have one row per usable image.

    `validation` is the mask of the validation images, which choose the best epoch. With `cv`, `folds` and `logits`
    are out-of-fold; the fold of an image that was left out is -1. `duplicates` are the pairs that were kept in one fold.
    """

    backbone: Backbone
    head: Head
    metadata: tuple[Metadata | None, ...] = field(repr=False)  # a row for every source
    validation: NDArray[np.bool_] = field(repr=False)
    folds: NDArray[np.int64] | None = field(repr=False)
    logits: NDArray[np.float64] | None = field(repr=False)
    duplicates: tuple[Duplicate, ...] = field(repr=False)
    history: TrainingHistory
    tuning: Tuning | None
    interpolation: WeightInterpolation | None  # None from scratch
    notes: tuple[Note, ...] = field(repr=False)

    @property
    def beats_frozen(self) -> bool:
        """Whether the model uses the trained network. Otherwise the frozen network was as good, and the model uses it."""
        return _is_better(self.interpolation)


def learn(
    file_list: FileList,
    sources: Sequence[Source],
    options: TrainingOptions,
    runtime: Runtime,
    ranges: IntensityRanges,
    run_folder: RunFolder,
    *,
    min_per_class: int,
) -> TrainingRun:
    """The network trained on the images of a file list, which are in `sources`; `ranges` maps their intensities.

    An unfinished run in `run_folder` with the same options and images is resumed. Raises DataError where a class has fewer than
    `min_per_class` usable images or files change meanwhile, UsageError where the processes do not match the options,
    LearningError where training fails.
    """
    check_learning(options)
    initialise, dataset = _prepare(file_list, sources, options, runtime, ranges)
    dataset.check_counts(min_per_class)
    initialisation, limit = initialise(options.learning), int(options.learning.pixels_gb * 1e9)
    with decode_images(sources, initialisation.preprocessing, runtime, limit=limit) as images:
        _check_unchanged(images, dataset)
        devices = _devices(options, runtime, initialisation)
        training = NetworkTraining(
            initialise,
            initialisation,
            images,
            dataset,
            learning=options.learning,
            folds=options.cross_validation.folds,
            seed=options.cross_validation.seed,
            folder=run_folder.path,
            devices=devices,
        )
        return _run(training, run_folder, run_key(options, dataset), np.flatnonzero(dataset.valid))


def check_learning(options: TrainingOptions) -> None:
    """Raises UsageError or LearningError for options that cannot be followed, before any image is read."""
    check_processes(options.learning)
    if options.learning.mode == "finetune" and not is_trainable(options.backbone.backbone):
        raise UsageError(
            f"{options.backbone.backbone} cannot be fine-tuned, because it has no training graph; use one built-in network, "
            "hf:ID, a folder or MODULE:FUNCTION."
        )
    if options.learning.tune and find_spec("optuna") is None:
        raise LearningError(f"`tune` needs optuna; {install('tune')}.")


def _run(training: NetworkTraining, run_folder: RunFolder, key: str, rows: Rows) -> TrainingRun:
    """The training run on these rows: tuning, the network, its weight interpolation and cross-validation, as the options say."""
    learning, tuning, name = training.learning, None, "network"
    check_folds(training, rows, learning.cv)
    if learning.tune and not run_folder.resumable:
        _delete_trials(run_folder)
    run_folder.start(key)
    if learning.tune:
        tuning, name = _tune(training, rows, learning.tune)
        training = training.with_settings(tuning.best_settings)
    network, history, validation = training.train(rows, name)
    interpolation = training.interpolate(network, rows)
    interrupted, out_of_fold = history.interrupted or (tuning is not None and tuning.interrupted), None
    if learning.cv and not interrupted and _is_better(interpolation):
        out_of_fold = cross_validate(training, rows, learning.cv)
        interrupted = out_of_fold is None
    notes = [
        *([_interruption_note(learning)] if interrupted else []),
        *([tuning.note()] if tuning else []),
        *([interpolation.note()] if interpolation else []),
        *history.notes,
        *training.dataset.table.notes,
        *training.images.notes,
    ]
    return TrainingRun(
        training.initialisation.backbone(network),
        Head(*network.fold_head()),
        training.images.metadata,
        validation,
        None if out_of_fold is None else out_of_fold.folds,
        None if out_of_fold is None else out_of_fold.logits,
        training.dataset.duplicates,
        replace(history, interrupted=interrupted),
        tuning,
        interpolation,
        tuple(notes),
    )


def _prepare(
    file_list: FileList, sources: Sequence[Source], options: TrainingOptions, runtime: Runtime, ranges: IntensityRanges
) -> tuple[Initialise, LabelledDataset]:
    """The initialisation as a function of the options, and the dataset with features of a pretrained network, for its duplicates.

    This is the network to fine-tune or, for training from scratch, the default network.
    """
    network, cross_validation = options.backbone, options.cross_validation
    if options.learning.mode == "scratch":
        from_scratch(network, options.learning, cross_validation.seed)  # raises its errors before the work
        engine = runtime.engine(with_intensity_ranges(_default_backbone(runtime), ranges))
        dataset = embed_files(file_list, sources, engine, runtime, what="duplicates")
        return lambda learning: from_scratch(network, learning, cross_validation.seed).with_intensity_ranges(
            ranges
        ), _drop_features(dataset)
    backbone = with_intensity_ranges(load_frozen_backbone(network, runtime), ranges)
    frozen = embed_files(file_list, sources, runtime.engine(backbone), runtime, what="train")
    uncertainty = cache(partial(remaining_uncertainty, frozen, cross_validation))

    def initialise(learning: LearningOptions) -> Initialisation:
        return from_pretrained(network, learning, cross_validation, runtime, frozen, backbone, uncertainty())

    return initialise, frozen


def _default_backbone(runtime: Runtime) -> Backbone:
    default = BackboneOptions()
    dtype = choose_dtype(default, offered_dtypes(default.backbone))
    return load_backbone(default, dtype, cache=runtime.folder, progress=runtime.progress)


def _drop_features(dataset: LabelledDataset) -> LabelledDataset:
    empty = np.empty((len(dataset.table.features), 0), np.float32)
    return replace(dataset, table=replace(dataset.table, features=empty))


def _check_unchanged(images: DecodedImages, dataset: LabelledDataset) -> None:
    hashes, embedded = (
        [entry and entry.sha256 for entry in metadata] for metadata in (images.metadata, dataset.table.metadata)
    )
    if hashes != embedded:
        raise DataError("Images changed while they were read; leave them as they are, and train again.")


def _delete_trials(run_folder: RunFolder) -> None:
    from twofold.learning.tuning.search import delete_trials  # imports Optuna

    delete_trials(run_folder.path)


def _tune(training: NetworkTraining, rows: Rows, count: int) -> tuple[Tuning, str]:
    """The tuning on these rows, and the name of the folder with the network of the best trial."""
    from twofold.learning.tuning.search import hyper_parameters, trial_folder, tune  # imports Optuna

    recipe, labels = training.initialisation.recipe, training.dataset.labels[rows]
    positive = int(labels.sum())
    space = hyper_parameters(training.learning, recipe, (len(labels) - positive, positive))

    def train_trial(settings: Mapping[str, Setting], name: str, callback: Callback) -> TrainingHistory:
        description = f"trial {name.rpartition('-')[2]} of {count}"
        trial = training.with_settings(settings).with_description(description)
        return trial.train(rows, name, callbacks=(callback,))[1]

    tuning = tune(train_trial, space, training.folder, count=count, epochs=recipe.epochs, seed=training.seed)
    return tuning, trial_folder(tuning.best_number)


def _is_better(interpolation: WeightInterpolation | None) -> bool:
    return interpolation is None or interpolation.fraction > 0


def _devices(options: TrainingOptions, runtime: Runtime, initialisation: Initialisation) -> Devices:
    """The devices, with mixed precision where it is faster; not with `dtype='f32'`."""
    on_cpu = initialisation.dense and "bf16" in fast_dtypes()
    fast = torch.cuda.is_bf16_supported() if torch.cuda.is_available() else on_cpu
    mixed = options.backbone.dtype == "bf16" or (options.backbone.dtype == "auto" and fast)
    return Devices(
        "bf16-mixed" if mixed else "32-true",
        count_devices(options.learning),
        options.learning.num_nodes,
        runtime.options.threads,
        quiet=runtime.progress is no_progress,
    )


def _interruption_note(learning: LearningOptions) -> Note:
    validation = ", scored on the validation images alone" if learning.cv else ""
    text = f"Training was interrupted: this is the best network so far{validation}. Continue with `resume=True`."
    return Note("interrupted", text)
