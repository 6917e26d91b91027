"""All that is learned for one model: the network, and with `cv` the networks that score the pictures honestly."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cache, partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from numpy.typing import NDArray

from twofold.core.errors import DataError, LearningError, LearningInterruptedError
from twofold.core.hints import install
from twofold.core.notes import Note
from twofold.core.options import BackboneOptions, LearningOptions, TrainingOptions
from twofold.core.progress import no_progress
from twofold.data import FileList, Ranges
from twofold.dataset import folds, split
from twofold.dataset.labelled import LabelledDataset, embed_files
from twofold.decision import Head
from twofold.duplicates import Duplicate
from twofold.embedding import Metadata, Runtime, Source
from twofold.learning.batches import Batches
from twofold.learning.decoded_images import DecodedImages, decoded
from twofold.learning.initialisation import (
    Initialisation,
    Rows,
    from_scratch,
    from_trained,
    frozen_backbone,
    left_to_learn,
)
from twofold.learning.learner import Learner
from twofold.learning.processes import check_launched, count_devices
from twofold.learning.run_folder import RunFolder
from twofold.learning.trainer import Devices, TrainingHistory, learn_network
from twofold.learning.tuning.trial import Setting, Tuning
from twofold.learning.weight_interpolation import WeightInterpolation, choose_interpolation
from twofold.networks import Backbone, choose_dtype, fast_dtypes, load_backbone, offered_dtypes, with_intensity_range
from twofold.networks.modules.network import Network

_AT_ONCE = 64


@dataclass(frozen=True, slots=True, eq=False)
class TrainingRun:
    """What was learned. Arrays have a row for every usable picture.

    `validation` is True for those that the network was stopped, not fitted by. With `cv`, `folds` and `logits` are those of the
    networks that did not see the picture; the fold is -1 for those left out. `copies` are those that were kept together.
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
    interpolation: WeightInterpolation | None  # from the frozen network; None from scratch
    notes: tuple[Note, ...] = field(repr=False)

    @property
    def better(self) -> bool:
        """Whether the network that learned is the better one; otherwise the model is that of the frozen network."""
        return _better(self.interpolation)


def learn(
    file_list: FileList,
    sources: Sequence[Source],
    options: TrainingOptions,
    runtime: Runtime,
    ranges: Ranges,
    place: RunFolder,
    *,
    least: int,
) -> TrainingRun:
    """The network learned from the pictures of a listing, which are in `sources`; `ranges` are black and white of their numbers.

    `place` is for checkpoints and logs; learning that was begun there with the same options and pictures goes on.
    Raises DataError where a class has fewer than `least` usable pictures or files change meanwhile, LearningError where it
    does not succeed.
    """
    check_launched(options.learning)
    if options.learning.tune and find_spec("optuna") is None:
        raise LearningError(f"--tune needs optuna; {install('tune')}.")
    start, dataset = _start(file_list, sources, options, runtime, ranges)
    dataset.check_counts(least)
    begun = start(options.learning)
    with decoded(sources, begun.preprocessing, runtime, limit=int(options.learning.pixels_gb * 1e9)) as pixels:
        _check_same(pixels, dataset)
        run = _Run(start, begun, pixels, dataset, options, place.folder, _devices(options, runtime, begun))
        every, tuning, name = np.flatnonzero(dataset.valid), None, "network"
        run.check_parts(every)
        if options.learning.tune and not place.begun:
            run.forget()
        place.begin(_key(options, dataset))
        if options.learning.tune:
            tuning, name = run.tuned(every, options.learning.tune)
            run = run.having(tuning.chosen)
        network, learned, validation = run.learned(every, name)
        interpolation = run.settled(network, every)
        interrupted = learned.interrupted or (tuning is not None and tuning.interrupted)
        parts = logits = None
        if options.learning.cv and not interrupted and _better(interpolation):
            parts, logits, interrupted = run.crossed(every, options.learning.cv)
        learned = replace(learned, interrupted=interrupted)
        broken_off = [_broken_off(options.learning)] if interrupted else []
        notes = [
            *broken_off,
            *([tuning.note()] if tuning else []),
            *([interpolation.note()] if interpolation else []),
            *learned.notes,
        ]
        backbone, head = begun.backbone(network), Head(*network.affine())
        metadata, duplicates = pixels.metadata, dataset.duplicates
        return TrainingRun(
            backbone,
            head,
            metadata,
            validation,
            parts,
            logits,
            duplicates,
            learned,
            tuning,
            interpolation,
            tuple(notes),
        )


Start = Callable[[LearningOptions], Initialisation]
"""What learning begins with, for these options."""


