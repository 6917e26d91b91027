"""A model fitted on features, and the out-of-fold scores that its evaluation comes from."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from twofold.bundle.model import Model
from twofold.core.options import Optimize
from twofold.dataset.folds import folds as assign_folds
from twofold.dataset.labelled import LabelledDataset
from twofold.decision import Head, choose_rule, fit_calibration, fit_head
from twofold.evaluation import Evaluation, evaluate
from twofold.networks import Backbone


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
    head = fit_head(dataset.table.features[rows], dataset.labels[rows], fold)
    return fit_decision(dataset, OutOfFoldScores(rows, fold, head.logits), backbone, head.head, head.C, policy)


def fit_decision(
    dataset: LabelledDataset,
    scores: OutOfFoldScores,
    backbone: Backbone,
    head: Head,
    C: float | None,
    policy: DecisionPolicy,
) -> Fit:
    """Calibration, rule and evaluation, all from the out-of-fold scores."""
    labels = dataset.labels[scores.rows]
    calibration = fit_calibration(scores.logits, labels)
    probabilities = calibration.probabilities(scores.logits)
    rule = choose_rule(labels, probabilities, policy=policy.optimize, fixed=policy.threshold, seed=policy.seed)
    evaluation = evaluate(labels, probabilities, rule, classes=dataset.classes, seed=policy.seed)
    return Fit(Model(dataset.classes, backbone, head, calibration, rule), scores, C, evaluation)
