"""The recipe: two kinds of pictures in, a model and its honest numbers out."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twofold.clock import Clock
from twofold.data import Listing, Note, check_counts, check_same_classes, folds, list_pictures
from twofold.decision import HeadFit, Threshold, choose_threshold, fit_calibration, fit_head
from twofold.embedding import Arithmetic, Backbone, Engine, Machine, load_backbone
from twofold.evaluation import Evaluation, evaluate
from twofold.model import Model
from twofold.options import BackboneOptions, DataOptions, DecisionOptions
from twofold.precision import PrecisionCheck, compare_precisions, starting_precision
from twofold.sample import Sample, observe_listing


@dataclass(frozen=True, slots=True)
class Recipe:
    """All options of a training."""

    data: DataOptions = DataOptions()
    backbone: BackboneOptions = BackboneOptions()
    decision: DecisionOptions = DecisionOptions()


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
    clock = Clock()
    listing = list_pictures(data, recipe.data, positive=recipe.decision.positive)
    other = None if test is None else _other(test, listing, recipe)
    sample, fit, engine = _fitted(listing, recipe, machine, clock, starting_precision(recipe.backbone))
    check, notes = _checked(sample, fit, recipe, machine, clock), []
    if check is not None and not check.trusted:
        notes = [check.note()]
        sample, fit, engine = _fitted(listing, recipe, machine, clock, "f32")
    tested = None if other is None else _tested(other, fit.model, engine, machine, clock)
    notes += sample.notes() + ([] if tested is None else tested.sample.notes()) + machine.notes
    return Training(recipe, sample, fit, check, tested, clock.seconds(), tuple(notes))


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


def _other(test: Path, listing: Listing, recipe: Recipe) -> Listing:
    other = list_pictures(test, recipe.data, positive=listing.positive)
    check_same_classes(listing.classes, other.classes)
    return other


def _fitted(
    listing: Listing, recipe: Recipe, machine: Machine, clock: Clock, precision: Arithmetic
) -> tuple[Sample, Fit, Engine]:
    with clock("embed"):
        backbone = load_backbone(recipe.backbone, precision, cache=machine.folder)
        engine = machine.engine(backbone)
        sample = observe_listing(listing, engine, machine, what="train")
    check_counts(sample.counts)
    with clock("fit"):
        parts = sample.labels, sample.groups, sample.classes
        return sample, fit_model(sample.table.vectors, *parts, backbone, recipe), engine


def _checked(sample: Sample, fit: Fit, recipe: Recipe, machine: Machine, clock: Clock) -> PrecisionCheck | None:
    if recipe.backbone.precision != "auto" or fit.model.backbone.precision == "f32":
        return None
    with clock("embed"):
        paths = [Path(path) for path in sample.paths]
        return compare_precisions(
            fit.model, paths, sample.table.vectors, recipe.backbone, machine, seed=recipe.decision.seed
        )


def _tested(other: Listing, model: Model, engine: Engine, machine: Machine, clock: Clock) -> HeldOut:
    with clock("embed"):
        sample = observe_listing(other, engine, machine, what="test")
    return HeldOut(sample, model.evaluate(sample))