def _start(
    file_list: FileList, sources: Sequence[Source], options: TrainingOptions, runtime: Runtime, ranges: Ranges
) -> tuple[Start, LabelledDataset]:
    """And the pictures as a trained network sees them, which tells copies: the one to fine-tune, or the default."""
    network, cross_validation = options.backbone, options.cross_validation
    if options.learning.mode == "scratch":
        from_scratch(network, options.learning, cross_validation.seed)  # raises before the work
        engine = runtime.engine(with_intensity_range(_default_backbone(runtime), ranges))
        seen = embed_files(file_list, sources, engine, runtime, what="duplicates")
        return lambda learning: from_scratch(network, learning, cross_validation.seed).ranged(ranges), _without_vectors(
            seen
        )
    backbone = with_intensity_range(frozen_backbone(network, runtime), ranges)
    frozen = embed_files(file_list, sources, runtime.engine(backbone), runtime, what="train")
    left = cache(partial(left_to_learn, frozen, cross_validation))
    return lambda learning: from_trained(network, learning, cross_validation, runtime, frozen, backbone, left()), frozen


def _default_backbone(runtime: Runtime) -> Backbone:
    default = BackboneOptions()
    dtype = choose_dtype(default, offered_dtypes(default.backbone))
    return load_backbone(default, dtype, cache=runtime.folder, progress=runtime.progress)


def _without_vectors(dataset: LabelledDataset) -> LabelledDataset:
    nothing = np.empty((len(dataset.table.features), 0), np.float32)
    return replace(dataset, table=replace(dataset.table, features=nothing))


def _check_same(pixels: DecodedImages, dataset: LabelledDataset) -> None:
    now, before = (
        [metadata and metadata.sha256 for metadata in each] for each in (pixels.metadata, dataset.table.metadata)
    )
    if now != before:
        raise DataError("Pictures were changed while they were looked at; leave them as they are, and train again.")


@dataclass(frozen=True, slots=True, eq=False)
class _Run:
    start: Start
    begun: Initialisation
    pixels: DecodedImages
    dataset: LabelledDataset
    options: TrainingOptions
    place: Path
    devices: Devices

    def having(self, settings: Mapping[str, Setting]) -> "_Run":
        """The same, with these options changed."""
        if not settings:
            return self
        learning = replace(self.options.learning, **settings)  # type: ignore[arg-type]  # each of its own type
        return replace(self, begun=self.start(learning), options=replace(self.options, learning=learning))

    def check_parts(self, rows: Rows) -> None:
        """DataError, before hours of work, where these rows cannot be dealt out to all the parts that are needed."""
        learning, cross_validation = self.options.learning, self.options.cross_validation
        every = [rows]
        if learning.cv:
            parts = self._folds(rows, learning.cv)
            every += [rows[parts != part] for part in range(learning.cv)]
        for own in every:
            train, _ = self._split(own)
            if learning.mode == "finetune":
                self._folds(train, cross_validation.folds)  # for the head that it begins with

    def _folds(self, rows: Rows, count: int) -> NDArray[np.int64]:
        return folds(self.dataset.names[rows], self.dataset.groups[rows], count, self.options.cross_validation.seed)

    def _split(self, rows: Rows) -> tuple[Rows, Rows]:
        """Those to learn from, and those to stop by."""
        validation, seed = self.options.learning.validation_fraction, self.options.cross_validation.seed
        held = split(self.dataset.names[rows], self.dataset.groups[rows], validation, seed)
        return rows[~held], rows[held]

    def forget(self) -> None:
        """What was tried before is tried anew."""
        from twofold.learning.tuning.search import forget

        forget(self.place)

    def tuned(self, rows: Rows, count: int) -> tuple[Tuning, str]:
        """Settings tried on these rows, and the folder that has what was learned with the best of them."""
        from twofold.learning.tuning.search import folder, hyper_parameters, tune  # brings Optuna

        learning, recipe, labels = self.options.learning, self.begun.recipe, self.dataset.labels[rows]
        positive = int(labels.sum())
        space = hyper_parameters(learning, recipe, (len(labels) - positive, positive))

        def attempt(settings: Mapping[str, Setting], name: str, callback: Callback) -> TrainingHistory:
            what = f"setting {name.rpartition('-')[2]} of {count}"
            run = replace(self.having(settings), devices=replace(self.devices, what=what))
            return run.learned(rows, name, extra=(callback,))[1]

        tuning = tune(
            attempt, space, self.place, count=count, epochs=recipe.epochs, seed=self.options.cross_validation.seed
        )
        return tuning, folder(tuning.best)

    def learned(
        self, rows: Rows, name: str, *, extra: tuple[Callback, ...] = ()
    ) -> tuple[Network, TrainingHistory, NDArray[np.bool_]]:
        """A network learned from these rows; True in the array, (used,), for the validation part of them."""
        labels, seed = self.dataset.labels, self.options.cross_validation.seed
        learning, recipe = self.options.learning, self.begun.recipe
        train, validation = self._split(rows)
        fractions = _class_weights(labels[train]) if learning.balance != "none" else (1.0, 1.0)
        shift = float(np.log(fractions[1] / fractions[0]))

        def make() -> Learner:
            network, weights = self.begun.network(train), fractions if learning.balance == "loss" else (1.0, 1.0)
            if learning.mode == "finetune":  # its head was fitted to the data as it is
                _move(network, shift)
            return Learner(network, recipe, images=len(labels), weights=weights, shift=shift, seed=seed)

        batches = Batches(
            self.pixels,
            labels,
            train,
            validation,
            batch_size=recipe.batch_size,
            seed=seed,
            sampler="balanced" if learning.balance == "sampler" else "shuffled",
        )
        network, learned = learn_network(make, batches, self.place / name, self.devices, extra=extra)
        _move(network, -shift)  # it learned as if the classes were equal in number
        mask = np.zeros(len(labels), np.bool_)
        mask[validation] = True
        return network, learned, mask

    def settled(self, network: Network, rows: Rows) -> WeightInterpolation | None:
        """How far the weights of a network that was fine-tuned on these rows go from the frozen ones; there they are, then."""
        if self.options.learning.mode != "finetune":
            return None
        train, validation = self._split(rows)
        start = self.begun.network(train).state_dict()
        return choose_interpolation(
            network, start, self.dataset.labels[validation], partial(self._logits, rows=validation)
        )

    def _logits(self, network: Network, rows: Rows) -> NDArray[np.float64]:
        found = []
        with torch.inference_mode():
            for start in range(0, len(rows), _AT_ONCE):
                model_inputs = torch.from_numpy(self.pixels.take(rows[start : start + _AT_ONCE]))
                found.append(network(model_inputs.permute(0, 3, 1, 2).float()).double().numpy())
        return np.concatenate(found)

    def crossed(self, rows: Rows, count: int) -> tuple[NDArray[np.int64] | None, NDArray[np.float64] | None, bool]:
        """Fold and logit of each of the rows by a network that learned without that fold; nothing where Ctrl-C was pressed.

        Pictures that are none of the rows have the fold -1.
        """
        size = len(self.dataset.labels)
        parts, logits = np.full(size, -1, np.int64), np.zeros(size)
        parts[rows] = self._folds(rows, count)
        try:
            for part in range(count):
                run = replace(self, devices=replace(self.devices, what=f"fold {part + 1} of {count}"))
                others, held = rows[parts[rows] != part], np.flatnonzero(parts == part)
                network, learned, _ = run.learned(others, f"fold-{part + 1}")
                if learned.interrupted:
                    return None, None, True
                self.settled(network, others)
                logits[held] = self._logits(network, held)
        except (KeyboardInterrupt, LearningInterruptedError):
            return None, None, True
        return parts, logits, False


