"""A model fitted on features, and the out-of-fold scores that its evaluation comes from."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from twofold.bundle.model import Model
from twofold.core.options import Optimize
from twofold.dataset.folds import folds as assign_folds
from twofold.dataset.labelled import LabelledDataset
from twofold.decision import Head, choose_rule, fit_calibration, fit_head
from twofold.decision.cross_fitting import cross_fit_probabilities
from twofold.evaluation import Evaluation, evaluate
from twofold.evaluation.nested import variance_factors
from twofold.evaluation.sample import Sample
from twofold.networks import Backbone
from twofold.workflows.nested import NestedCrossValidation, cross_validate_nested


@dataclass(frozen=True, slots=True)
class DecisionPolicy:
    """How the rule is chosen: by a policy, or with a fixed threshold. `seed` fixes all random numbers."""

    optimize: Optimize
    threshold: float | None
    seed: int


@dataclass(frozen=True, slots=True, eq=False)
class OutOfFoldScores:
    """Logits (n,) of images by a head or a network that was not fitted on them; `rows` (n,) are indices of usable images.

    `folds` names the fold that held each image out; 0 for the validation set of a training run.
    """

    rows: NDArray[np.int64] = field(repr=False)
    folds: NDArray[np.int64] = field(repr=False)
    logits: NDArray[np.float64] = field(repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """A model, and the scores that its calibration, rule and evaluation come from; `C` is the head's inverse strength."""

    model: Model
    scores: OutOfFoldScores
    C: float | None
    evaluation: Evaluation


def fit_model(
    dataset: LabelledDataset, rows: NDArray[np.int64], backbone: Backbone, folds: int, policy: DecisionPolicy
) -> Fit:
    """Head, calibration and rule, fitted on these `rows` of the usable images. Each group stays in one fold."""
    fold = assign_folds(dataset.names[rows], dataset.groups[rows], folds, policy.seed)
    features, labels = dataset.table.features[rows], dataset.labels[rows]
    head = fit_head(features, labels, fold)
    nested = cross_validate_nested(features, labels, dataset.groups[rows], head.C, policy.seed)
    scores = OutOfFoldScores(rows, fold, head.logits)
    return fit_decision(dataset, scores, backbone, head.head, head.C, policy, nested)


def fit_decision(
    dataset: LabelledDataset,
    scores: OutOfFoldScores,
    backbone: Backbone,
    head: Head,
    C: float | None,
    policy: DecisionPolicy,
    nested: NestedCrossValidation | None = None,
) -> Fit:
    """Calibration, rule and evaluation, all from the out-of-fold scores.

    The evaluation has probabilities of calibrations that are each fitted without one fold. Its ranks are the logits, which no
    calibration changes within a fold. With `nested` its intervals are those of the model.
    """
    labels, groups = dataset.labels[scores.rows], dataset.groups[scores.rows]
    calibration = fit_calibration(scores.logits, labels)
    rule = choose_rule(
        labels,
        calibration.probabilities(scores.logits),
        policy=policy.optimize,
        fixed=policy.threshold,
        seed=policy.seed,
    )
    probabilities = cross_fit_probabilities(scores.logits, labels, scores.folds)
    sample = Sample(labels, rule.decide(probabilities), probabilities, scores.logits, groups)
    evaluation = evaluate(
        labels,
        probabilities,
        rule,
        classes=dataset.classes,
        seed=policy.seed,
        groups=groups,
        ranks=scores.logits,
        factors=None if nested is None else variance_factors(sample, nested, rule.threshold),
    )
    return Fit(Model(dataset.classes, backbone, head, calibration, rule), scores, C, evaluation)
