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

from twofold.copies import Copy
from twofold.data import Listing, Note, Ranges, folds, split
from twofold.decision import Head
from twofold.embedding import (
    Backbone,
    Facts,
    Machine,
    Source,
    fast_precisions,
    load_backbone,
    offered_precisions,
    ranged,
    unwatched,
)
from twofold.errors import DataError, LearningError, LearningInterruptedError
from twofold.learning.batches import Batches
from twofold.learning.beginnings import Beginning, Rows, from_scratch, from_trained, frozen_backbone, left_to_learn
from twofold.learning.interpolation import Way, choose_share
from twofold.learning.learner import Learner
from twofold.learning.networks.network import Network
from twofold.learning.pixels import Pixels, decoded
from twofold.learning.processes import check_launched, count_devices
from twofold.learning.trainer import Devices, Learned, learn_network
from twofold.learning.tuning.settings import Setting, Tuning
from twofold.naming import install
from twofold.options import BackboneOptions, LearningOptions, TrainingOptions
from twofold.place import Place
from twofold.precision import starting_precision
from twofold.sample import Sample, observe_listing

_AT_ONCE = 64


@dataclass(frozen=True, slots=True, eq=False)
class Course:
    """What was learned. Arrays have a row for every usable picture.

    `validation` is True for those that the network was stopped, not fitted by. With `cv`, `folds` and `logits` are those of the
    networks that did not see the picture; the fold is -1 for those left out. `copies` are those that were kept together.
    """

    backbone: Backbone
    head: Head
    facts: tuple[Facts | None, ...] = field(repr=False)  # a row for every source
    validation: NDArray[np.bool_] = field(repr=False)
    folds: NDArray[np.int64] | None = field(repr=False)
    logits: NDArray[np.float64] | None = field(repr=False)
    copies: tuple[Copy, ...] = field(repr=False)
    learned: Learned
    tuning: Tuning | None
    way: Way | None  # from the frozen network; None from scratch
    notes: tuple[Note, ...] = field(repr=False)

    @property
    def better(self) -> bool:
        """Whether the network that learned is the better one; otherwise the model is that of the frozen network."""
        return _better(self.way)


def learn(
    listing: Listing,
    sources: Sequence[Source],
    options: TrainingOptions,
    machine: Machine,
    ranges: Ranges,
    place: Place,
    *,
    least: int,
) -> Course:
    """The network learned from the pictures of a listing, which are in `sources`; `ranges` are black and white of their numbers.

    `place` is for checkpoints and logs; learning that was begun there with the same options and pictures goes on.
    Raises DataError where a class has fewer than `least` usable pictures or files change meanwhile, LearningError where it
    does not succeed.
    """
    check_launched(options.learning)
    if options.learning.tune and find_spec("optuna") is None:
        raise LearningError(f"--tune needs optuna; {install('tune')}.")
    start, sample = _start(listing, sources, options, machine, ranges)
    sample.check_counts(least)
    begun = start(options.learning)
    with decoded(sources, begun.square, machine, limit=int(options.learning.pixels_gb * 1e9)) as pixels:
        _check_same(pixels, sample)
        run = _Run(start, begun, pixels, sample, options, place.folder, _devices(options, machine, begun))
        every, tuning, name = np.flatnonzero(sample.agreed), None, "network"
        run.check_parts(every)
        if options.learning.tune and not place.begun:
            run.forget()
        place.begin(_key(options, sample))
        if options.learning.tune:
            tuning, name = run.tuned(every, options.learning.tune)
            run = run.having(tuning.chosen)
        network, learned, validation = run.learned(every, name)
        way = run.settled(network, every)
        interrupted = learned.interrupted or (tuning is not None and tuning.interrupted)
        parts = logits = None
        if options.learning.cv and not interrupted and _better(way):
            parts, logits, interrupted = run.crossed(every, options.learning.cv)
        learned = replace(learned, interrupted=interrupted)
        broken_off = [_broken_off(options.learning)] if interrupted else []
        notes = [*broken_off, *([tuning.note()] if tuning else []), *([way.note()] if way else []), *learned.notes]
        backbone, head = begun.backbone(network), network.affine()
        facts, copies = pixels.facts, sample.copies
        return Course(backbone, head, facts, validation, parts, logits, copies, learned, tuning, way, tuple(notes))


