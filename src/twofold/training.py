"""The recipe: two kinds of pictures in, a model and its honest numbers out."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twofold.clock import Clock
from twofold.data import Listing, Note, folds, list_pictures
from twofold.decision import HeadFit, Threshold, choose_threshold, fit_calibration, fit_head
from twofold.embedding import Arithmetic, Backbone, Engine, Machine, Source, load_backbone
from twofold.evaluation import Evaluation, evaluate
from twofold.model import Model
from twofold.options import BackboneOptions, DataOptions, DecisionOptions
from twofold.precision import PrecisionCheck, compare_precisions, starting_precision
from twofold.sample import Sample, list_for, observe_listing

LEAST = 10  # usable pictures a class


@dataclass(frozen=True, slots=True)
class Recipe:
    """All options of a training."""

    data: DataOptions = field(default_factory=DataOptions)
    backbone: BackboneOptions = field(default_factory=BackboneOptions)
    decision: DecisionOptions = field(default_factory=DecisionOptions)


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """A model fitted on vectors, and its cross-validation: `head.logits` and `folds` have a row for every vector."""

    model: Model
    head: HeadFit
    folds: NDArray[np.int64]
    threshold: Threshold
    evaluation: Evaluation


@dataclass(frozen=True, slots=True, eq=False)
class HeldOut:
    """Pictures that had no part in the fit, and how the model did on them."""

    sample: Sample
    evaluation: Evaluation

    def as_json(self) -> dict[str, Any]:
        return {"data": self.sample.as_json(), **self.evaluation.as_json()}


@dataclass(frozen=True, slots=True, eq=False)
class Training:
    """What `train` gives; `twofold.saving.save` makes a bundle of it."""

    recipe: Recipe
    sample: Sample
    fit: Fit
    precision: PrecisionCheck | None
    test: HeldOut | None
    seconds: dict[str, float]
    notes: tuple[Note, ...]

    def as_json(self) -> dict[str, Any]:
        """The blocks that `train --json` prints."""
        backbone = self.fit.model.backbone
        tested = {} if self.test is None else {"test": self.test.as_json()}
        return {
            "data": self.sample.as_json(),
            "backbone": {"name": backbone.name, "size": backbone.square.size, "precision": backbone.precision},
            "cross_validation": self.fit.evaluation.as_json(),
            **tested,
            "precision_check": None if self.precision is None else asdict(self.precision),
            "seconds": self.seconds,
            "notes": [asdict(note) for note in self.notes],
        }


def train(data: Path, recipe: Recipe, machine: Machine, *, test: Path | None = None) -> Training:
    """The model of the pictures in DATA, and, with `test`, its evaluation there.

    Raises DataError, UsageError or BackboneError, before any long work where that is possible.
    """
    listing = list_pictures(data, recipe.data, positive=recipe.decision.positive)
    other = None if test is None else list_for(listing.ordered, test, recipe.data)
    return train_listing(listing, [item.path for item in listing.items], recipe, machine, test=other)


def train_listing(
    listing: Listing, sources: Sequence[Source], recipe: Recipe, machine: Machine, *, test: Listing | None = None
) -> Training:
    """The same for a listing whose pictures are in `sources`, one for each item."""
    clock = Clock()
    run = _Run(listing, sources, recipe, machine, clock)
    sample, fit, engine = run.fitted(starting_precision(recipe.backbone))
    check, notes = run.checked(sample, fit), []
    if check is not None and not check.trusted:
        notes = [check.note()]
        sample, fit, engine = run.fitted("f32")
    tested = None
    if test is not None:
        with clock("embed"):
            held_out = observe_listing(test, [item.path for item in test.items], engine, machine, what="test")
        held_out.check_counts(1)
        tested = HeldOut(held_out, fit.model.evaluate(held_out))
        notes += held_out.notes()
    notes = [*fit.model.backbone.notes, *sample.notes(), *notes, *machine.notes]
    return Training(recipe, sample, fit, check, tested, clock.seconds(), tuple(notes))


@dataclass(frozen=True, slots=True, eq=False)
class _Run:
    """One training, which may have to be done twice: in the fastest arithmetic, and then in float32 after all."""

    listing: Listing
    sources: Sequence[Source]
    recipe: Recipe
    machine: Machine
    clock: Clock

    def fitted(self, precision: Arithmetic) -> tuple[Sample, Fit, Engine]:
        with self.clock("embed"):
            backbone = load_backbone(
                self.recipe.backbone, precision, cache=self.machine.folder, watch=self.machine.watch
            )
            engine = self.machine.engine(backbone)
            sample = observe_listing(self.listing, self.sources, engine, self.machine, what="train")
        sample.check_counts(LEAST)
        with self.clock("fit"):
            parts = sample.labels, sample.groups, sample.classes
            return sample, fit_model(sample.table.vectors, *parts, backbone, self.recipe), engine

    def checked(self, sample: Sample, fit: Fit) -> PrecisionCheck | None:
        options = self.recipe.backbone
        if options.precision != "auto" or fit.model.backbone.precision == "f32":
            return None
        with self.clock("embed"):
            sources = [self.sources[row] for row in sample.table.used]
            seed = self.recipe.decision.seed
            return compare_precisions(fit.model, sources, sample.table.vectors, options, self.machine, seed=seed)


def fit_model(
    vectors: NDArray[np.float32],
    labels: NDArray[np.int8],
    groups: NDArray[np.int64],
    classes: tuple[str, str],
    backbone: Backbone,
    recipe: Recipe,
) -> Fit:
    """The head, calibration and threshold for vectors (n, d), labels (n,) and groups (n,) whose members share a fold."""
    options = recipe.decision
    parts = folds(labels, groups, options.folds, options.seed)
    head = fit_head(vectors, labels, parts)
    calibration = fit_calibration(head.logits, labels)
    probabilities = calibration.probabilities(head.logits)
    threshold = choose_threshold(
        labels, probabilities, policy=options.optimize, fixed=options.threshold, seed=options.seed
    )
    model = Model(classes, backbone, head.head, calibration, threshold.value)
    evaluation = evaluate(labels, probabilities, threshold.value, classes=classes, seed=options.seed)
    return Fit(model, head, parts, threshold, evaluation)