def _better(interpolation: WeightInterpolation | None) -> bool:
    return interpolation is None or interpolation.fraction > 0


def _move(network: Network, logits: float) -> None:
    with torch.no_grad():
        network.head.bias.add_(logits)


def _class_weights(labels: NDArray[np.int8]) -> tuple[float, float]:
    """Weights of the two classes, (negative, positive), by which both count as much; their mean over the pictures is 1."""
    positive = int(labels.sum())
    return len(labels) / (2 * (len(labels) - positive)), len(labels) / (2 * positive)


def _devices(options: TrainingOptions, runtime: Runtime, begun: Initialisation) -> Devices:
    """Mixed precision where that is faster; --dtype f32 does without."""
    wanted = options.backbone.dtype
    on_cpu = begun.dense and "bf16" in fast_dtypes()
    fast = torch.cuda.is_bf16_supported() if torch.cuda.is_available() else on_cpu
    mixed = wanted == "bf16" or (wanted == "auto" and fast)
    learning = options.learning
    return Devices(
        "bf16-mixed" if mixed else "32-true",
        count_devices(learning),
        learning.num_nodes,
        runtime.options.threads,
        quiet=runtime.progress is no_progress,
    )


def _key(options: TrainingOptions, dataset: LabelledDataset) -> str:
    """Equal for the same options, pictures and groups."""
    hashes = [metadata.sha256 for metadata in dataset.table.metadata if metadata is not None]
    dealt = [dataset.labels.tolist(), dataset.groups.tolist()]  # by which pictures are held out
    told = json.dumps([asdict(options), hashes, dealt], default=str, sort_keys=True)
    return hashlib.sha256(told.encode("utf-8", "surrogatepass")).hexdigest()


def _broken_off(learning: LearningOptions) -> Note:
    alone = ", and the validation part alone scores it" if learning.cv else ""
    text = (
        f"Ctrl-C came before the end: this is the best network so far{alone}. The same command with --resume goes on."
    )
    return Note("interrupted", text)