Start = Callable[[LearningOptions], Beginning]
"""What learning begins with, for these options."""


def _start(
    listing: Listing, sources: Sequence[Source], options: TrainingOptions, machine: Machine, ranges: Ranges
) -> tuple[Start, Sample]:
    """And the pictures as a trained network sees them, which tells copies: the one to fine-tune, or the default."""
    network, decision = options.backbone, options.decision
    if options.learning.mode == "scratch":
        from_scratch(network, options.learning, decision.seed)  # raises before the work
        engine = machine.engine(ranged(_default_backbone(machine), ranges))
        seen = observe_listing(listing, sources, engine, machine, what="copies")
        return lambda learning: from_scratch(network, learning, decision.seed).ranged(ranges), _without_vectors(seen)
    backbone = ranged(frozen_backbone(network, machine), ranges)
    frozen = observe_listing(listing, sources, machine.engine(backbone), machine, what="train")
    left = cache(partial(left_to_learn, frozen, decision))
    return lambda learning: from_trained(network, learning, decision, machine, frozen, backbone, left()), frozen


def _default_backbone(machine: Machine) -> Backbone:
    default = BackboneOptions()
    precision = starting_precision(default, offered_precisions(default.backbone))
    return load_backbone(default, precision, cache=machine.folder, watch=machine.watch)


def _without_vectors(sample: Sample) -> Sample:
    nothing = np.empty((len(sample.table.vectors), 0), np.float32)
    return replace(sample, table=replace(sample.table, vectors=nothing))


def _check_same(pixels: Pixels, sample: Sample) -> None:
    now, before = ([facts and facts.sha256 for facts in each] for each in (pixels.facts, sample.table.facts))
    if now != before:
        raise DataError("Pictures were changed while they were looked at; leave them as they are, and train again.")


@dataclass(frozen=True, slots=True, eq=False)
class _Run:
    start: Start
    begun: Beginning
    pixels: Pixels
    sample: Sample
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
        learning, decision = self.options.learning, self.options.decision
        every = [rows]
        if learning.cv:
            parts = self._folds(rows, learning.cv)
            every += [rows[parts != part] for part in range(learning.cv)]
        for own in every:
            train, _ = self._split(own)
            if learning.mode == "finetune":
                self._folds(train, decision.folds)  # for the head that it begins with

    def _folds(self, rows: Rows, count: int) -> NDArray[np.int64]:
        return folds(self.sample.names[rows], self.sample.groups[rows], count, self.options.decision.seed)

    def _split(self, rows: Rows) -> tuple[Rows, Rows]:
        """Those to learn from, and those to stop by."""
        validation, seed = self.options.learning.validation, self.options.decision.seed
        held = split(self.sample.names[rows], self.sample.groups[rows], validation, seed)
        return rows[~held], rows[held]

    def forget(self) -> None:
        """What was tried before is tried anew."""
        from twofold.learning.tuning.trials import forget

        forget(self.place)

    def tuned(self, rows: Rows, count: int) -> tuple[Tuning, str]:
        """Settings tried on these rows, and the folder that has what was learned with the best of them."""
        from twofold.learning.tuning.trials import folder, knobs, tune  # brings Optuna

        learning, recipe, labels = self.options.learning, self.begun.recipe, self.sample.labels[rows]
        positive = int(labels.sum())
        space = knobs(learning, recipe, (len(labels) - positive, positive))

        def attempt(settings: Mapping[str, Setting], name: str, callback: Callback) -> Learned:
            what = f"setting {name.rpartition('-')[2]} of {count}"
            run = replace(self.having(settings), devices=replace(self.devices, what=what))
            return run.learned(rows, name, extra=(callback,))[1]

        tuning = tune(attempt, space, self.place, count=count, epochs=recipe.epochs, seed=self.options.decision.seed)
        return tuning, folder(tuning.best)

    def learned(
        self, rows: Rows, name: str, *, extra: tuple[Callback, ...] = ()
    ) -> tuple[Network, Learned, NDArray[np.bool_]]:
        """A network learned from these rows; True in the array, (used,), for the validation part of them."""
        labels, seed = self.sample.labels, self.options.decision.seed
        learning, recipe = self.options.learning, self.begun.recipe
        train, validation = self._split(rows)
        shares = _class_weights(labels[train]) if learning.balance != "none" else (1.0, 1.0)
        shift = float(np.log(shares[1] / shares[0]))

        def make() -> Learner:
            network, weights = self.begun.network(train), shares if learning.balance == "loss" else (1.0, 1.0)
            if learning.mode == "finetune":  # its head was fitted to the data as it is
                _move(network, shift)
            return Learner(network, recipe, pictures=len(labels), weights=weights, shift=shift, seed=seed)

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

    def settled(self, network: Network, rows: Rows) -> Way | None:
        """How far the weights of a network that was fine-tuned on these rows go from the frozen ones; there they are, then."""
        if self.options.learning.mode != "finetune":
            return None
        train, validation = self._split(rows)
        start = self.begun.network(train).state_dict()
        return choose_share(network, start, self.sample.labels[validation], partial(self._logits, rows=validation))

    def _logits(self, network: Network, rows: Rows) -> NDArray[np.float64]:
        found = []
        with torch.inference_mode():
            for start in range(0, len(rows), _AT_ONCE):
                squares = torch.from_numpy(self.pixels.take(rows[start : start + _AT_ONCE]))
                found.append(network(squares.permute(0, 3, 1, 2).float()).double().numpy())
        return np.concatenate(found)

    def crossed(self, rows: Rows, count: int) -> tuple[NDArray[np.int64] | None, NDArray[np.float64] | None, bool]:
        """Fold and logit of each of the rows by a network that learned without that fold; nothing where Ctrl-C was pressed.

        Pictures that are none of the rows have the fold -1.
        """
        size = len(self.sample.labels)
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


def _better(way: Way | None) -> bool:
    return way is None or way.share > 0


def _move(network: Network, logits: float) -> None:
    with torch.no_grad():
        network.head.bias.add_(logits)


def _class_weights(labels: NDArray[np.int8]) -> tuple[float, float]:
    """Weights of the two classes, (negative, positive), by which both count as much; their mean over the pictures is 1."""
    positive = int(labels.sum())
    return len(labels) / (2 * (len(labels) - positive)), len(labels) / (2 * positive)


def _devices(options: TrainingOptions, machine: Machine, begun: Beginning) -> Devices:
    """Mixed precision where that is faster; --precision f32 does without."""
    wanted = options.backbone.precision
    on_cpu = begun.dense and "bf16" in fast_precisions()
    fast = torch.cuda.is_bf16_supported() if torch.cuda.is_available() else on_cpu
    mixed = wanted == "bf16" or (wanted == "auto" and fast)
    learning = options.learning
    return Devices(
        "bf16-mixed" if mixed else "32-true",
        count_devices(learning),
        learning.num_nodes,
        machine.options.threads,
        quiet=machine.watch is unwatched,
    )


def _key(options: TrainingOptions, sample: Sample) -> str:
    """Equal for the same options, pictures and groups."""
    hashes = [facts.sha256 for facts in sample.table.facts if facts is not None]
    dealt = [sample.labels.tolist(), sample.groups.tolist()]  # by which pictures are held out
    told = json.dumps([asdict(options), hashes, dealt], default=str, sort_keys=True)
    return hashlib.sha256(told.encode("utf-8", "surrogatepass")).hexdigest()


def _broken_off(learning: LearningOptions) -> Note:
    alone = ", and the validation part alone scores it" if learning.cv else ""
    text = (
        f"Ctrl-C came before the end: this is the best network so far{alone}. The same command with --resume goes on."
    )
    return Note("interrupted", text)
